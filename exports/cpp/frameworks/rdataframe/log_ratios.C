// Adds log_ratio, a vector with one number per density, to a tree; in threads.
//
//     root -l -b -q 'log_ratios.C("events", "events.root", "ratio.dat", "with_ratios.root")'
//
// The model is generated code, named `ratio` (h4l cpp --name ratio) and built as a shared library (BUILD_SHARED_LIBS=ON). ROOT finds the package by
//     export ROOT_INCLUDE_PATH=PREFIX/include LD_LIBRARY_PATH=PREFIX/lib
// For an ONNX file load libh4l_onnxruntime, include h4l/onnxruntime.h and call h4l::open_onnxruntime.
R__LOAD_LIBRARY(libh4l_ratio)
#include <h4l/ratio.h>
#include <h4l/rdataframe.h>

void log_ratios(const char *tree, const char *file, const char *model, const char *out)
{
   ROOT::EnableImplicitMT();
   ROOT::RDataFrame frame(tree, file);
   const std::string weights = model;
   auto with = h4l::define_log_ratio(frame, [weights] { return h4l::open_ratio(weights); });
   with.Snapshot(tree, out, {"log_ratio"});
}
