#include "h4l/onnxruntime.h"

#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace h4l {
namespace {

Ort::Env &shared_environment()
{
   return as_error("onnxruntime", []() -> Ort::Env & {
      static Ort::Env env(ORT_LOGGING_LEVEL_FATAL, "h4l");
      return env;
   });
}

Ort::Session open_session(const std::string &path, const Ort::Env &environment, int threads)
{
   if (threads < 0) throw MismatchError(std::to_string(threads) + " threads, expected 0 (those of the environment) or more");
   std::ifstream file(path, std::ios::binary);
   if (!file) throw FileError("cannot read the ONNX file " + path);
   return as_error<FileError>(path + " cannot be opened as an ONNX file", [&] {
      const std::vector<char> content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      Ort::SessionOptions options;
      if (threads == 0)
         options.DisablePerSessionThreads();
      else
         options.SetIntraOpNumThreads(threads);
      options.SetInterOpNumThreads(1);
      // From memory, so that a file with weights beside it is refused: it is not self-contained.
      return Ort::Session(environment, content.data(), content.size(), options);
   });
}

class OnnxRuntime final : public Backend {
 public:
   OnnxRuntime(const std::string &path, const Ort::Env &environment, int threads)
       : session_(open_session(path, environment, threads)), memory_(Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault))
   {
      Ort::AllocatorWithDefaultOptions allocator;
      const auto found = session_.GetModelMetadata().LookupCustomMetadataMapAllocated("h4l", allocator);
      if (!found) throw MismatchError(path + " has no metadata key h4l");
      metadata_ = found.get();
      const Json document = parse_json(metadata_);
      reading_json([&] {
         n_columns_ = static_cast<std::int64_t>(document.at("features").size());
         if (document.contains("parameters")) n_columns_ += static_cast<std::int64_t>(document.at("parameters").size());
         n_out_ = static_cast<std::int64_t>(document.at("numerators").size());
      });
      const std::size_t n_outputs = session_.GetOutputCount();
      spread_ = n_outputs == 2;
      bool fits = session_.GetInputCount() == 1 && (n_outputs == 1 || n_outputs == 2);
      fits = fits && session_.GetInputNameAllocated(0, allocator).get() == std::string(input_name);
      fits = fits && has_form(session_.GetInputTypeInfo(0), n_columns_);
      for (std::size_t i = 0; fits && i < n_outputs; ++i)
         fits = session_.GetOutputNameAllocated(i, allocator).get() == std::string(names_[i]) && has_form(session_.GetOutputTypeInfo(i), n_out_);
      if (!fits) throw MismatchError(path + ": inputs or outputs do not fit its own metadata");
   }

   const std::string &metadata() const override { return metadata_; }
   bool has_spread() const override { return spread_; }
   std::size_t max_rows() const override { return 10000; }
   bool shareable() const override { return true; }

   void evaluate(const float *rows, std::size_t n_rows, float *log_ratio, float *spread) const override
   {
      const auto n = static_cast<std::int64_t>(n_rows);
      const std::array<std::int64_t, 2> in{n, n_columns_}, out{n, n_out_};
      const std::size_t size_in = n_rows * static_cast<std::size_t>(n_columns_), size_out = n_rows * static_cast<std::size_t>(n_out_);
      // The runtime takes inputs as non-const, and does not write to them.
      const Ort::Value input = Ort::Value::CreateTensor<float>(memory_, const_cast<float *>(rows), size_in, in.data(), in.size());
      std::array<Ort::Value, 2> results{Ort::Value::CreateTensor<float>(memory_, log_ratio, size_out, out.data(), out.size()), Ort::Value(nullptr)};
      if (spread != nullptr) results[1] = Ort::Value::CreateTensor<float>(memory_, spread, size_out, out.data(), out.size());
      session_.Run(Ort::RunOptions{nullptr}, &input_name, &input, 1, names_.data(), results.data(), spread == nullptr ? 1 : 2);
   }

 private:
   static bool has_form(const Ort::TypeInfo &info, std::int64_t width)
   {
      if (info.GetONNXType() != ONNX_TYPE_TENSOR) return false;
      const auto tensor = info.GetTensorTypeAndShapeInfo();
      const auto shape = tensor.GetShape();
      return tensor.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT && shape.size() == 2 && shape[0] < 0 && shape[1] == width;
   }

   static constexpr const char *input_name = "observables";
   static constexpr std::array<const char *, 2> names_{"log_ratio", "log_ratio_spread"};
   mutable Ort::Session session_;  // Run is not const in the runtime's interface, and may be called from several threads
   Ort::MemoryInfo memory_;
   std::string metadata_;
   std::int64_t n_columns_ = 0, n_out_ = 0;
   bool spread_ = false;
};

}  // namespace

Model open_onnxruntime(const std::string &path, Ort::Env &environment, int threads)
{
   return as_error("onnxruntime: " + path, [&] { return Model(std::make_unique<OnnxRuntime>(path, environment, threads)); });
}

Model open_onnxruntime(const std::string &path, int threads)
{
   return open_onnxruntime(path, shared_environment(), threads);
}

}  // namespace h4l
