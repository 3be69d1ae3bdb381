// Gradients through ONNX operators against central differences in double.

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/graph/gradient.h"
#include "core/graph/graph_builder.h"
#include "tests/core/onnx/onnx_test_model.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using Model = TestModel;

// Elements between `low` and `high` that neither repeat nor lie on a step.
Tensor Spread(const Shape& shape, double low, double high) {
  Tensor x(DType::kFloat64, shape);
  double at = 0.31;
  for (double& value : x.mutable_data<double>()) {
    at = std::fmod(at + 0.6180339887498949, 1.0);
    value = low + (high - low) * at;
  }
  return x;
}

double Total(const Graph& graph, const Tensor& x) {
  const auto results = EvaluateReference(graph, {x});
  EXPECT_OK(results);
  double total = 0;
  for (const double energy : results->at(0).data<double>()) total += energy;
  return total;
}

// The energy [N] of a model: all elements of y, the k-th times 1 + k / 8.
absl::StatusOr<Graph> EnergyOf(const Model& model, int64_t rows) {
  const auto parsed = model.Parse();
  if (!parsed.ok()) return parsed.status();
  auto imported = (*parsed)->Import(rows);
  if (!imported.ok()) return imported.status();
  const ValueId y = imported->graph.outputs()[0];
  GraphBuilder b(std::move(imported->graph));
  const int64_t elements = b.shape(y).num_elements();
  Tensor weights(DType::kFloat32, Shape({elements}));
  for (int64_t k = 0; k < elements; ++k) {
    weights.mutable_data<float>()[k] = 1 + static_cast<float>(k) / 8;
  }
  const ValueId products =
      b.Mul(b.Reshape(y, Shape({elements})), b.Constant(weights));
  const ValueId sum =
      b.ReduceSum(products, {0}, GraphBuilder::ReducedAxes::kDrop);
  const ValueId energy = b.BroadcastTo(
      b.Mul(sum, b.Constant(1.0f / static_cast<float>(rows))), Shape({rows}));
  return std::move(b).Build({energy});
}

struct Case {
  const char* name;
  std::function<void(Model&)> build;  // from x to y
  Shape shape;
  double low = -1.5;
  double high = 1.5;
  int64_t opset = 18;
};

void Unary(Model& m, const char* op) { m.Node(op, {"x"}, {"y"}); }

class OnnxGradientTest : public ::testing::TestWithParam<Case> {};

TEST_P(OnnxGradientTest, AgreesWithDifferences) {
  const Case& test = GetParam();
  Model model(test.opset);
  const Shape::Dims& dims = test.shape.dims();
  std::vector<int64_t> open(dims.begin(), dims.end());
  open[0] = -1;
  model.Input("x", open);
  test.build(model);
  model.Output("y");
  ASSERT_OK_AND_ASSIGN(const Graph graph, EnergyOf(model, dims[0]));
  ASSERT_OK_AND_ASSIGN(const Graph gradient,
                       Gradient(graph, graph.outputs()[0], graph.inputs()[0]));
  const Tensor x = Spread(test.shape, test.low, test.high);
  ASSERT_OK_AND_ASSIGN(const auto results, EvaluateReference(gradient, {x}));
  constexpr double kStep = 1e-5;
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    Tensor right = Tensor::Of<double>(x.shape(), x.data<double>());
    Tensor left = Tensor::Of<double>(x.shape(), x.data<double>());
    right.mutable_data<double>()[i] += kStep;
    left.mutable_data<double>()[i] -= kStep;
    const double slope =
        (Total(graph, right) - Total(graph, left)) / (2 * kStep);
    EXPECT_NEAR(results[1].data<double>()[i], slope,
                2e-6 * (1 + std::abs(slope)))
        << "element " << i;
  }
}

void Resize(Model& m, const char* mode, const char* coordinates) {
  m.Weight("scales", {4}, {1, 1, 1.6f, 0.7f});
  m.Node("Resize", {"x", "", "scales"}, {"y"})
      .String("mode", mode)
      .String("coordinate_transformation_mode", coordinates);
}

void Pad(Model& m, const char* mode) {
  m.Integers("pads", {4}, {0, 2, 0, 1});
  m.Node("Pad", {"x", "pads"}, {"y"}).String("mode", mode);
}

