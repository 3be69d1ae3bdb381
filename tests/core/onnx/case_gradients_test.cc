// The gradient of every operator, by ONNX's node cases: for each float input
// of each case, the derivative along a random direction against central
// differences, all in double precision.

#include <cmath>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "core/graph/gradient.h"
#include "core/onnx/tensor_reader.h"
#include "tests/core/onnx/onnx_test_model.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

void SetDims(onnx::ValueInfoProto& info, std::vector<int64_t> dims) {
  auto& shape = *info.mutable_type()->mutable_tensor_type()->mutable_shape();
  shape.clear_dim();
  for (const int64_t dim : dims) shape.add_dim()->set_dim_value(dim);
}

onnx::NodeProto MakeNode(const std::string& op, std::vector<std::string> inputs,
                         const std::string& output) {
  onnx::NodeProto node;
  node.set_op_type(op);
  for (const auto& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

void AddShape(onnx::GraphProto& graph, const std::string& name,
              absl::Span<const int64_t> dims) {
  onnx::TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::INT64);
  tensor.add_dims(static_cast<int64_t>(dims.size()));
  for (const int64_t dim : dims) tensor.add_int64_data(dim);
}

class Case {
 public:
  explicit Case(const onnx::NodeProto& node) : random_(7) {
    model_.ParseFromString(node.attribute(0).s());
    for (const auto& proto : node.attribute(1).tensors()) {
      int64_t budget = 1 << 20;
      inputs_.push_back(*internal::ReadTensor(proto, "", budget));
    }
    int64_t budget = 1 << 20;
    output_ = *internal::ReadTensor(node.attribute(2).tensors(0), "", budget);
  }

  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  bool IsFloat(int input) const {
    return inputs_[input].dtype() == DType::kFloat32 &&
           inputs_[input].num_elements() > 0 &&
           output_.dtype() == DType::kFloat32 && output_.num_elements() > 0;
  }

  // The model as an energy [1] of input `input`, which becomes [1, elements];
  // the other inputs become constants. The energy is a random projection of
  // the first output.
  TestModel AsEnergy(int input) {
    TestModel result;
    result.proto() = model_;
    onnx::GraphProto& graph = result.graph();
    const auto nodes = graph.node();
    const auto infos = graph.input();
    graph.clear_node();
    graph.clear_input();
    for (int i = 0; i < num_inputs(); ++i) {
      const std::string& name = infos[i].name();
      if (i != input) {
        AddConstant(graph, name, inputs_[i]);
        continue;
      }
      *graph.add_input() = infos[i];
      graph.mutable_input(0)->set_name("flat_input");
      SetDims(*graph.mutable_input(0), {1, inputs_[i].num_elements()});
      AddShape(graph, "input_shape", inputs_[i].shape().dims());
      *graph.add_node() =
          MakeNode("Reshape", {"flat_input", "input_shape"}, name);
    }
    graph.mutable_node()->MergeFrom(nodes);
    const std::string y = graph.output(0).name();
    AddShape(graph, "flat_shape", {1, -1});
    AddShape(graph, "energy_shape", {1});
    AddConstant(graph, "projection",
                Random(Shape({output_.num_elements(), 1}), 1));
    *graph.add_node() = MakeNode("Reshape", {y, "flat_shape"}, "flat_output");
    *graph.add_node() =
        MakeNode("MatMul", {"flat_output", "projection"}, "product");
    *graph.add_node() =
        MakeNode("Reshape", {"product", "energy_shape"}, "test_energy");
    graph.clear_output();
    result.Output("test_energy");
    return result;
  }

  // Input `input` as [1, elements], a little off its special values.
  Tensor Point(int input) {
    const Tensor& x = inputs_[input];
    Tensor point = Random(Shape({1, x.num_elements()}), 0.01);
    for (int64_t i = 0; i < x.num_elements(); ++i) {
      point.mutable_data<float>()[i] += x.data<float>()[i];
    }
    return point;
  }

  Tensor Random(const Shape& shape, double scale) {
    Tensor tensor(DType::kFloat32, shape);
    std::uniform_real_distribution<float> uniform(0.2F, 1.0F);
    for (float& value : tensor.mutable_data<float>()) {
      const bool negative = random_() % 2 != 0;
      value = static_cast<float>(scale) * uniform(random_) *
              (negative ? -1.0F : 1.0F);
    }
    return tensor;
  }

 private:
  static void AddConstant(onnx::GraphProto& graph, const std::string& name,
                          const Tensor& value) {
    onnx::TensorProto& tensor = *graph.add_initializer();
    tensor.set_name(name);
    for (const int64_t dim : value.shape().dims()) tensor.add_dims(dim);
    if (value.dtype() == DType::kFloat32) {
      tensor.set_data_type(onnx::TensorProto::FLOAT);
      for (const float v : value.data<float>()) tensor.add_float_data(v);
    } else {
      tensor.set_data_type(onnx::TensorProto::INT64);
      for (const int64_t v : value.data<int64_t>()) tensor.add_int64_data(v);
    }
  }

  onnx::ModelProto model_;
  std::vector<Tensor> inputs_;
  Tensor output_;
  std::mt19937 random_;
};

// x + step * direction, in double.
Tensor Moved(const Tensor& x, const Tensor& direction, double step) {
  Tensor moved(DType::kFloat64, x.shape());
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    moved.mutable_data<double>()[i] =
        x.data<float>()[i] + step * direction.data<float>()[i];
  }
  return moved;
}

