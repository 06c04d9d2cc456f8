// Writes the log ratios of a table of events.
//
//     h4l-table MODEL events.csv > log_ratios.csv
//     h4l-table MODEL events.root TREE > log_ratios.csv          (where ROOT was found)
//
// The first line of the CSV file names its columns, in any order, as `m4l` or, to have the unit checked too, `m4l[GeV]`.
// Other columns are ignored. Exit code 2 says that a file is wrong; the message says what.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "open_model.h"

#ifdef H4L_HAS_ROOT
#include <ROOT/RDataFrame.hxx>
#endif

namespace {

std::vector<std::string> split(const std::string &line)
{
   std::vector<std::string> cells;
   std::stringstream stream(line);
   for (std::string cell; std::getline(stream, cell, ',');) {
      while (!cell.empty() && (cell.back() == '\r' || cell.back() == ' ')) cell.pop_back();
      cells.push_back(cell);
   }
   return cells;
}

std::vector<std::size_t> find_columns(const h4l::Model &model, const std::vector<std::string> &header)
{
   std::vector<std::size_t> positions;
   for (const auto &column : model.columns()) {
      std::size_t i = 0;
      for (; i < header.size(); ++i) {
         if (header[i] == column.name || header[i] == column.name + "[" + column.unit + "]") break;
         if (header[i].rfind(column.name + "[", 0) == 0)
            throw h4l::MismatchError(header[i] + ": the model takes " + column.name + " in \"" + column.unit + "\"");
      }
      if (i == header.size()) throw h4l::MismatchError("no column " + column.name);
      positions.push_back(i);
   }
   return positions;
}

std::vector<float> read_csv(const h4l::Model &model, const std::string &path)
{
   std::ifstream file(path);
   std::string line;
   if (!std::getline(file, line)) throw h4l::FileError("cannot read " + path);
   const auto header = split(line);
   const auto positions = find_columns(model, header);
   std::vector<float> rows;
   for (std::size_t number = 2; std::getline(file, line); ++number) {
      if (line.empty()) continue;
      const auto cells = split(line);
      if (cells.size() != header.size())
         throw h4l::ShapeError(path + ", line " + std::to_string(number) + ": " + std::to_string(cells.size()) + " cells, expected " +
                               std::to_string(header.size()));
      for (const std::size_t i : positions) {
         char *end = nullptr;
         const double value = std::strtod(cells[i].c_str(), &end);
         if (cells[i].empty() || *end != '\0')
            throw h4l::ValueError(path + ", line " + std::to_string(number) + ": \"" + cells[i] + "\" is no number");
         rows.push_back(static_cast<float>(value));
      }
   }
   return rows;
}

#ifdef H4L_HAS_ROOT
std::vector<float> read_root(const h4l::Model &model, const std::string &path, const std::string &tree)
{
   std::vector<std::vector<double>> columns;
   try {
      ROOT::RDataFrame frame(tree, path);
      for (const auto &column : model.columns())
         columns.push_back(*frame.Define("h4l_value", "static_cast<double>(" + column.name + ")").Take<double>("h4l_value"));
   } catch (const std::exception &error) {
      throw h4l::FileError(path + ": " + error.what());
   }
   std::vector<float> rows;
   for (std::size_t k = 0; k < columns.front().size(); ++k)
      for (const auto &column : columns) rows.push_back(static_cast<float>(column[k]));
   return rows;
}
#endif

std::vector<float> read(const h4l::Model &model, const std::string &path, const char *tree)
{
   if (tree == nullptr) return read_csv(model, path);
#ifdef H4L_HAS_ROOT
   return read_root(model, path, tree);
#else
   throw h4l::FileError(path + ": ROOT was not found when this program was built; write the tree as CSV");
#endif
}

}  // namespace

int main(int argc, char **argv)
{
   if (argc != 3 && argc != 4) {
      std::cerr << "usage: h4l-table MODEL events.csv | events.root TREE\n";
      return 2;
   }
   try {
      auto model = open_model(argv[1]);
      const auto rows = read(model, argv[2], argc == 4 ? argv[3] : nullptr);
      std::vector<float> spread;
      const auto log_ratio = rows.empty() ? std::vector<float>() : model.evaluate(rows, model.has_spread() ? &spread : nullptr);
      const auto &names = model.numerators();
      for (std::size_t j = 0; j < names.size(); ++j) std::printf("%slog_ratio_%s", j == 0 ? "" : ",", names[j].c_str());
      for (std::size_t j = 0; model.has_spread() && j < names.size(); ++j) std::printf(",log_ratio_spread_%s", names[j].c_str());
      for (std::size_t k = 0; k < log_ratio.size(); k += names.size()) {
         for (std::size_t j = 0; j < names.size(); ++j) std::printf("%s%.9g", j == 0 ? "\n" : ",", log_ratio[k + j]);
         for (std::size_t j = 0; model.has_spread() && j < names.size(); ++j) std::printf(",%.9g", spread[k + j]);
      }
      std::printf("\n");
   } catch (const h4l::Error &error) {
      std::cerr << "error: " << error.what() << "\n";
      return 2;
   }
   return 0;
}
