// A log-ratio network: ln p_numerator / p_reference of events, with its column names, units and training ranges.
//
//     auto model = h4l::open_mixture("mixture.dat");                      // compiled in, from h4l/mixture.h
//     auto model = h4l::open_onnxruntime("mixture.onnx");                 // from h4l/onnxruntime.h
//     model.require({{"m4l", "GeV"}, {"cos_theta_star", ""}, ...});       // once: names, units and order
//     std::vector<float> log_ratio = model.evaluate(event);               // one event, or many row by row
//
// evaluate is const. Threads share a model of the ONNX Runtime (shareable() is true); of generated code each thread opens its own: a second thread
// inside gets a ThreadError.
#ifndef H4L_MODEL_H
#define H4L_MODEL_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "h4l/backend.h"
#include "h4l/errors.h"
#include "h4l/json.h"

namespace h4l {

/// One input of a network.
struct Column {
   std::string name;
   std::string unit;   ///< "" for a pure number
   double low = 0.0;   ///< smallest value seen in training
   double high = 0.0;  ///< largest value seen in training
};

/// Whether a number is neither NaN nor infinite; works where the compiler assumes that there are none.
inline bool is_finite(float value)
{
   std::uint32_t bits;
   std::memcpy(&bits, &value, sizeof bits);
   return (bits & 0x7F800000u) != 0x7F800000u;
}

/// A model file behind one of the back ends.
class Model {
 public:
   explicit Model(std::unique_ptr<Backend> backend) : backend_(std::move(backend))
   {
      if (backend_ == nullptr) throw MismatchError("a model without a back end");
      reading_json([&] { read(Json::parse(backend_->metadata())); });
      if (columns_.empty() || numerators_.empty()) throw MismatchError("metadata without features or numerators");
   }

   /// Inputs in order: the observables, then the parameters of a parameterised network.
   const std::vector<Column> &columns() const { return columns_; }
   /// How many of the columns are observables.
   std::size_t n_features() const { return n_features_; }
   /// Outputs in order: which density is on top.
   const std::vector<std::string> &numerators() const { return numerators_; }
   /// The density below.
   const std::string &reference() const { return reference_; }
   /// What stands for a missing observable NAME in the column NAME_filled; for h4l::Observables.
   const std::map<std::string, double> &fills() const { return fills_; }
   /// Which pair of leptons is Z1: leading, heavier or harder.
   const std::string &z1() const { return z1_; }
   /// Where the model comes from: toolkit_version, config_hash, training_data_hash.
   const std::map<std::string, std::string> &origin() const { return origin_; }
   /// Whether evaluate can fill the spread.
   bool has_spread() const { return backend_->has_spread(); }
   /// Whether threads may share this object.
   bool shareable() const { return backend_->shareable(); }

   /// Checks that the columns that a program is going to give are those of the model, in its order and units.
   void require(const std::vector<Column> &given) const
   {
      if (given.size() != columns_.size())
         throw MismatchError(std::to_string(given.size()) + " columns given, the model has " + names());
      for (std::size_t i = 0; i < given.size(); ++i) {
         if (given[i].name != columns_[i].name)
            throw MismatchError("column " + std::to_string(i) + " is " + given[i].name + ", the model has " + names());
         if (given[i].unit != columns_[i].unit)
            throw MismatchError(given[i].name + " in \"" + given[i].unit + "\", the model takes \"" + columns_[i].unit + "\"");
      }
   }

   /// Evaluates any number of events; no events give no results.
   ///
   /// rows: columns().size() numbers per event, in the units of the columns.
   /// Returns numerators().size() natural logarithms of numerator over reference per event.
   /// Throws ShapeError for another width, ValueError for NaN or infinity in rows or result.
   std::vector<float> evaluate(const std::vector<float> &rows) const { return evaluate(rows, nullptr); }

   /// The same, with the standard deviation over the networks of an ensemble, in the form of the result.
   std::vector<float> evaluate(const std::vector<float> &rows, std::vector<float> *spread) const
   {
      const std::size_t width = columns_.size();
      if (rows.size() % width != 0)
         throw ShapeError(std::to_string(rows.size()) + " numbers, expected a multiple of " + std::to_string(width) + ": " + names());
      const std::size_t n_rows = rows.size() / width;
      return as_error(std::to_string(n_rows) + " events", [&] {
         std::vector<float> log_ratio(n_rows * numerators_.size());
         if (spread != nullptr) spread->resize(log_ratio.size());
         evaluate(rows.data(), n_rows, width, log_ratio.data(), spread == nullptr ? nullptr : spread->data());
         return log_ratio;
      });
   }

