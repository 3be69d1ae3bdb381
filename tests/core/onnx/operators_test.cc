// What ONNX's own node tests leave out: older opsets, ceil_mode with padding,
// shape arithmetic, element types, and what imports share.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/onnx/tensor_reader.h"
#include "tests/core/onnx/onnx_test_model.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

MATCHER_P(Near, tolerance, "") {
  return std::abs(std::get<0>(arg) - std::get<1>(arg)) <= tolerance;
}

// Runs one node over x and compares; `model` holds its other inputs.
void ExpectOutput(TestModel& model, const Tensor& x, const Shape& shape,
                  std::vector<double> expected) {
  model.Output("y");
  ASSERT_OK_AND_ASSIGN(const Tensor y, RunModel(model, {x}));
  EXPECT_EQ(y.shape().ToString(), shape.ToString());
  EXPECT_THAT(Elements(y), Pointwise(Near(1e-6), expected));
}

TEST(OnnxOperatorsTest, SoftmaxBefore13TakesAllAxesFromAxisOn) {
  const Tensor x = Floats({1, 2, 2}, {0, 1, 2, 3});
  const double e[] = {1, std::exp(1), std::exp(2), std::exp(3)};
  const double all = e[0] + e[1] + e[2] + e[3];
  TestModel flattened(12);
  flattened.Input("x", {-1, 2, 2}).Node("Softmax", {"x"}, {"y"});
  ExpectOutput(flattened, x, {1, 2, 2},
               {e[0] / all, e[1] / all, e[2] / all, e[3] / all});
  const double a = 1 / (1 + std::exp(1));
  TestModel last(13);
  last.Input("x", {-1, 2, 2}).Node("Softmax", {"x"}, {"y"});
  ExpectOutput(last, x, {1, 2, 2}, {a, 1 - a, a, 1 - a});
  TestModel log(11);
  log.Input("x", {-1, 2, 2}).Node("LogSoftmax", {"x"}, {"y"});
  const double l = std::log(all);
  ExpectOutput(log, x, {1, 2, 2}, {-l, 1 - l, 2 - l, 3 - l});
}

TEST(OnnxOperatorsTest, LogSoftmaxIsExactForLargeValues) {
  TestModel model;
  model.Input("x", {-1, 2}).Node("LogSoftmax", {"x"}, {"y"});
  ExpectOutput(model, Floats({1, 2}, {1e4, -1e4}), {1, 2}, {0, -2e4});
}

TEST(OnnxOperatorsTest, ErfcOfTf2onnx) {
  TestModel model;
  model.Input("x", {-1, 4}).Node("Erfc", {"x"}, {"y"});
  ExpectOutput(model, Floats({1, 4}, {-2, 0, 0.5F, 3}), {1, 4},
               {std::erfc(-2.0), 1, std::erfc(0.5), std::erfc(3.0)});
}

TEST(OnnxOperatorsTest, ReductionAxesByOpset) {
  const Tensor x = Floats({2, 2}, {1, 2, 3, 5});
  TestModel attribute(12);
  attribute.Input("x", {-1, 2})
      .Node("ReduceSum", {"x"}, {"y"})
      .Ints("axes", {-1})
      .Int("keepdims", 0);
  ExpectOutput(attribute, x, {2}, {3, 8});
  TestModel input(18);
  input.Input("x", {-1, 2}).Integers("axes", {1}, {-1});
  input.Node("ReduceMean", {"x", "axes"}, {"y"});
  ExpectOutput(input, x, {2, 1}, {1.5, 4});
  TestModel noop(18);
  noop.Input("x", {-1, 2}).Integers("axes", {0}, {});
  noop.Node("ReduceMax", {"x", "axes"}, {"y"}).Int("noop_with_empty_axes", 1);
  ExpectOutput(noop, x, {2, 2}, {1, 2, 3, 5});
  TestModel wrong(13);
  wrong.Input("x", {-1, 2}).Node("ReduceSum", {"x"}, {"y"}).Ints("axes", {1});
  EXPECT_THAT(RunModel(wrong.Output("y"), {x}),
              StatusIs(kUnimplemented, HasSubstr("attribute 'axes'")));
  TestModel twice(12);
  twice.Input("x", {-1, 2})
      .Node("ReduceMax", {"x"}, {"y"})
      .Ints("axes", {1, -1});
  EXPECT_THAT(RunModel(twice.Output("y"), {x}),
              StatusIs(kInvalid, HasSubstr("axis 1 occurs twice")));
}