// The derivative along `direction`, and its central difference.
struct Derivatives {
  double gradient = 0;
  double difference = 0;
  double scale = 1;  // of the values subtracted
};

absl::StatusOr<Derivatives> DerivativesOf(const Graph& graph, const Tensor& x,
                                          const Tensor& direction) {
  constexpr double kStep = 1e-6;
  BASIN_ASSIGN_OR_RETURN(
      const Graph gradient,
      Gradient(graph, graph.outputs()[0], graph.inputs()[0]));
  BASIN_ASSIGN_OR_RETURN(const auto at,
                         EvaluateReference(gradient, {Moved(x, direction, 0)}));
  Derivatives result;
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    result.gradient += at[1].data<double>()[i] * direction.data<float>()[i];
  }
  double energies[2];
  for (const int side : {0, 1}) {
    BASIN_ASSIGN_OR_RETURN(
        const auto moved,
        EvaluateReference(graph,
                          {Moved(x, direction, side == 0 ? -kStep : kStep)}));
    energies[side] = moved[0].data<double>()[0];
  }
  result.difference = (energies[1] - energies[0]) / (2 * kStep);
  result.scale = std::abs(energies[0]) + 1;
  return result;
}

class OnnxCaseGradientsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(OnnxCaseGradientsTest, AgreeWithDifferences) {
  onnx::GraphProto cases;
  std::ifstream file(
      std::string(BASIN_SOURCE_DIR) + "/tests/core/onnx/" + GetParam() + ".pb",
      std::ios::binary);
  ASSERT_TRUE(cases.ParseFromString(
      std::string(std::istreambuf_iterator<char>(file), {})));
  int run = 0;
  for (const auto& node : cases.node()) {
    Case test(node);
    for (int i = 0; i < test.num_inputs(); ++i) {
      SCOPED_TRACE(node.name() + ", input " + std::to_string(i));
      if (!test.IsFloat(i)) continue;
      const auto model = test.AsEnergy(i).Parse();
      if (!model.ok()) continue;  // node_cases_test.cc says which are refused
      const auto imported = (*model)->Import(1);
      if (!imported.ok()) continue;
      const Tensor x = test.Point(i);
      const auto derivatives =
          DerivativesOf(imported->graph, x, test.Random(x.shape(), 1));
      ASSERT_OK(derivatives);
      if (!std::isfinite(derivatives->difference)) continue;
      EXPECT_NEAR(
          derivatives->gradient, derivatives->difference,
          1e-6 * (derivatives->scale + std::abs(derivatives->difference)));
      ++run;
    }
  }
  EXPECT_GE(run, 250);
}

INSTANTIATE_TEST_SUITE_P(Files, OnnxCaseGradientsTest,
                         ::testing::Values("node_cases", "node_cases_nn"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

// As in PyTorch; x / |x| is not a number there.
TEST(OnnxNormGradientTest, IsZeroAtZero) {
  TestModel model(13);
  model.Input("x", {-1, 3})
      .Node("ReduceL2", {"x"}, {"y"})
      .Ints("axes", {1})
      .Int("keepdims", 0);
  ASSERT_OK_AND_ASSIGN(const auto parsed, model.Output("y").Parse());
  ASSERT_OK_AND_ASSIGN(const OnnxGraph imported, parsed->Import(1));
  const Tensor zero = Floats({1, 3}, {0, 0, 0});
  ASSERT_OK_AND_ASSIGN(
      const Graph gradient,
      Gradient(imported.graph, imported.graph.outputs()[0], 0));
  ASSERT_OK_AND_ASSIGN(const auto values, EvaluateReference(gradient, {zero}));
  EXPECT_THAT(Elements(values[0]), ::testing::ElementsAre(0));
  EXPECT_THAT(Elements(values[1]), ::testing::ElementsAre(0, 0, 0));
}

}  // namespace
}  // namespace basin::testing
