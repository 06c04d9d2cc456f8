// Follows events from their momenta to log ratios: exit code 0 if observables and log ratios are those of the file.
//
//     h4l-momenta MODEL name.momenta.json
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "h4l/observables.h"
#include "open_model.h"

int main(int argc, char **argv)
{
   if (argc != 3) {
      std::cerr << "usage: h4l-momenta MODEL name.momenta.json\n";
      return 2;
   }
   try {
      auto model = open_model(argv[1]);
      const auto document = h4l::read_json(argv[2]);
      std::vector<std::string> names;
      for (const auto &column : model.columns()) names.push_back(column.name);
      const h4l::Observables observables(names, model.fills(), h4l::z1_convention(model.z1()));
      double of_observables = 0.0, of_ratios = 0.0;
      std::size_t n_events = 0;
      h4l::reading_json([&] {
         n_events = document.at("leptons").size();
         for (std::size_t i = 0; i < n_events; ++i) {
            std::vector<h4l::Lepton> leptons;
            for (const auto &l : document.at("leptons").at(i))
               leptons.push_back({{l.at(1).get<double>(), l.at(2).get<double>(), l.at(3).get<double>(), l.at(4).get<double>()},
                                  static_cast<int>(l.at(0).get<double>())});
            std::vector<h4l::Momentum> jets;
            for (const auto &j : document.at("jets").at(i))
               jets.push_back({j.at(0).get<double>(), j.at(1).get<double>(), j.at(2).get<double>(), j.at(3).get<double>()});
            const auto row = observables(leptons, jets);
            const auto expected = document.at("observables").at(i).get<std::vector<double>>();
            const auto ratios = document.at("log_ratio").at(i).get<std::vector<double>>();
            if (row.size() != expected.size()) throw h4l::MismatchError("event " + std::to_string(i) + " has no two pairs of leptons");
            for (std::size_t k = 0; k < row.size(); ++k)
               of_observables = std::max(of_observables, std::abs(row[k] - expected[k]) / std::max(1.0, std::abs(expected[k])));
            const auto found = model.evaluate(row);
            for (std::size_t k = 0; k < found.size(); ++k)
               of_ratios = std::max(of_ratios, std::abs(static_cast<double>(found[k]) - ratios.at(k)) / std::max(1.0, std::abs(ratios[k])));
         }
      });
      const bool good = n_events > 0 && of_observables < 1e-6 && of_ratios < 2e-4;
      std::printf("{\"events\": %zu, \"observables\": %.3g, \"log_ratio\": %.3g, \"good\": %s}\n", n_events, of_observables, of_ratios,
                  good ? "true" : "false");
      return good ? 0 : 1;
   } catch (const h4l::Error &error) {
      std::cerr << "error: " << error.what() << "\n";
      return 2;
   }
}