TEST(OnnxOperatorsTest, LogSumExpIsFinite) {
  TestModel model(13);
  model.Input("x", {-1, 2})
      .Node("ReduceLogSumExp", {"x"}, {"y"})
      .Ints("axes", {1})
      .Int("keepdims", 0);
  ExpectOutput(model, Floats({1, 2}, {1000, 1000}), {1},
               {1000 + std::log(2.0)});
}

// PyTorch's AvgPool1d(3, stride 2, padding 1, ceil_mode) of 1 2 3 4:
// windows (0 1 2) (2 3 4) (4 0 |): the part beyond the padding never counts.
TEST(OnnxOperatorsTest, AveragePoolCeilModeWithPadding) {
  const Tensor x = Floats({1, 1, 4}, {1, 2, 3, 4});
  TestModel included;
  included.Input("x", {-1, 1, 4})
      .Node("AveragePool", {"x"}, {"y"})
      .Ints("kernel_shape", {3})
      .Ints("strides", {2})
      .Ints("pads", {1, 1})
      .Int("ceil_mode", 1)
      .Int("count_include_pad", 1);
  ExpectOutput(included, x, {1, 1, 3}, {1, 3, 2});
  TestModel excluded;
  excluded.Input("x", {-1, 1, 4})
      .Node("AveragePool", {"x"}, {"y"})
      .Ints("kernel_shape", {3})
      .Ints("strides", {2})
      .Ints("pads", {1, 1})
      .Int("ceil_mode", 1);
  ExpectOutput(excluded, x, {1, 1, 3}, {1.5, 3, 4});
}

// A window that would start behind the input is left out, as in PyTorch.
TEST(OnnxOperatorsTest, MaxPoolCeilModeDropsWindowInPadding) {
  TestModel model;
  model.Input("x", {-1, 1, 3})
      .Node("MaxPool", {"x"}, {"y"})
      .Ints("kernel_shape", {2})
      .Ints("strides", {2})
      .Ints("pads", {1, 1})
      .Int("ceil_mode", 1);
  ExpectOutput(model, Floats({1, 1, 3}, {1, 2, 3}), {1, 1, 2}, {1, 3});
}

