// Follows events from their momenta to log ratios: exit code 0 if observables and log ratios are those of the file.
//
//     h4l-momenta MODEL name.momenta.json
//     h4l-momenta name.momenta.json                the observables alone, which need no network
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "h4l/observables.h"
#include "open_model.h"

namespace {

std::vector<h4l::Lepton> leptons_of(const h4l::Json &event)
{
   std::vector<h4l::Lepton> leptons;
   for (const auto &l : event)
      leptons.push_back({{l.at(1).get<double>(), l.at(2).get<double>(), l.at(3).get<double>(), l.at(4).get<double>()},
                         static_cast<int>(l.at(0).get<double>())});
   return leptons;
}

std::vector<h4l::Momentum> jets_of(const h4l::Json &event)
{
   std::vector<h4l::Momentum> jets;
   for (const auto &j : event) jets.push_back({j.at(0).get<double>(), j.at(1).get<double>(), j.at(2).get<double>(), j.at(3).get<double>()});
   return jets;
}

double difference(double found, double expected)
{
   const double value = std::abs(found - expected) / std::max(1.0, std::abs(expected));
   return std::isnan(value) ? HUGE_VAL : value;
}

}  // namespace

int main(int argc, char **argv)
{
   if (argc != 2 && argc != 3) {
      std::cerr << "usage: h4l-momenta [MODEL] name.momenta.json\n";
      return 2;
   }
   return run_program([&] {
      const auto document = h4l::read_json(argv[argc - 1]);
      auto names = h4l::reading_json([&] { return document.at("columns").get<std::vector<std::string>>(); });
      auto fills = h4l::reading_json([&] { return document.at("fills").get<std::map<std::string, double>>(); });
      auto z1 = h4l::reading_json([&] { return document.at("z1").get<std::string>(); });
      std::unique_ptr<const h4l::Model> model;
      if (argc == 3) {
         model = std::make_unique<const h4l::Model>(open_model(argv[1]));
         names.clear();
         for (const auto &column : model->columns()) names.push_back(column.name);
         fills = model->fills();
         z1 = model->z1();
      }
      const h4l::Observables observables(names, fills, h4l::z1_convention(z1));
      double of_observables = 0.0, of_ratios = 0.0;
      const std::size_t n_events = h4l::reading_json([&] {
         const std::size_t n = document.at("leptons").size();
         for (std::size_t i = 0; i < n; ++i) {
            const auto row = observables(leptons_of(document.at("leptons").at(i)), jets_of(document.at("jets").at(i)));
            const auto expected = document.at("observables").at(i).get<std::vector<double>>();
            if (row.size() != expected.size()) throw h4l::MismatchError("event " + std::to_string(i) + " has no two pairs of leptons");
            for (std::size_t k = 0; k < row.size(); ++k) of_observables = std::max(of_observables, difference(row[k], expected[k]));
            if (model == nullptr) continue;
            const auto ratios = document.at("log_ratio").at(i).get<std::vector<double>>();
            const auto found = model->evaluate(row);
            if (found.size() != ratios.size()) throw h4l::MismatchError("the file has another number of log ratios");
            for (std::size_t k = 0; k < found.size(); ++k) of_ratios = std::max(of_ratios, difference(static_cast<double>(found[k]), ratios[k]));
         }
         return n;
      });
      const bool good = n_events > 0 && of_observables < 1e-6 && of_ratios < 2e-4;
      std::printf("{\"events\": %zu, \"observables\": %.3g, \"log_ratio\": %.3g, \"good\": %s}\n", n_events, of_observables, of_ratios,
                  good ? "true" : "false");
      return good ? 0 : 1;
   });
}
