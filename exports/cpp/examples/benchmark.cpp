// Measures a model on its reference rows: processor time per event, one by one and in a large batch.
//
//     OPENBLAS_NUM_THREADS=1 h4l-benchmark MODEL name.reference.json
#include <algorithm>
#include <ctime>
#include <cstdio>
#include <iostream>
#include <vector>

#include "open_model.h"

namespace {

double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main(int argc, char **argv)
{
   if (argc != 3) {
      std::cerr << "usage: h4l-benchmark MODEL name.reference.json\n";
      return 2;
   }
   return run_program([&] {
      const auto model = open_model(argv[1]);
      const auto reference = h4l::read_json(argv[2]);
      std::vector<float> once;
      h4l::reading_json([&] {
         for (const auto &row : reference.at("rows"))
            for (const auto &value : row) once.push_back(value.get<float>());
      });
      std::vector<float> rows;
      const std::size_t width = model.columns().size(), repeats = 20;
      for (std::size_t i = 0; i < repeats; ++i) rows.insert(rows.end(), once.begin(), once.end());
      const std::size_t n = rows.size() / width;
      std::vector<float> out(n * model.numerators().size());
      double batch = 1e9, single = 1e9;
      for (int pass = 0; pass < 5; ++pass) {
         double began = seconds();
         model.evaluate(rows.data(), n, width, out.data());
         batch = std::min(batch, (seconds() - began) / static_cast<double>(n));
         began = seconds();
         const std::size_t few = std::min<std::size_t>(n, 4000);
         for (std::size_t k = 0; k < few; ++k) model.evaluate(rows.data() + k * width, 1, width, out.data());
         single = std::min(single, (seconds() - began) / static_cast<double>(few));
      }
      std::printf("{\"batch_us\": %.4f, \"single_us\": %.4f}\n", 1e6 * batch, 1e6 * single);
      return 0;
   });
}