TEST(OnnxOperatorsTest, ConvolutionAlongOneAxis) {
  TestModel model;
  model.Input("x", {-1, 2, 4}).Weight("w", {2, 1, 2}, {1, 2, 3, 4});
  model.Weight("b", {2}, {10, 20});
  model.Node("Conv", {"x", "w", "b"}, {"y"})
      .Int("group", 2)
      .Ints("dilations", {2})
      .Ints("pads", {1, 0})
      .Ints("strides", {2});
  // Channel 1: 0 1 2 3 4 -> 1*0 + 2*2, 1*2 + 2*4; channel 2: 0 5 6 7 8.
  ExpectOutput(model, Floats({1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), {1, 2, 2},
               {14, 20, 44, 70});
}

// As jax2onnx writes sums over windows: rows and channels are spatial axes.
TEST(OnnxOperatorsTest, ConvolutionOverAxesThatItDoesNotExtendAlong) {
  TestModel model;
  model.Input("x", {-1, 2, 2, 3, 2}).Integers("to", {7}, {1, 1, 2, 2, 2, 3, 2});
  model.Node("Reshape", {"x", "to"}, {"image"});
  model.Weight("w", {1, 1, 1, 1, 1, 2, 1}, {1, 10});
  model.Node("Conv", {"image", "w"}, {"y"});
  std::vector<float> x;
  std::vector<double> expected;
  for (int i = 0; i < 48; ++i) x.push_back(static_cast<float>(i % 7));
  for (int i = 0; i < 48; ++i) {
    if (i / 2 % 3 < 2) expected.push_back(x[i] + 10 * x[i + 2]);
  }
  ExpectOutput(model, Floats({2, 2, 2, 3, 2}, x), {1, 1, 2, 2, 2, 2, 2},
               expected);
  TestModel wide;
  wide.Input("x", {-1, 1, 2, 2, 2, 2});
  wide.Weight("w", {1, 1, 2, 2, 2, 2}, std::vector<float>(16, 1));
  wide.Node("Conv", {"x", "w"}, {"y"});
  EXPECT_THAT(RunModel(wide.Output("y"),
                       {Floats({1, 1, 2, 2, 2, 2}, std::vector<float>(16, 1))}),
              StatusIs(kUnimplemented, HasSubstr("one to three spatial axes")));
}

TEST(OnnxOperatorsTest, AutoPadIsAsymmetricForEvenKernels) {
  for (const bool upper : {true, false}) {
    TestModel model;
    model.Input("x", {-1, 1, 3}).Weight("w", {1, 1, 2}, {1, 10});
    model.Node("Conv", {"x", "w"}, {"y"})
        .String("auto_pad", upper ? "SAME_UPPER" : "SAME_LOWER");
    ExpectOutput(model, Floats({1, 1, 3}, {1, 2, 3}), {1, 1, 3},
                 upper ? std::vector<double>{21, 32, 3}
                       : std::vector<double>{10, 21, 32});
  }
}

TEST(OnnxOperatorsTest, WindowsOutOfRangeAreRefused) {
  const auto pool = [](std::vector<int64_t> kernel, std::vector<int64_t> pads,
                       std::vector<int64_t> strides) {
    TestModel model;
    model.Input("x", {-1, 1, 3})
        .Node("MaxPool", {"x"}, {"y"})
        .Ints("kernel_shape", kernel)
        .Ints("pads", pads)
        .Ints("strides", strides);
    return RunModel(model.Output("y"), {Floats({1, 1, 3}, {1, 2, 3})}).status();
  };
  EXPECT_OK(pool({2}, {0, 0}, {1}));
  EXPECT_THAT(pool({0}, {0, 0}, {1}), StatusIs(kInvalid, HasSubstr("from 1")));
  EXPECT_THAT(pool({2}, {0, 0}, {0}), StatusIs(kInvalid, HasSubstr("strides")));
  EXPECT_THAT(pool({2}, {-1, 0}, {1}), StatusIs(kInvalid, HasSubstr("pads")));
  EXPECT_THAT(pool({2}, {2, 0}, {1}), StatusIs(kInvalid, HasSubstr("below")));
  EXPECT_THAT(pool({2, 2}, {0, 0}, {1}),
              StatusIs(kInvalid, HasSubstr("expected 1 numbers")));
  EXPECT_THAT(pool({9}, {0, 0}, {1}), StatusIs(kInvalid, HasSubstr("kernel")));
  EXPECT_THAT(pool({int64_t{1} << 62}, {0, 0}, {1}),
              StatusIs(kInvalid, HasSubstr("kernel_shape")));
}

// As torch.onnx writes x.view(x.size(0), -1) * sqrt(x.size(1)).
TEST(OnnxOperatorsTest, ShapeArithmeticFoldsAway) {
  TestModel model(13);
  model.Input("x", {-1, 2, 2}).Integers("zero", {}, {0});
  model.Integers("one", {}, {1}).Integers("axis0", {1}, {0});
  model.Integers("minus", {1}, {-1});
  model.Node("Shape", {"x"}, {"shape"});
  model.Node("Gather", {"shape", "zero"}, {"rows"}).Int("axis", 0);
  model.Node("Gather", {"shape", "one"}, {"width"}).Int("axis", 0);
  model.Node("Unsqueeze", {"rows", "axis0"}, {"rows1"});
  model.Node("Concat", {"rows1", "minus"}, {"to"}).Int("axis", 0);
  model.Node("Reshape", {"x", "to"}, {"flat"});
  model.Node("Cast", {"width"}, {"width_f"}).Int("to", 1);
  model.Node("Sqrt", {"width_f"}, {"factor"});
  model.Node("Mul", {"flat", "factor"}, {"y"});
  const double r = std::sqrt(2.0);
  ExpectOutput(model, Floats({1, 2, 2}, {1, 2, 3, 4}), {1, 4},
               {r, 2 * r, 3 * r, 4 * r});
}

TEST(OnnxOperatorsTest, IntegerArithmeticIsChecked) {
  const auto compute = [](const char* op, int64_t a, int64_t b) {
    TestModel model;
    model.Input("x", {-1, 6}).Integers("a", {1}, {a}).Integers("b", {1}, {b});
    model.Node(op, {"a", "b"}, {"c"});
    model.Node("Reshape", {"x", "c"}, {"y"});
    return RunModel(model.Output("y"), {Floats({1, 6}, {1, 2, 3, 4, 5, 6})});
  };
  EXPECT_OK(compute("Div", 13, 2));
  EXPECT_OK(compute("Sub", 9, 3));
  EXPECT_THAT(compute("Div", 6, 0), StatusIs(kInvalid, HasSubstr("zero")));
  EXPECT_THAT(compute("Div", INT64_MIN, -1),
              StatusIs(kInvalid, HasSubstr("overflows")));
  EXPECT_THAT(compute("Mul", INT64_MAX, 2),
              StatusIs(kInvalid, HasSubstr("overflows")));
  EXPECT_THAT(compute("Add", 3, 4),
              StatusIs(kInvalid, HasSubstr("cannot reshape [1, 6] to [7]")));
}

TEST(OnnxOperatorsTest, SqueezeWithoutAxesKeepsTheRows) {
  for (const int64_t rows : {1, 2}) {
    TestModel model;
    model.Input("x", {-1, 1}).Node("Squeeze", {"x"}, {"y"});
    std::vector<float> values(static_cast<size_t>(rows), 3.0f);
    ExpectOutput(model, Floats({rows, 1}, values), {rows},
                 std::vector<double>(values.begin(), values.end()));
  }
}

TEST(OnnxOperatorsTest, SqueezeAndUnsqueezeBefore13) {
  TestModel model(11);
  model.Input("x", {-1, 2}).Node("Unsqueeze", {"x"}, {"h"}).Ints("axes", {-1});
  model.Node("Squeeze", {"h"}, {"y"}).Ints("axes", {2});
  ExpectOutput(model, Floats({1, 2}, {1, 2}), {1, 2}, {1, 2});
}

TEST(OnnxOperatorsTest, GatherWithNegativeIndices) {
  TestModel model;
  model.Input("x", {-1, 3}).Integers("i", {2, 2}, {-1, 0, 1, -3});
  model.Node("Gather", {"x", "i"}, {"y"}).Int("axis", 1);
  ExpectOutput(model, Floats({1, 3}, {1, 2, 3}), {1, 2, 2}, {3, 1, 2, 1});
  TestModel wrong;
  wrong.Input("x", {-1, 3}).Integers("i", {1}, {3});
  wrong.Node("Gather", {"x", "i"}, {"y"}).Int("axis", 1);
  EXPECT_THAT(
      RunModel(wrong.Output("y"), {Floats({1, 3}, {1, 2, 3})}),
      StatusIs(kInvalid, HasSubstr("index 3 is outside of an axis of 3")));
}

TEST(OnnxOperatorsTest, SliceForms) {
  TestModel model;
  model.Input("x", {-1, 5}).Integers("start", {1}, {-4});
  model.Integers("end", {1}, {INT64_MAX}).Integers("axis", {1}, {-1});
  model.Integers("step", {1}, {2});
  model.Node("Slice", {"x", "start", "end", "axis", "step"}, {"y"});
  ExpectOutput(model, Floats({1, 5}, {1, 2, 3, 4, 5}), {1, 2}, {2, 4});
  TestModel back;
  back.Input("x", {-1, 3}).Integers("start", {1}, {INT64_MAX});
  back.Integers("end", {1}, {INT64_MIN}).Integers("axis", {1}, {1});
  back.Integers("step", {1}, {-2});
  back.Node("Slice", {"x", "start", "end", "axis", "step"}, {"y"});
  ExpectOutput(back, Floats({1, 3}, {1, 2, 3}), {1, 2}, {3, 1});
  TestModel still;
  still.Input("x", {-1, 3}).Integers("a", {1}, {0}).Integers("b", {1}, {1});
  still.Node("Slice", {"x", "a", "b", "b", "a"}, {"y"});
  EXPECT_THAT(RunModel(still.Output("y"), {Floats({1, 3}, {1, 2, 3})}),
              StatusIs(kInvalid, HasSubstr("step 0 of axis 1")));
}

TEST(OnnxOperatorsTest, MatMulBroadcastsAsNumPy) {
  const Tensor x = Floats({2, 1, 2}, {1, 2, 3, 4});
  TestModel weights;  // [N, 1, 2] x [2, 1]
  weights.Input("x", {-1, 1, 2}).Weight("w", {2, 1}, {10, 1});
  weights.Node("MatMul", {"x", "w"}, {"y"});
  ExpectOutput(weights, x, {2, 1, 1}, {12, 34});
  TestModel batch;  // [N, 1, 2] x [2, 2, 1]
  batch.Input("x", {-1, 1, 2}).Weight("w", {2, 2, 1}, {10, 1, 1, 10});
  batch.Node("MatMul", {"x", "w"}, {"y"});
  ExpectOutput(batch, x, {2, 1, 1}, {12, 43});
  TestModel left;  // [2] x [N, 2, 1] would not fit: [1] x [N, 1, 2]
  left.Input("x", {-1, 1, 2}).Weight("w", {1}, {2});
  left.Node("MatMul", {"w", "x"}, {"y"});
  ExpectOutput(left, x, {2, 2}, {2, 4, 6, 8});
}

TEST(OnnxOperatorsTest, PowersThatAreProducts) {
  const Tensor x = Floats({1, 2}, {2, 4});
  const std::pair<float, std::vector<double>> kCases[] = {
      {1, {2, 4}},         {2, {4, 16}},    {3, {8, 64}},
      {0.5, {M_SQRT2, 2}}, {-1, {.5, .25}}, {1.5, {2 * M_SQRT2, 8}}};
  for (const auto& [exponent, expected] : kCases) {
    TestModel model;
    model.Input("x", {-1, 2}).Weight("p", {}, {exponent});
    model.Node("Pow", {"x", "p"}, {"y"});
    ExpectOutput(model, x, {1, 2}, expected);
  }
  TestModel integer;
  integer.Input("x", {-1, 2}).Integers("p", {1, 1, 1}, {2});
  integer.Node("Pow", {"x", "p"}, {"y"});
  ExpectOutput(integer, x, {1, 1, 2}, {4, 16});
}

TEST(OnnxOperatorsTest, OptionalOutputsAreNotComputed) {
  TestModel model;
  model.Input("x", {-1, 2}).Node("Dropout", {"x"}, {"h", "mask"});
  model.Node("Mul", {"h", "mask"}, {"y"});
  EXPECT_THAT(RunModel(model.Output("y"), {Floats({1, 2}, {1, 2})}),
              StatusIs(kInvalid, HasSubstr("'mask' is an optional output")));
}

TEST(OnnxOperatorsTest, OperatorOfALaterOpset) {
  TestModel model(13);
  model.Input("x", {-1, 2}).Weight("s", {2}, {1, 1});
  model.Node("LayerNormalization", {"x", "s"}, {"y"});
  EXPECT_THAT(model.Output("y").Parse(),
              StatusIs(kUnimplemented, HasSubstr("exists from opset 17 on")));
}

// --- Element types ---

// The first element of a one-element tensor made of `raw`.
template <typename T>
T ReadOne(int type, const std::string& raw) {
  onnx::TensorProto proto;
  proto.set_data_type(type);
  proto.set_raw_data(raw);
  int64_t budget = 100;
  return internal::ReadTensor(proto, "", budget)->template data<T>()[0];
}

template <typename T>
std::string Raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

TEST(OnnxTensorTest, RawElementsOfEveryType) {
  using P = onnx::TensorProto;
  EXPECT_EQ(ReadOne<float>(P::FLOAT, Raw(1.5f)), 1.5f);
  EXPECT_EQ(ReadOne<float>(P::DOUBLE, Raw(0.1)), 0.1f);
  EXPECT_EQ(ReadOne<float>(P::DOUBLE, Raw(-1e300)), -INFINITY);
  EXPECT_EQ(ReadOne<float>(P::FLOAT16, Raw<uint16_t>(0x3c00)), 1.0f);
  EXPECT_EQ(ReadOne<float>(P::FLOAT16, Raw<uint16_t>(0xc248)), -3.140625f);
  EXPECT_EQ(ReadOne<float>(P::FLOAT16, Raw<uint16_t>(0x7bff)), 65504.0f);
  EXPECT_EQ(ReadOne<float>(P::FLOAT16, Raw<uint16_t>(0x0001)), 0x1p-24f);
  EXPECT_EQ(ReadOne<float>(P::FLOAT16, Raw<uint16_t>(0xfc00)), -INFINITY);
  EXPECT_TRUE(std::isnan(ReadOne<float>(P::FLOAT16, Raw<uint16_t>(0x7e00))));
  EXPECT_EQ(ReadOne<float>(P::BFLOAT16, Raw<uint16_t>(0xc049)), -3.140625f);
  EXPECT_EQ(ReadOne<int64_t>(P::INT8, "\xff"), -1);
  EXPECT_EQ(ReadOne<int64_t>(P::UINT8, "\xff"), 255);
  EXPECT_EQ(ReadOne<int64_t>(P::BOOL, "\x07"), 1);
  EXPECT_EQ(ReadOne<int64_t>(P::INT16, Raw<int16_t>(-2)), -2);
  EXPECT_EQ(ReadOne<int64_t>(P::UINT16, Raw<uint16_t>(65535)), 65535);
  EXPECT_EQ(ReadOne<int64_t>(P::INT32, Raw<int32_t>(-3)), -3);
  EXPECT_EQ(ReadOne<int64_t>(P::UINT32, Raw<uint32_t>(1u << 31)), 1LL << 31);
  EXPECT_EQ(ReadOne<int64_t>(P::INT64, Raw(INT64_MIN)), INT64_MIN);
  EXPECT_EQ(ReadOne<int64_t>(P::UINT64, Raw<uint64_t>(5)), 5);
}

TEST(OnnxTensorTest, UnsignedBeyondInt64IsRefused) {
  onnx::TensorProto proto;
  proto.set_data_type(onnx::TensorProto::UINT64);
  proto.add_uint64_data(UINT64_MAX);
  int64_t budget = 100;
  EXPECT_THAT(internal::ReadTensor(proto, "", budget),
              StatusIs(kInvalid, HasSubstr("above 2^63 - 1")));
}

TEST(OnnxTensorTest, HalvesInInt32Data) {
  onnx::TensorProto proto;
  proto.set_data_type(onnx::TensorProto::FLOAT16);
  proto.add_int32_data(0x3c00);
  int64_t budget = 100;
  ASSERT_OK_AND_ASSIGN(const Tensor tensor,
                       internal::ReadTensor(proto, "", budget));
  EXPECT_THAT(tensor.data<float>(), ElementsAre(1.0f));
  EXPECT_EQ(budget, 96);
}

// --- Models ---

TEST(OnnxModelTest, DescribesItself) {
  TestModel model(14);
  model.Input("x", {-1, 2}).Input("w", {2, 3}).Output("y");
  model.Weight("w", {2, 3}, {1, 2, 3, 4, 5, 6}).Integers("i", {1}, {1});
  model.Node("MatMul", {"x", "w"}, {"h"});
  model.Node("Relu", {"h"}, {"g"});
  model.Node("Relu", {"g"}, {"y"});
  ASSERT_OK_AND_ASSIGN(const auto parsed, model.Parse());
  EXPECT_EQ(parsed->metadata().producer, "test");
  EXPECT_EQ(parsed->metadata().opset, 14);
  EXPECT_EQ(parsed->metadata().parameter_count, 6);
  EXPECT_EQ(parsed->metadata().operators.at("Relu"), 2);
  ASSERT_EQ(parsed->inputs().size(), 1u);  // w has a value
  EXPECT_EQ(parsed->inputs()[0].name, "x");
  EXPECT_THAT(parsed->inputs()[0].dims, ElementsAre(-1, 2));
  EXPECT_EQ(parsed->outputs()[0].name, "y");
}

const void* FirstConstantId(const Graph& graph) {
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (graph.node(id).op == Op::kConstant) {
      return graph.attributes<ConstantAttrs>(id).value.id();
    }
  }
  return nullptr;
}

