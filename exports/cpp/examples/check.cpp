// Compares a model with its reference rows: exit code 0 if all differences are below the tolerance of the file.
//
//     h4l-check MODEL name.reference.json
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "open_model.h"

namespace {

struct Reference {
   std::vector<std::string> columns;
   std::vector<double> rows, log_ratio, spread;
   double tolerance;
};

std::vector<double> flatten(const h4l::Json &matrix)
{
   std::vector<double> values;
   for (const auto &row : matrix)
      for (const auto &value : row) values.push_back(value.get<double>());
   return values;
}

Reference read_reference(const std::string &path, bool has_spread)
{
   const auto document = h4l::read_json(path);
   return h4l::reading_json([&] {
      const auto &torch = document.at("torch_float64");
      return Reference{document.at("columns").get<std::vector<std::string>>(), flatten(document.at("rows")), flatten(torch.at("log_ratio")),
                       has_spread ? flatten(torch.at("log_ratio_spread")) : std::vector<double>(), document.at("tolerance").get<double>()};
   });
}

// What a difference of log ratios means to a likelihood: where a density is below a hundredth of the reference density, that of the density.
double felt(double difference, double log_ratio) { return std::abs(difference) * std::exp(std::min(0.0, log_ratio - std::log(0.01))); }

}  // namespace

int main(int argc, char **argv)
{
   if (argc != 3) {
      std::cerr << "usage: h4l-check MODEL name.reference.json\n";
      return 2;
   }
   return run_program([&] {
      const auto model = open_model(argv[1]);
      const auto reference = read_reference(argv[2], model.has_spread());
      const auto &names = reference.columns;
      if (names.size() != model.columns().size()) throw h4l::MismatchError("the reference rows have another number of columns");
      for (std::size_t i = 0; i < names.size(); ++i)
         if (names[i] != model.columns()[i].name) throw h4l::MismatchError("the reference rows have other columns");
      const auto &rows = reference.rows, &expected = reference.log_ratio;
      std::vector<float> spread;
      const auto found = model.evaluate(rows, model.has_spread() ? &spread : nullptr);
      if (found.size() != expected.size()) throw h4l::MismatchError("the reference has another number of log ratios");
      double absolute = 0.0, relative = 0.0, of_spread = 0.0, single = 0.0;
      for (std::size_t i = 0; i < found.size(); ++i) {
         const double difference = felt(static_cast<double>(found[i]) - expected[i], expected[i]);
         absolute = std::max(absolute, difference);
         if (std::abs(expected[i]) > 1.0) relative = std::max(relative, difference / std::abs(expected[i]));
      }
      if (model.has_spread()) {
         const auto &wanted = reference.spread;
         if (spread.size() != wanted.size()) throw h4l::MismatchError("the reference has another number of spreads");
         for (std::size_t i = 0; i < wanted.size(); ++i) of_spread = std::max(of_spread, felt(static_cast<double>(spread[i]) - wanted[i], expected[i]));
      }
      const std::size_t width = names.size(), n_out = model.numerators().size();
      for (std::size_t k = 0; k < rows.size() / width; k += 17) {  // events one by one give the same
         const auto one = model.evaluate(std::vector<double>(rows.data() + k * width, rows.data() + (k + 1) * width));
         for (std::size_t j = 0; j < n_out; ++j) single = std::max(single, felt(static_cast<double>(one[j]) - expected[k * n_out + j], expected[k * n_out + j]));
      }
      const double tolerance = reference.tolerance;
      const bool good = absolute < tolerance && of_spread < tolerance && single < tolerance;
      std::printf("{\"rows\": %zu, \"absolute\": %.3g, \"relative\": %.3g, \"spread\": %.3g, \"one_by_one\": %.3g, \"good\": %s}\n",
                  rows.size() / width, absolute, relative, of_spread, single, good ? "true" : "false");
      return good ? 0 : 1;
   });
}
