// Doubles of a file, integers that leave their type, and indices that leave
// their axis.

#include <cmath>
#include <cstdint>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/onnx/onnx_test_model.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsNan;

// y = x / sqrt(3) + 0.1, in a file of doubles.
TestModel Doubles() {
  TestModel model;
  model.Input("x", {-1}).Output("y");
  for (const double value : {3.0, 0.1}) {
    auto* weight = model.graph().add_initializer();
    weight->set_name(value == 3.0 ? "three" : "tenth");
    weight->set_data_type(onnx::TensorProto::DOUBLE);
    weight->add_double_data(value);
  }
  model.Node("Sqrt", {"three"}, {"root"});
  model.Node("Div", {"x", "root"}, {"z"});
  model.Node("Add", {"z", "tenth"}, {"y"});
  return model;
}

double AnswerAtOne(OnnxDoubles doubles) {
  const auto parsed =
      OnnxModel::Parse(Doubles().Serialize(), "", {}, doubles).value();
  const OnnxGraph imported = parsed->Import(1).value();
  const Tensor one = Floats({1}, {1});
  return Elements(EvaluateReference(imported.graph, {&one, 1}).value()[0])[0];
}

TEST(DoublesTest, AreKeptOrRounded) {
  EXPECT_NEAR(AnswerAtOne(OnnxDoubles::kKeep), 1 / std::sqrt(3.0) + 0.1, 1e-16);
  // Weights, and each step of what is computed at import.
  EXPECT_EQ(
      AnswerAtOne(OnnxDoubles::kRound),
      1 / static_cast<double>(std::sqrt(3.0F)) + static_cast<double>(0.1F));
}

std::vector<double> CastTo(int64_t type, const std::vector<float>& values) {
  TestModel model;
  const auto count = static_cast<int64_t>(values.size());
  model.IntegerInput("x", {count}).Output("y");
  model.Node("Cast", {"x"}, {"y"}).Int("to", type);
  const Tensor x = Floats({count}, values);
  return Elements(RunModel(model, {&x, 1}).value());
}

std::vector<double> ConstantCastTo(int64_t type,
                                   const std::vector<int64_t>& values) {
  TestModel model;
  const auto count = static_cast<int64_t>(values.size());
  model.Input("x", {1}).Output("y").Integers("c", {count}, values);
  model.Node("Cast", {"c"}, {"n"}).Int("to", type);
  model.Node("Cast", {"n"}, {"f"}).Int("to", onnx::TensorProto::FLOAT);
  model.Node("Add", {"x", "f"}, {"y"});
  const Tensor x = Floats({1}, {0});
  return Elements(RunModel(model, {&x, 1}).value());
}

TEST(NarrowIntegersTest, WrapAround) {
  using onnx::TensorProto;
  EXPECT_THAT(CastTo(TensorProto::INT8, {127, 128, -129, 300, -128}),
              ElementsAre(127, -128, 127, 44, -128));
  EXPECT_THAT(CastTo(TensorProto::UINT8, {255, 256, -1}),
              ElementsAre(255, 0, 255));
  EXPECT_THAT(CastTo(TensorProto::INT64, {256, -70000}),
              ElementsAre(256, -70000));
  EXPECT_THAT(ConstantCastTo(TensorProto::INT16, {32768, -32769, 5, -65536}),
              ElementsAre(-32768, 32767, 5, 0));
  EXPECT_THAT(ConstantCastTo(TensorProto::INT32, {int64_t{1} << 31, INT64_MIN}),
              ElementsAre(-2147483648.0, 0));
}

TEST(IntegerPowerTest, IsExactOrRefused) {
  const auto power = [](int64_t base, int64_t exponent) {
    TestModel model;
    model.Input("x", {1}).Output("y");
    model.Integers("base", {}, {base}).Integers("exponent", {}, {exponent});
    model.Integers("less", {}, {-(int64_t{1} << 40)});
    model.Node("Pow", {"base", "exponent"}, {"p"});
    model.Node("Add", {"p", "less"}, {"rest"});
    model.Node("Cast", {"rest"}, {"f"}).Int("to", onnx::TensorProto::FLOAT);
    model.Node("Add", {"x", "f"}, {"y"});
    const Tensor x = Floats({1}, {0});
    return RunModel(model, {&x, 1});
  };
  // 2^40 + 3 is no float32.
  ASSERT_OK_AND_ASSIGN(const Tensor exact, power((int64_t{1} << 40) + 3, 1));
  EXPECT_THAT(Elements(exact), ElementsAre(3));
  ASSERT_OK_AND_ASSIGN(const Tensor cube, power(10321, 3));
  EXPECT_THAT(Elements(cube),
              ElementsAre(10321.0 * 10321 * 10321 - std::exp2(40)));
  EXPECT_THAT(power(3, 41), StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr("pow overflows")));
  EXPECT_THAT(power(3, -1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("pow")));
}