void Scatter(Model& m, const char* reduction) {
  m.Integers("i", {2, 2}, {0, -1, 2, 0});
  m.Node("Split", {"x", "sizes"}, {"a", "b"}).Int("axis", 1);
  m.Integers("sizes", {2}, {3, 2});
  m.Node("ScatterElements", {"a", "i", "b"}, {"y"})
      .Int("axis", 1)
      .String("reduction", reduction);
}

void PiecewiseConstant(Model& m, const char* op) {
  m.Node(op, {"x"}, {"step"});
  m.Node("Mul", {"step", "x"}, {"y"});
}

std::vector<Case> ElementwiseCases() {
  std::vector<Case> cases;
  for (const char* op : {"Sin",       "Cos",       "Tan",
                         "Sinh",      "Cosh",      "Atan",
                         "Asinh",     "Selu",      "Celu",
                         "Elu",       "Softsign",  "HardSigmoid",
                         "HardSwish", "Mish",      "Erfc",
                         "Swish",     "Gelu",      "ThresholdedRelu",
                         "Shrink",    "LeakyRelu", "Relu"}) {
    cases.push_back(
        {op, [op](Model& m) { Unary(m, op); }, {2, 5}, -1.4, 1.4, 20});
  }
  for (const char* op : {"Asin", "Acos", "Atanh"}) {
    cases.push_back({op, [op](Model& m) { Unary(m, op); }, {2, 5}, -0.9, 0.9});
  }
  cases.push_back(
      {"Acosh", [](Model& m) { Unary(m, "Acosh"); }, {2, 5}, 1.1, 3});
  for (const char* op : {"Floor", "Ceil", "Round", "Sign"}) {
    cases.push_back({op, [op](Model& m) { PiecewiseConstant(m, op); }, {3, 7}});
  }
  return cases;
}

std::vector<Case> ChoiceCases() {
  return {
      {"GeluTanh",
       [](Model& m) {
         m.Node("Gelu", {"x"}, {"y"}).String("approximate", "tanh");
       },
       {2, 5},
       -2,
       2,
       20},
      {"PRelu",
       [](Model& m) {
         m.Weight("slope", {3, 1}, {0.1f, -0.5f, 2});
         m.Node("PRelu", {"x", "slope"}, {"y"});
       },
       {2, 3, 4}},
      {"MaxMinMeanBroadcast",
       [](Model& m) {
         m.Weight("a", {5}, {0.1f, -0.5f, 2, 0, 1}).Weight("b", {}, {0.3f});
         m.Node("Max", {"x", "a"}, {"h"});
         m.Node("Min", {"b", "h", "x"}, {"g"});
         m.Node("Mean", {"g", "h", "x"}, {"y"});
       },
       {3, 5}},
      {"Where",
       [](Model& m) {
         m.Weight("zero", {}, {0}).Weight("row", {1, 4}, {1, 2, 3, 4});
         m.Node("Less", {"x", "zero"}, {"negative"});
         m.Node("Mul", {"x", "x"}, {"square"});
         m.Node("Where", {"negative", "square", "row"}, {"h"});
         m.Node("Mul", {"h", "x"}, {"y"});
       },
       {3, 4}},
      {"Mod",
       [](Model& m) {
         m.Weight("b", {}, {0.37f});
         m.Node("Mod", {"x", "b"}, {"y"}).Int("fmod", 1);
       },
       {3, 4}},
  };
}

std::vector<Case> ShapeCases() {
  return {
      {"PadConstant", [](Model& m) { Pad(m, "constant"); }, {2, 4}},
      {"PadReflect", [](Model& m) { Pad(m, "reflect"); }, {2, 4}},
      {"PadEdge", [](Model& m) { Pad(m, "edge"); }, {2, 4}},
      {"PadWrap", [](Model& m) { Pad(m, "wrap"); }, {2, 4}, -1, 1, 19},
      {"ResizeNearest",
       [](Model& m) { Resize(m, "nearest", "half_pixel"); },
       {2, 1, 3, 5}},
      {"ResizeLinear",
       [](Model& m) { Resize(m, "linear", "align_corners"); },
       {1, 2, 3, 5}},
      {"ResizeCubic",
       [](Model& m) { Resize(m, "cubic", "pytorch_half_pixel"); },
       {2, 1, 4, 5}},
  };
}

