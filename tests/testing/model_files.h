#ifndef BASIN_TESTS_TESTING_MODEL_FILES_H_
#define BASIN_TESTS_TESTING_MODEL_FILES_H_

// Small models for tests: ONNX files built in place, and model repositories
// on disk.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace basin::testing {

// Writes an ONNX file (opset 17), node by node:
//   OnnxBuilder b;
//   b.Input("x", {-1, 2}).Node("Mul", {"x", "x"}, "xx")
//       .Constant("axes", {1}).Node("ReduceSum", {"xx", "axes"}, "energy", ...)
// Not thread-safe.
class OnnxBuilder {
 public:
  OnnxBuilder();
  ~OnnxBuilder();

  // A float32 input; -1 is the row dimension, "N".
  OnnxBuilder& Input(const std::string& name, const std::vector<int64_t>& dims);
  // As Input(), of int64.
  OnnxBuilder& IntInput(const std::string& name,
                        const std::vector<int64_t>& dims);
  // Initialisers.
  OnnxBuilder& Floats(const std::string& name, const std::vector<int64_t>& dims,
                      const std::vector<float>& values);
  OnnxBuilder& Ints(const std::string& name,
                    const std::vector<int64_t>& values);
  OnnxBuilder& Node(const std::string& op,
                    const std::vector<std::string>& inputs,
                    const std::string& output);
  // Attributes of the last node.
  OnnxBuilder& IntAttribute(const std::string& name, int64_t value);
  OnnxBuilder& IntsAttribute(const std::string& name,
                             const std::vector<int64_t>& values);
  // A float32 output; -1 as in Input().
  OnnxBuilder& Output(const std::string& name,
                      const std::vector<int64_t>& dims);

  // The file's bytes.
  std::string Build() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// E(x) = scale * |x|^2 / 2 with x [D]: grad_energy = scale * x.
std::string QuadraticOnnx(int64_t dimension, float scale = 1);
// E(x) = |x - mean over the batch of x|^2: rows influence each other.
std::string RowMixingOnnx(int64_t dimension);
// E(x) = -logsumexp(x W), W [D, K] with W_ij = sin(1 + i K + j): logits.
std::string ClassifierOnnx(int64_t dimension, int64_t classes);

// "family: GRAPH input { shape: [D] }" and `more`.
std::string GraphConfig(int64_t dimension, const std::string& more = "");

void WriteFile(const std::string& path, std::string_view bytes);
std::string ReadFile(const std::string& path);

// Makes `repository`/name/config.pbtxt and .../version/model.onnx.
void WriteModel(const std::string& repository, const std::string& name,
                int64_t version, const std::string& config,
                std::string_view onnx);

// deploy/models under the source tree.
std::string DemoModelsPath();

}  // namespace basin::testing

#endif  // BASIN_TESTS_TESTING_MODEL_FILES_H_
