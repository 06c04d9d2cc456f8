// Another project's program: every wrong use of an installed model throws its own exception.
//
//     consumer ratio.dat TRUNCATED.dat CHANGED.dat
#include <cmath>
#include <cstdio>

#include <h4l/ratio.h>

template <class Expected, class Call>
bool throws(Call call)
{
   try { call(); } catch (const Expected &error) { std::puts(error.what()); return true; }
   return false;
}

int main(int, char **argv)
{
   const auto model = h4l::open_ratio(argv[1]);
   auto columns = model.columns();
   model.require(columns);
   std::vector<h4l::Column> swapped = columns, other = columns, fewer(columns.begin(), columns.end() - 1);
   std::swap(swapped[0], swapped[1]);
   other[0].unit = "MeV";
   bool good = throws<h4l::MismatchError>([&] { model.require(swapped); }) && throws<h4l::MismatchError>([&] { model.require(other); })
      && throws<h4l::MismatchError>([&] { model.require(fewer); });
   const std::vector<double> row{300.0, 91.0, 0.1, 0.2, 20.0};
   std::vector<double> bad = row, wide(7, 1.0), huge = row;
   bad[2] = std::nan("");
   huge[0] = 1e300;
   good = good && throws<h4l::ValueError>([&] { model.evaluate(bad); }) && throws<h4l::ValueError>([&] { model.evaluate(huge); })
      && throws<h4l::ShapeError>([&] { model.evaluate(wide); }) && model.evaluate(std::vector<double>()).empty();
   good = good && throws<h4l::FileError>([&] { h4l::open_ratio(argv[2]); }) && throws<h4l::FileError>([&] { h4l::open_ratio("absent"); })
      && throws<h4l::FileError>([&] { h4l::open_ratio(argv[3]); });
   good = good && model.evaluate(row).size() == model.numerators().size() && model.columns()[0].unit == "GeV";
   good = good && model.origin().at("config_hash") == "c0ffee" && model.origin().at("training_data_hash") == "da7a" && !model.shareable();
   return good ? 0 : 1;
}
