// Writes the log ratios of a table of events, in one pass, block by block.
//
//     h4l-table MODEL events.csv > log_ratios.csv
//     h4l-table MODEL events.root TREE > log_ratios.csv          (where ROOT was found)
//
// The first line of the CSV file names its columns, in any order, as `m4l` or, to have the unit checked too, `m4l[GeV]`.
// Other columns are ignored. Exit code 2 says that a file is wrong; the message says what, and lines already written are those of the events before.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "open_model.h"

#ifdef H4L_HAS_ROOT
#include "h4l/rdataframe.h"
#endif

namespace {

constexpr std::size_t block_rows = 4096;

// Collects rows, evaluates and prints them a block at a time: memory does not grow with the table.
class Writer {
 public:
   explicit Writer(const h4l::Model &model) : model_(model), width_(model.columns().size()), n_out_(model.numerators().size()) {}

   /// Adds an event; `where` names it in messages.
   void add(const float *row, const std::string &where)
   {
      for (std::size_t i = 0; i < width_; ++i) {
         if (!h4l::is_finite(row[i])) throw h4l::ValueError(where + ": " + model_.columns()[i].name + " is NaN or infinite");
         rows_.push_back(row[i]);
      }
      if (rows_.size() == block_rows * width_) flush();
   }

   void finish()
   {
      flush();
      head();
      if (std::fflush(stdout) != 0) throw h4l::FileError("cannot write the log ratios");
   }

 private:
   // Not before the first block: a table whose first rows are wrong gives no output.
   void head()
   {
      if (started_) return;
      started_ = true;
      const auto &names = model_.numerators();
      for (std::size_t j = 0; j < n_out_; ++j) std::printf("%slog_ratio_%s", j == 0 ? "" : ",", names[j].c_str());
      for (std::size_t j = 0; model_.has_spread() && j < n_out_; ++j) std::printf(",log_ratio_spread_%s", names[j].c_str());
      std::printf("\n");
   }

   void flush()
   {
      const auto log_ratio = model_.evaluate(rows_, model_.has_spread() ? &spread_ : nullptr);
      if (!rows_.empty()) head();
      for (std::size_t k = 0; k < log_ratio.size(); k += n_out_) {
         for (std::size_t j = 0; j < n_out_; ++j) std::printf("%s%.9g", j == 0 ? "" : ",", static_cast<double>(log_ratio[k + j]));
         for (std::size_t j = 0; model_.has_spread() && j < n_out_; ++j) std::printf(",%.9g", static_cast<double>(spread_[k + j]));
         std::printf("\n");
      }
      rows_.clear();
   }

   const h4l::Model &model_;
   std::size_t width_, n_out_;
   std::vector<float> rows_, spread_;
   bool started_ = false;
};

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

void read_csv(const h4l::Model &model, const std::string &path, Writer &writer)
{
   std::ifstream file(path);
   std::string line;
   if (!std::getline(file, line)) throw h4l::FileError("cannot read " + path);
   const auto header = split(line);
   const auto positions = find_columns(model, header);
   std::vector<float> row(positions.size());
   for (std::size_t number = 2; std::getline(file, line); ++number) {
      if (line.empty()) continue;
      const auto cells = split(line);
      const std::string where = path + ", line " + std::to_string(number);
      if (cells.size() != header.size())
         throw h4l::ShapeError(where + ": " + std::to_string(cells.size()) + " cells, expected " + std::to_string(header.size()));
      for (std::size_t k = 0; k < positions.size(); ++k) {
         const std::string &cell = cells[positions[k]];
         char *end = nullptr;
         row[k] = static_cast<float>(std::strtod(cell.c_str(), &end));
         if (cell.empty() || *end != '\0') throw h4l::ValueError(where + ": \"" + cell + "\" is no number");
      }
      writer.add(row.data(), where);
   }
   if (file.bad()) throw h4l::FileError(path + " cannot be read to its end");
}

void read_root(const h4l::Model &model, const std::string &path, const std::string &tree, Writer &writer)
{
#ifdef H4L_HAS_ROOT
   h4l::as_error<h4l::FileError>(path, [&] {
      ROOT::RDataFrame frame(tree, path);
      std::size_t entry = 0;
      const auto each = [&](const ROOT::RVecF &row) { writer.add(row.data(), path + ", entry " + std::to_string(entry++)); };
      h4l::define_row(frame, model, "h4l_inputs").Foreach(each, {"h4l_inputs"});
   });
#else
   static_cast<void>(model), static_cast<void>(tree), static_cast<void>(writer);
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
   return run_program([&] {
      const auto model = open_model(argv[1]);
      Writer writer(model);
      if (argc == 4)
         read_root(model, argv[2], argv[3], writer);
      else
         read_csv(model, argv[2], writer);
      writer.finish();
      return 0;
   });
}
