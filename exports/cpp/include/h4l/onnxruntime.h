// Open an ONNX file with the ONNX Runtime; link h4l::onnxruntime, which exists where its headers were found.
#ifndef H4L_ONNXRUNTIME_H
#define H4L_ONNXRUNTIME_H

#include <string>

#include "h4l/export.h"
#include "h4l/model.h"

namespace Ort {
struct Env;
}

namespace h4l {

/// Opens a file written by `write_onnx`, in an environment that all models of the library share. Threads may share the model.
///
/// threads: of one evaluation, those of its caller included.
/// Throws FileError for a truncated or foreign file, MismatchError for another form.
H4L_EXPORT Model open_onnxruntime(const std::string &path, int threads = 1);

/// The same in the environment of the caller, which outlives the model. threads = 0 takes the thread pool of that environment.
H4L_EXPORT Model open_onnxruntime(const std::string &path, Ort::Env &environment, int threads = 1);

}  // namespace h4l

#endif