   /// The same from double precision, which is rounded to single precision first, as the network computes.
   std::vector<float> evaluate(const std::vector<double> &rows, std::vector<float> *spread = nullptr) const
   {
      return as_error(std::to_string(rows.size()) + " numbers", [&] {
         std::vector<float> rounded;
         rounded.reserve(rows.size());
         for (const double value : rows) rounded.push_back(static_cast<float>(value));
         return evaluate(rounded, spread);
      });
   }

   /// The same without allocations: results go to n_rows * numerators().size() numbers at log_ratio and, unless null, at spread.
   void evaluate(const float *rows, std::size_t n_rows, std::size_t width, float *log_ratio, float *spread = nullptr) const
   {
      if (width != columns_.size())
         throw ShapeError(std::to_string(width) + " columns, expected " + std::to_string(columns_.size()) + ": " + names());
      if (spread != nullptr && !has_spread()) throw MismatchError("a single network has no spread");
      const std::size_t n_out = numerators_.size(), block = backend_->max_rows();
      if (n_rows > std::numeric_limits<std::size_t>::max() / sizeof(float) / std::max(width, n_out) || (n_rows > 0 && (rows == nullptr || log_ratio == nullptr)))
         throw ShapeError("no memory holds " + std::to_string(n_rows) + " rows at the addresses given");
      check(rows, n_rows, width, "input");
      as_error("evaluation", [&] {
         for (std::size_t first = 0; first < n_rows; first += block) {
            const std::size_t n = std::min(block, n_rows - first);
            backend_->evaluate(rows + first * width, n, log_ratio + first * n_out, spread == nullptr ? nullptr : spread + first * n_out);
         }
      });
      check(log_ratio, n_rows, n_out, "log ratio");
      if (spread != nullptr) check(spread, n_rows, n_out, "spread");
   }

   /// Whether a row lies in the range seen in training in every column; outside the network extrapolates.
   bool in_training_range(const float *row) const
   {
      for (std::size_t i = 0; i < columns_.size(); ++i)
         if (row[i] < static_cast<float>(columns_[i].low) || row[i] > static_cast<float>(columns_[i].high)) return false;
      return true;
   }

 private:
   void read(const Json &document)
   {
      if (document.contains("schema") && document.at("schema") != 1) throw MismatchError("metadata of another version than 1");
      for (const auto &feature : document.at("features")) columns_.push_back(column(feature));
      n_features_ = columns_.size();
      if (document.contains("parameters"))
         for (const auto &parameter : document.at("parameters")) columns_.push_back(column(parameter));
      document.at("numerators").get_to(numerators_);
      document.at("reference").get_to(reference_);
      if (document.contains("fills")) document.at("fills").get_to(fills_);
      if (document.contains("z1")) document.at("z1").get_to(z1_);
      for (const char *key : {"toolkit_version", "config_hash", "training_data_hash"})
         if (document.contains(key)) origin_[key] = document.at(key).get<std::string>();
   }

   static Column column(const Json &document)
   {
      const auto name = document.at("name").get<std::string>();
      const auto range = document.at("training_range").get<std::vector<double>>();
      if (range.size() != 2) throw MismatchError("training_range of " + name + " is not two numbers");
      return {name, document.at("unit").get<std::string>(), range[0], range[1]};
   }

   std::string names() const
   {
      std::string out = std::to_string(columns_.size()) + ":";
      for (const auto &c : columns_) out += " " + c.name;
      return out;
   }

   void check(const float *values, std::size_t n_rows, std::size_t width, const char *what) const
   {
      for (std::size_t k = 0; k < n_rows * width; ++k) {
         if (is_finite(values[k])) continue;
         const bool input = width == columns_.size() && what[0] == 'i';
         throw ValueError(std::string(what) + ": " + (input ? columns_[k % width].name : numerators_[k % width]) + " in row " +
                          std::to_string(k / width) + " is NaN or infinite");
      }
   }

   std::unique_ptr<Backend> backend_;
   std::vector<Column> columns_;
   std::vector<std::string> numerators_;
   std::string reference_;
   std::map<std::string, double> fills_;
   std::string z1_ = "leading";
   std::map<std::string, std::string> origin_;
   std::size_t n_features_ = 0;
};

}  // namespace h4l

#endif