// The limits of an input that goes through `op` before it is an index.
std::vector<int64_t> LimitsThrough(const std::string& op) {
  TestModel model;
  model.Input("x", {-1, 1}).IntegerInput("i", {-1, 2}).Output("y");
  model.Weight("table", {7}, {0, 1, 2, 3, 4, 5, 6});
  model.Weight("other", {9}, {0, 1, 2, 3, 4, 5, 6, 7, 8});
  model.Integers("one", {1}, {1}).Integers("flat", {1}, {-1});
  if (op == "Reshape") {
    model.Node(op, {"i", "flat"}, {"j"});
  } else if (op == "Add") {
    model.Node(op, {"i", "one"}, {"j"});
  } else {
    model.Node(op, {"i"}, {"j"});
  }
  model.Node("Gather", {"table", "j"}, {"a"});
  model.Node("Gather", {"other", "j"}, {"b"});
  model.Node("Add", {"a", "b"}, {"c"});
  model.Node("Reshape", {"c", "flat"}, {"y"});
  return model.Parse().value()->Import(3).value().index_limits;
}

TEST(IndexLimitsTest, AreThoseOfTheShortestAxis) {
  EXPECT_THAT(LimitsThrough("Identity"), ElementsAre(0, 7));
  EXPECT_THAT(LimitsThrough("Reshape"), ElementsAre(0, 7));
  EXPECT_THAT(LimitsThrough("Transpose"), ElementsAre(0, 7));
  // Other numbers than the input's.
  EXPECT_THAT(LimitsThrough("Add"), ElementsAre(0, 0));
}

// What `op` makes of x = (1, 2, 3) and run-time indices, with updates of 10.
std::vector<double> AtIndices(const std::string& op,
                              const std::vector<float>& indices,
                              const std::string& reduction = "") {
  const auto count = static_cast<int64_t>(indices.size());
  const bool is_nd = op == "GatherND" || op == "ScatterND";
  TestModel model(18);
  model.Input("x", {3}).Output("y");
  model.IntegerInput("i", is_nd ? std::vector<int64_t>{count, 1}
                                : std::vector<int64_t>{count});
  model.Weight("updates", {count}, std::vector<float>(indices.size(), 10));
  if (op[0] == 'S') {
    auto node = model.Node(op, {"x", "i", "updates"}, {"y"});
    if (!reduction.empty()) node.String("reduction", reduction);
  } else {
    model.Node(op, {"x", "i"}, {"y"});
  }
  const Tensor inputs[] = {
      Floats({3}, {1, 2, 3}),
      Floats(is_nd ? Shape({count, 1}) : Shape({count}), indices)};
  return Elements(RunModel(model, inputs).value());
}

TEST(RunTimeIndicesTest, OutsideOfTheirAxisAreNaN) {
  for (const std::string op : {"Gather", "GatherElements", "GatherND"}) {
    SCOPED_TRACE(op);
    EXPECT_THAT(AtIndices(op, {-3, 2, -1}), ElementsAre(1, 3, 3));
    EXPECT_THAT(AtIndices(op, {0, 3, -4}), ElementsAre(1, IsNan(), IsNan()));
  }
  for (const std::string op : {"ScatterElements", "ScatterND"}) {
    SCOPED_TRACE(op);
    for (const std::string reduction : {"none", "add", "mul", "max"}) {
      SCOPED_TRACE(reduction);
      EXPECT_EQ(AtIndices(op, {-3}, reduction)[1], 2);
      EXPECT_THAT(AtIndices(op, {3}, reduction)[1], IsNan());
      EXPECT_THAT(AtIndices(op, {-4}, reduction)[1], IsNan());
    }
  }
}

}  // namespace
}  // namespace basin::testing