// Weights, and what is computed from them, are the same memory for every row
// count, also when imported by several threads.
TEST(OnnxModelTest, ImportsShareConstants) {
  TestModel model;
  model.Input("x", {-1, 2}).Weight("w", {3, 2}, {1, 2, 3, 4, 5, 6});
  model.Node("Transpose", {"w"}, {"wt"});
  model.Node("MatMul", {"x", "wt"}, {"y"});
  ASSERT_OK_AND_ASSIGN(const auto parsed, model.Output("y").Parse());
  std::vector<absl::StatusOr<OnnxGraph>> graphs(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < graphs.size(); ++i) {
    threads.emplace_back(
        [&, i] { graphs[i] = parsed->Import(static_cast<int64_t>(i) + 1); });
  }
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < graphs.size(); ++i) {
    ASSERT_OK(graphs[i]);
    const Graph& graph = graphs[i]->graph;
    EXPECT_EQ(FirstConstantId(graph), FirstConstantId(graphs[0]->graph));
    EXPECT_EQ(graph.shape(graph.outputs()[0]).dim(0),
              static_cast<int64_t>(i) + 1);
    EXPECT_EQ(graph.size(), 3);  // input, weights, product
  }
}

TEST(OnnxModelTest, SupportedOperatorsAreSorted) {
  const auto names = SupportedOperators();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_THAT(names, ::testing::IsSupersetOf({"Conv", "Gemm", "Softmax"}));
}

}  // namespace
}  // namespace basin::testing
