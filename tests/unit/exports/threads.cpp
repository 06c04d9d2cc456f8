// One model per thread gives the reference values; one model for all threads gives them or a ThreadError; JSON and weights in any locale.
//
//     threads ratio.dat ratio.reference.json [LOCALE]      LOCALE: of the C library too, "facet" for that of C++ streams alone
#include <atomic>
#include <clocale>
#include <cmath>
#include <cstdio>
#include <locale>
#include <string>
#include <thread>
#include <vector>

#include <h4l/ratio.h>

namespace {

int failures = 0;

void expect(bool good, const char *what)
{
   std::printf("%s: %s\n", what, good ? "good" : "WRONG");
   failures += !good;
}

/// Decimal comma and grouping, as in Germany.
class Comma : public std::numpunct<char> {
   char do_decimal_point() const override { return ','; }
   char do_thousands_sep() const override { return '.'; }
   std::string do_grouping() const override { return "\3"; }
};

bool set_locale(const std::string &name)
{
   if (name == "facet") {
      std::locale::global(std::locale(std::locale::classic(), new Comma));
      return true;
   }
   std::locale::global(std::locale(name));  // sets that of the C library as well
   return std::string(std::localeconv()->decimal_point) == ",";
}

std::vector<double> flatten(const h4l::Json &matrix)
{
   std::vector<double> values;
   for (const auto &row : matrix)
      for (const auto &value : row) values.push_back(value.get<double>());
   return values;
}

void check_json()
{
   expect(h4l::parse_json("[0.25, -1.5e-3]") == h4l::Json({0.25, -0.0015}), "numbers");
   expect(h4l::parse_json(R"("\ud83d\ude00 \u00e9")").get<std::string>() == "\xF0\x9F\x98\x80 \xC3\xA9", "surrogate pairs");
   for (const char *wrong : {R"("\ud83d")", "[0.25", "{\"a\": 1} 2", "\"\xC3\"", "[1e999]", "[nan]"}) {
      bool thrown = false;
      try {
         h4l::parse_json(wrong);
      } catch (const h4l::MismatchError &) {
         thrown = true;
      }
      expect(thrown, "a damaged document throws");
   }
}

void check_guard()
{
   std::atomic_flag inside = ATOMIC_FLAG_INIT;
   const auto enter = [&] {
      try {
         const h4l::OneThread alone(inside);
         return true;
      } catch (const h4l::ThreadError &) {
         return false;
      }
   };
   {
      const h4l::OneThread first(inside);
      expect(!enter() && !enter(), "a second entry throws");
   }
   expect(enter() && enter(), "one after the other enter");
}

struct Case {
   std::string weights;
   std::vector<float> rows;
   std::vector<double> expected, spread;
};

bool agrees(const std::vector<float> &found, const std::vector<double> &expected)
{
   double worst = found.size() == expected.size() ? 0.0 : 1.0;
   for (std::size_t i = 0; worst < 1.0 && i < found.size(); ++i) worst = std::fmax(worst, std::abs(found[i] - expected[i]));
   return worst < 2e-5;
}

void one_model_per_thread(const Case &given)
{
   std::atomic<int> wrong{0};
   std::vector<std::thread> threads;
   for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
         auto model = h4l::open_ratio(given.weights);
         for (int k = 0; k < 5; ++k) {
            std::vector<float> spread;
            wrong += !agrees(model.evaluate(given.rows, &spread), given.expected) || !agrees(spread, given.spread);
         }
      });
   for (auto &thread : threads) thread.join();
   expect(wrong == 0, "one model per thread");
}

void one_model_for_all(const Case &given)
{
   auto model = h4l::open_ratio(given.weights);
   std::atomic<int> wrong{0}, right{0}, refused{0};
   std::vector<std::thread> threads;
   for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
         for (int k = 0; k < 20; ++k) {
            try {
               (agrees(model.evaluate(given.rows), given.expected) ? right : wrong) += 1;
            } catch (const h4l::ThreadError &) {
               refused += 1;
            }
         }
      });
   for (auto &thread : threads) thread.join();
   std::printf("%d right, %d refused\n", right.load(), refused.load());
   expect(wrong == 0 && right + refused == 80, "one model for all threads");
   expect(agrees(model.evaluate(given.rows), given.expected), "the same model afterwards");
}

}  // namespace

int main(int argc, char **argv)
{
   if (argc > 3 && !set_locale(argv[3])) return 3;
   check_json();
   check_guard();
   const auto reference = h4l::read_json(argv[2]);
   Case given{argv[1], {}, flatten(reference.at("torch_float64").at("log_ratio")), flatten(reference.at("torch_float64").at("log_ratio_spread"))};
   for (const double value : flatten(reference.at("rows"))) given.rows.push_back(static_cast<float>(value));
   expect(h4l::open_ratio(given.weights).columns()[4].high == 5000.0, "metadata");
   one_model_per_thread(given);
   one_model_for_all(given);
   return failures != 0;
}