std::vector<Case> IndexCases() {
  return {
      {"TopK",
       [](Model& m) {
         m.Integers("k", {1}, {2});
         m.Node("TopK", {"x", "k"}, {"y", "i"}).Int("axis", 1);
       },
       {2, 4, 3}},
      {"TopKIndicesAndHardmax",
       [](Model& m) {
         m.Node("Hardmax", {"x"}, {"h"}).Int("axis", -2);
         m.Node("ArgMin", {"x"}, {"i"}).Int("axis", 1);
         m.Node("GatherElements", {"x", "i"}, {"g"}).Int("axis", 1);
         m.Node("Mul", {"h", "x"}, {"f"});
         m.Node("Add", {"f", "g"}, {"y"});
       },
       {2, 4, 3}},
      {"ScatterNone", [](Model& m) { Scatter(m, "none"); }, {2, 5}},
      {"ScatterAdd", [](Model& m) { Scatter(m, "add"); }, {2, 5}},
      {"ScatterMul", [](Model& m) { Scatter(m, "mul"); }, {2, 5}},
      {"ScatterMax", [](Model& m) { Scatter(m, "max"); }, {2, 5}},
      {"ScatterND",
       [](Model& m) {
         m.Integers("i", {2, 2}, {0, 1, 1, -1});
         m.Integers("first", {1}, {0}).Integers("axis", {1}, {1});
         m.Node("ReduceSum", {"x", "axis"}, {"u"}).Int("keepdims", 0);
         m.Node("ScatterND", {"x", "i", "u"}, {"y"});
       },
       {2, 3}},
      {"GatherND",
       [](Model& m) {
         m.Integers("i", {2, 1, 1}, {2, -3});
         m.Node("GatherND", {"x", "i"}, {"y"}).Int("batch_dims", 1);
       },
       {2, 3, 2}},
  };
}

std::vector<Case> ArrangementCases() {
  return {
      {"CumSum",
       [](Model& m) {
         m.Integers("axis", {}, {-1});
         m.Node("CumSum", {"x", "axis"}, {"y"}).Int("reverse", 1);
       },
       {2, 5}},
      {"Einsum",
       [](Model& m) {
         m.Weight("w", {3, 2}, {1, 2, 3, -1, -2, 0.5f});
         m.Node("Einsum", {"x", "x", "w"}, {"y"})
             .String("equation", "n...i,n...j,jk->n...ik");
       },
       {2, 2, 3}},
      {"EinsumDiagonal",
       [](Model& m) {
         m.Node("Einsum", {"x"}, {"y"}).String("equation", "nii->ni");
       },
       {2, 3, 3}},
      {"Trilu",
       [](Model& m) { m.Node("Trilu", {"x"}, {"y"}).Int("upper", 0); },
       {2, 3, 3}},
      {"ExpandAndTile",
       [](Model& m) {
         m.Integers("shape", {3}, {4, 1, 3}).Integers("r", {3}, {1, 2, 3});
         m.Node("Expand", {"x", "shape"}, {"h"});
         m.Node("Tile", {"h", "r"}, {"y"});
       },
       {2, 3}},
      {"DepthToSpace",
       [](Model& m) {
         m.Node("DepthToSpace", {"x"}, {"h"})
             .Int("blocksize", 2)
             .String("mode", "CRD");
         m.Node("SpaceToDepth", {"h"}, {"y"}).Int("blocksize", 2);
       },
       {1, 8, 1, 2}},
      {"SliceBackwards",
       [](Model& m) {
         m.Integers("a", {1}, {-1}).Integers("b", {1}, {-100});
         m.Integers("axis", {1}, {1}).Integers("s", {1}, {-2});
         m.Node("Slice", {"x", "a", "b", "axis", "s"}, {"y"});
       },
       {2, 5}},
  };
}

std::string NameOf(const ::testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Elementwise, OnnxGradientTest,
                         ::testing::ValuesIn(ElementwiseCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Choice, OnnxGradientTest,
                         ::testing::ValuesIn(ChoiceCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Shape, OnnxGradientTest,
                         ::testing::ValuesIn(ShapeCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Index, OnnxGradientTest,
                         ::testing::ValuesIn(IndexCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Arrangement, OnnxGradientTest,
                         ::testing::ValuesIn(ArrangementCases()), NameOf);

}  // namespace
}  // namespace basin::testing
