// A model without a runtime: the columns are m4l, the number of jets and the mass of the jets; the log ratio is m4l + 1000 n_jets.
#ifndef STUBS_FAKE_MODEL_H
#define STUBS_FAKE_MODEL_H

#include <memory>
#include <string>

#include "h4l/model.h"
#include "h4l/onnxruntime.h"

class FakeBackend : public h4l::Backend {
 public:
   const std::string &metadata() const override { return metadata_; }
   bool has_spread() const override { return false; }
   bool shareable() const override { return true; }
   std::size_t max_rows() const override { return 100; }
   void evaluate(const float *rows, std::size_t n_rows, float *log_ratio, float *) const override
   {
      for (std::size_t k = 0; k < n_rows; ++k) log_ratio[k] = rows[3 * k] + 1000.0f * rows[3 * k + 1] + rows[3 * k + 2];
   }

 private:
   std::string metadata_ = R"({"features": [{"name": "m4l", "unit": "GeV", "training_range": [0, 1000]}, {"name": "n_jets", "unit": "", "training_range": [0, 9]},
      {"name": "m_jj_filled", "unit": "GeV", "training_range": [0, 1000]}], "fills": {"m_jj": 0.5}, "numerators": ["S"], "reference": "B"})";
};

namespace h4l {
Model open_onnxruntime(const std::string &path, int)
{
   if (path != "model.onnx") throw FileError("cannot read " + path);
   return Model(std::make_unique<FakeBackend>());
}
}  // namespace h4l

#endif
