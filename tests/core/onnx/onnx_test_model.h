#ifndef BASIN_TESTS_CORE_ONNX_ONNX_TEST_MODEL_H_
#define BASIN_TESTS_CORE_ONNX_ONNX_TEST_MODEL_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/onnx/onnx_model.h"
#include "core/onnx/onnx_proto.h"
#include "core/tensor/tensor.h"

namespace basin::testing {

// Sets attributes of one node: Attributes(node).Int("axis", 1).
class Attributes {
 public:
  explicit Attributes(onnx::NodeProto& node) : node_(node) {}
  Attributes& Int(const std::string& name, int64_t value);
  Attributes& Ints(const std::string& name, std::vector<int64_t> values);
  Attributes& Float(const std::string& name, float value);
  Attributes& String(const std::string& name, const std::string& value);
  onnx::TensorProto& Tensor(const std::string& name);

 private:
  onnx::AttributeProto& Add(const std::string& name);
  onnx::NodeProto& node_;
};

// Writes small ONNX files. Dimension -1 is the open row count.
class TestModel {
 public:
  explicit TestModel(int64_t opset = 17);

  TestModel& Input(const std::string& name, std::vector<int64_t> dims);
  // Of int64 elements, or another type of ONNX.
  TestModel& IntegerInput(const std::string& name, std::vector<int64_t> dims,
                          int32_t type = onnx::TensorProto::INT64);
  TestModel& Output(const std::string& name);
  // Float and int64 initialisers.
  TestModel& Weight(const std::string& name, std::vector<int64_t> dims,
                    std::vector<float> values);
  TestModel& Integers(const std::string& name, std::vector<int64_t> dims,
                      std::vector<int64_t> values);
  // The node's name is its operator's; returned for more attributes.
  Attributes Node(const std::string& op, std::vector<std::string> inputs,
                  std::vector<std::string> outputs);

  onnx::ModelProto& proto() { return proto_; }
  onnx::GraphProto& graph() { return *proto_.mutable_graph(); }
  std::string Serialize() const { return proto_.SerializeAsString(); }
  absl::StatusOr<std::shared_ptr<const OnnxModel>> Parse() const {
    return OnnxModel::Parse(Serialize());
  }

 private:
  onnx::ModelProto proto_;
};

// A float32 tensor.
Tensor Floats(const Shape& shape, std::vector<float> values);

// Parses, imports for the rows of inputs[0], and evaluates in double. The
// first error of the three.
absl::StatusOr<std::vector<Tensor>> RunOnnx(const std::string& bytes,
                                            absl::Span<const Tensor> inputs);
// The same for a test model, its first output.
absl::StatusOr<Tensor> RunModel(const TestModel& model,
                                absl::Span<const Tensor> inputs);

// The float64 elements.
std::vector<double> Elements(const Tensor& tensor);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_ONNX_ONNX_TEST_MODEL_H_
