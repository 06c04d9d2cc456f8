// The part of the ONNX Runtime's C++ interface that src/onnxruntime.cpp uses, for machines without it: a "network" that adds up its inputs.
//
// A file is JSON metadata, alone or with bytes around it as in an ONNX file; it must hold "features". Every output is the sum of the inputs plus its number.
// A sum of 13 is a failure of the runtime, a sum of 17 one of memory.
#ifndef ONNXRUNTIME_CXX_API_H
#define ONNXRUNTIME_CXX_API_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

enum OrtLoggingLevel { ORT_LOGGING_LEVEL_FATAL };
enum ONNXType { ONNX_TYPE_TENSOR };
enum ONNXTensorElementDataType { ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT };
enum OrtAllocatorType { OrtArenaAllocator };
enum OrtMemType { OrtMemTypeDefault };

namespace Ort {

struct Exception : std::exception {
   explicit Exception(std::string text) : text_(std::move(text)) {}
   const char *what() const noexcept override { return text_.c_str(); }
   std::string text_;
};

struct Env {
   Env(OrtLoggingLevel, const char *) {}
};

struct SessionOptions {
   void SetIntraOpNumThreads(int) {}
   void SetInterOpNumThreads(int) {}
   void DisablePerSessionThreads() { global_ = true; }
   bool global_ = false;
};

struct AllocatorWithDefaultOptions {};
using AllocatedStringPtr = std::unique_ptr<char[]>;

inline AllocatedStringPtr copy(const std::string &text)
{
   AllocatedStringPtr out(new char[text.size() + 1]);
   text.copy(out.get(), text.size());
   out[text.size()] = '\0';
   return out;
}

struct ModelMetadata {
   AllocatedStringPtr LookupCustomMetadataMapAllocated(const char *, AllocatorWithDefaultOptions) const { return copy(text_); }
   std::string text_;
};

struct TensorTypeAndShapeInfo {
   std::vector<std::int64_t> GetShape() const { return {-1, width_}; }
   ONNXTensorElementDataType GetElementType() const { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
   std::int64_t width_;
};

struct TypeInfo {
   ONNXType GetONNXType() const { return ONNX_TYPE_TENSOR; }
   TensorTypeAndShapeInfo GetTensorTypeAndShapeInfo() const { return {width_}; }
   std::int64_t width_;
};

struct MemoryInfo {
   static MemoryInfo CreateCpu(OrtAllocatorType, OrtMemType) { return {}; }
};

struct RunOptions {
   explicit RunOptions(std::nullptr_t) {}
};

struct Value {
   explicit Value(std::nullptr_t) {}
   Value(const Value &) = delete;
   Value(Value &&) = default;
   Value &operator=(Value &&) = default;
   template <class T>
   static Value CreateTensor(const MemoryInfo &, T *data, std::size_t, const std::int64_t *shape, std::size_t)
   {
      Value value(nullptr);
      value.data_ = data;
      value.rows_ = static_cast<std::size_t>(shape[0]);
      value.width_ = static_cast<std::size_t>(shape[1]);
      return value;
   }
   float *data_ = nullptr;
   std::size_t rows_ = 0, width_ = 0;
};

struct Session {
   Session(const Env &, const void *content, std::size_t size, const SessionOptions &options)
   {
      if (options.global_) throw Exception("the environment has no thread pool");
      const std::string text(static_cast<const char *>(content), size);
      const auto begin = text.find("{\"schema\""), end = text.rfind('}');
      if (begin == std::string::npos || end == std::string::npos) throw Exception("no protobuf");
      metadata_ = text.substr(begin, end + 1 - begin);
      const auto document = nlohmann::json::parse(metadata_, nullptr, false);
      if (document.is_discarded()) return;
      columns_ = static_cast<std::int64_t>(document.value("features", nlohmann::json::array()).size());
      outputs_ = static_cast<std::int64_t>(document.value("numerators", nlohmann::json::array()).size());
   }
   ModelMetadata GetModelMetadata() const { return {metadata_}; }
   std::size_t GetInputCount() const { return 1; }
   std::size_t GetOutputCount() const { return 2; }
   AllocatedStringPtr GetInputNameAllocated(std::size_t, AllocatorWithDefaultOptions) const { return copy("observables"); }
   AllocatedStringPtr GetOutputNameAllocated(std::size_t i, AllocatorWithDefaultOptions) const { return copy(i == 0 ? "log_ratio" : "log_ratio_spread"); }
   TypeInfo GetInputTypeInfo(std::size_t) const { return {columns_}; }
   TypeInfo GetOutputTypeInfo(std::size_t) const { return {outputs_}; }
   void Run(const RunOptions &, const char *const *, const Value *inputs, std::size_t, const char *const *, Value *outputs, std::size_t n_outputs)
   {
      for (std::size_t k = 0; k < inputs->rows_; ++k) {
         float sum = 0.0f;
         for (std::size_t i = 0; i < inputs->width_; ++i) sum += inputs->data_[k * inputs->width_ + i];
         if (sum == 13.0f) throw Exception("broken");
         if (sum == 17.0f) throw std::bad_alloc();
         for (std::size_t o = 0; o < n_outputs; ++o)
            for (std::size_t j = 0; j < outputs[o].width_; ++j) outputs[o].data_[k * outputs[o].width_ + j] = sum + static_cast<float>(j);
      }
   }
   std::string metadata_;
   std::int64_t columns_ = 0, outputs_ = 0;
};

}  // namespace Ort

#endif
