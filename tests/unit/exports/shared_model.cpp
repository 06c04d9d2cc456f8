// One model of the ONNX Runtime for all threads; environments of the caller; every failure below h4l::Error.
//
//     shared_model MODEL.onnx REFERENCE.json FOLDER          FOLDER holds damaged files
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <onnxruntime_cxx_api.h>

#include <h4l/observables.h>
#include <h4l/onnxruntime.h>

namespace {

int failures = 0;

void expect(bool good, const char *what)
{
   std::printf("%s: %s\n", what, good ? "good" : "WRONG");
   failures += !good;
}

template <class Expected, class Call>
void throws(Call call, const char *what)
{
   bool thrown = false;
   try {
      call();
   } catch (const Expected &error) {
      thrown = true;
      std::puts(error.what());
   }
   expect(thrown, what);
}

void shares(const h4l::Model &model, const std::vector<double> &rows, const std::vector<float> &expected)
{
   std::atomic<int> wrong{0};
   std::vector<std::thread> threads;
   for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
         for (int k = 0; k < 20; ++k) wrong += model.evaluate(rows) != expected;
      });
   for (auto &thread : threads) thread.join();
   expect(wrong == 0 && model.shareable(), "threads share a const model");
}

void refuses(const h4l::Model &model)
{
   const std::size_t width = model.columns().size();
   std::vector<float> out(model.numerators().size()), row(width, 1.0f);
   expect(model.evaluate(std::vector<double>()).empty(), "no rows");
   model.evaluate(nullptr, 0, width, nullptr);
   for (const std::size_t many : {std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::size_t>::max() / 8})
      throws<h4l::ShapeError>([&] { model.evaluate(row.data(), many, width, out.data()); }, "more rows than any memory holds");
   throws<h4l::ShapeError>([&] { model.evaluate(nullptr, 1, width, out.data()); }, "no address of the rows");
   throws<h4l::ShapeError>([&] { model.evaluate(row.data(), 1, width + 1, out.data()); }, "another width");
   row[0] = std::nanf("");
   throws<h4l::ValueError>([&] { model.evaluate(row); }, "NaN");
}

void refuses_files(const std::string &folder, Ort::Env &environment, const std::string &good)
{
   for (const char *name : {"/absent.onnx", "/short.onnx", "/empty.onnx", "/"})
      throws<h4l::FileError>([&] { h4l::open_onnxruntime(folder + name, environment); }, name);
   throws<h4l::MismatchError>([&] { h4l::open_onnxruntime(good, -1); }, "-1 threads");
   throws<h4l::Error>([&] { h4l::open_onnxruntime(good, environment, 0); }, "the pool of an environment that has none");
}

#ifdef H4L_STUB
void refuses_documents(const std::string &folder)
{
   for (const char *name : {"/no_features.onnx", "/wrong_type.onnx", "/no_json.onnx"})
      throws<h4l::MismatchError>([&] { h4l::open_onnxruntime(folder + name); }, name);
   const auto model = h4l::open_onnxruntime(folder + "/filled.onnx");
   expect(model.fills().at("m_jj") == -5.0 && model.z1() == "harder", "fills and the convention of Z1");
   throws<h4l::Error>([&] { model.evaluate(std::vector<float>{10.0f, 3.0f}); }, "a failure of the runtime");
   throws<h4l::Error>([&] { model.evaluate(std::vector<float>{10.0f, 7.0f}); }, "no memory");
   std::vector<float> spread;
   expect(model.evaluate(std::vector<double>{1.0, 2.0}, &spread) == std::vector<float>{3.0f, 4.0f} && spread.size() == 2, "the stub adds up");
}
#endif

}  // namespace

int main(int, char **argv)
{
   const std::string path = argv[1], folder = argv[3];
   Ort::Env environment(ORT_LOGGING_LEVEL_FATAL, "test");
   const auto model = h4l::open_onnxruntime(path, environment), other = h4l::open_onnxruntime(path);
   const auto document = h4l::read_json(argv[2]);
   std::vector<double> rows, exact;
   for (const auto &row : document.at("rows"))
      for (const auto &value : row) rows.push_back(value.get<double>());
   for (const auto &row : document.at("torch_float64").at("log_ratio"))
      for (const auto &value : row) exact.push_back(value.get<double>());
   const auto found = model.evaluate(rows);
   expect(found == other.evaluate(rows), "an environment of the caller");
#ifndef H4L_STUB
   double worst = found.size() == exact.size() ? 0.0 : 1.0;
   for (std::size_t i = 0; worst < 1.0 && i < exact.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(found[i]) - exact[i]));
   std::printf("largest difference from torch in float64: %.2g\n", worst);
   expect(worst < 2e-5, "the reference rows");
#else
   refuses_documents(folder);
#endif
   const auto &origin = model.origin();
   expect(origin.at("config_hash") == "c0ffee" && origin.at("training_data_hash") == "da7a" && !origin.at("toolkit_version").empty(), "where it comes from");
   shares(model, rows, found);
   refuses(model);
   refuses_files(folder, environment, path);
   return failures != 0;
}
