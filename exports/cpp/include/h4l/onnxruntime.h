// Open an ONNX file with the ONNX Runtime; link h4l::onnxruntime, which exists where its headers were found.
#ifndef H4L_ONNXRUNTIME_H
#define H4L_ONNXRUNTIME_H

#include <string>

#include "h4l/model.h"

namespace h4l {

/// Opens a file written by `write_onnx`. Throws FileError for a truncated or foreign file, MismatchError for another form.
Model open_onnxruntime(const std::string &path, int threads = 1);

}  // namespace h4l

#endif
