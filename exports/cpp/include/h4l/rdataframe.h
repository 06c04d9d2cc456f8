// Log ratios as a column of an RDataFrame; needs ROOT.
//
//     ROOT::RDataFrame frame("events", "events.root");
//     auto with = h4l::define_log_ratio(frame, [] { return h4l::open_mixture("mixture.dat"); });
//     auto mean = with.Define("log_ratio_S", "log_ratio[0]").Mean("log_ratio_S");
#ifndef H4L_RDATAFRAME_H
#define H4L_RDATAFRAME_H

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ROOT/RDataFrame.hxx>
#include <ROOT/RVec.hxx>

#include "h4l/model.h"

namespace h4l {

/// Adds a column with the inputs of a model, ROOT::RVecF, from columns of their names: numbers of any type, in the units of the model.
inline ROOT::RDF::RNode define_row(ROOT::RDF::RNode frame, const Model &model, const std::string &name)
{
   std::string row;
   for (const auto &column : model.columns()) row += (row.empty() ? "" : ", ") + ("static_cast<float>(" + column.name + ")");
   return as_error<MismatchError>("columns of the data frame", [&] { return frame.Define(name, "ROOT::RVecF{" + row + "}"); });
}

/// Adds a column of log ratios, ROOT::RVecF with one number per density in the order of numerators().
///
/// open: opens the model; called once per slot, so that threads of ROOT do not share generated code.
/// Throws what open throws, and MismatchError where a column of the model is missing; events throw what Model::evaluate throws.
inline ROOT::RDF::RNode define_log_ratio(ROOT::RDF::RNode frame, const std::function<Model()> &open, const std::string &name = "log_ratio")
{
   auto models = std::make_shared<std::vector<Model>>();
   for (unsigned slot = 0; slot < frame.GetNSlots(); ++slot) models->push_back(open());
   const std::string row = name + "_inputs";
   const auto evaluate = [models](unsigned slot, const ROOT::RVecF &inputs) {
      const Model &model = (*models)[slot];
      ROOT::RVecF log_ratio(model.numerators().size());
      model.evaluate(inputs.data(), 1, inputs.size(), log_ratio.data());
      return log_ratio;
   };
   return define_row(std::move(frame), models->front(), row).DefineSlot(name, evaluate, {row});
}

}  // namespace h4l

#endif
