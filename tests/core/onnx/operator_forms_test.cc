// Forms of operators that ONNX's node tests leave out: opsets 7 to 10, integers
// at run time, and what is refused.

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "core/onnx/operators.h"
#include "tests/core/onnx/onnx_test_model.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::vector<double> OutputOf(TestModel& model,
                             absl::Span<const Tensor> inputs) {
  const auto y = RunModel(model.Output("y"), inputs);
  EXPECT_OK(y);
  return y.ok() ? Elements(*y) : std::vector<double>();
}

TEST(OnnxOldOpsetsTest, BoundsAndScalesAreAttributes) {
  const Tensor x = Floats({1, 4}, {1, 2, 3, 4});
  TestModel clip(7);
  clip.Input("x", {-1, 4}).Node("Clip", {"x"}, {"y"}).Float("max", 2.5f);
  EXPECT_THAT(OutputOf(clip, {x}), ElementsAre(1, 2, 2.5, 2.5));
  TestModel slice(9);
  slice.Input("x", {-1, 4})
      .Node("Slice", {"x"}, {"y"})
      .Ints("axes", {1})
      .Ints("starts", {-3})
      .Ints("ends", {1000});
  EXPECT_THAT(OutputOf(slice, {x}), ElementsAre(2, 3, 4));
  TestModel pad(7);
  pad.Input("x", {-1, 4})
      .Node("Pad", {"x"}, {"y"})
      .Ints("pads", {0, 1, 0, -2})
      .Float("value", 9);
  EXPECT_THAT(OutputOf(pad, {x}), ElementsAre(9, 1, 2));
  TestModel top(9);
  top.Input("x", {-1, 4}).Node("TopK", {"x"}, {"y", "i"}).Int("k", 2);
  EXPECT_THAT(OutputOf(top, {x}), ElementsAre(4, 3));
  TestModel upsample(7);
  upsample.Input("x", {-1, 4});
  onnx::AttributeProto& scales = *upsample.graph().add_node()->add_attribute();
  onnx::NodeProto& node = *upsample.graph().mutable_node(0);
  node.set_op_type("Upsample");
  node.add_input("x");
  node.add_output("y");
  scales.set_name("scales");
  scales.set_type(onnx::AttributeProto::FLOATS);
  scales.add_floats(1);
  scales.add_floats(1.5f);
  EXPECT_THAT(OutputOf(upsample, {x}), ElementsAre(1, 1, 2, 3, 3, 4));
  TestModel dropout(7);
  dropout.Input("x", {-1, 4}).Node("Dropout", {"x"}, {"y"}).Float("ratio", 1);
  EXPECT_THAT(OutputOf(dropout, {x}), ElementsAre(1, 2, 3, 4));
}

TEST(OnnxOldOpsetsTest, ReshapeWithAllowZero) {
  TestModel model(14);
  model.Input("x", {-1, 4}).Integers("to", {3}, {0, 2, -1});
  model.Node("Reshape", {"x", "to"}, {"y"}).Int("allowzero", 0);
  EXPECT_THAT(OutputOf(model, {Floats({1, 4}, {1, 2, 3, 4})}),
              ElementsAre(1, 2, 3, 4));
}

// The page that users read names every operator, and from which opset on.
TEST(OnnxOperatorsPageTest, ListsWhatIsSupported) {
  std::ifstream page(std::string(BASIN_SOURCE_DIR) +
                     "/deploy/docs/operators.md");
  std::vector<std::string> listed;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("| `", 0) != 0) continue;
    listed.push_back(line.substr(3, line.find('`', 3) - 3));
    const int64_t since = std::stoi(line.substr(line.find('|', 3) + 2));
    EXPECT_OK(internal::FindOperator(listed.back(), since)) << line;
    if (since > 7) {
      EXPECT_FALSE(internal::FindOperator(listed.back(), since - 1).ok())
          << line;
    }
  }
  EXPECT_EQ(listed, SupportedOperators());
}

// C's quotient and both remainders, of runtime values and of constants.
TEST(OnnxIntegersTest, DivideAndCastAsIntegersDo) {
  const std::vector<float> values = {7, -7, 8, -8, 1, 0};
  const auto run = [&](auto build) {
    TestModel model;
    model.IntegerInput("x", {-1, 6}, onnx::TensorProto::INT32);
    model.Integers("three", {}, {3}).Integers("minus", {}, {-3});
    build(model);
    return OutputOf(model, {Floats({1, 6}, values)});
  };
  EXPECT_THAT(run([](TestModel& m) {
                m.Node("Div", {"x", "three"}, {"y"});
              }),
              ElementsAre(2, -2, 2, -2, 0, 0));
  EXPECT_THAT(run([](TestModel& m) {
                m.Node("Mod", {"x", "three"}, {"y"});
              }),
              ElementsAre(1, 2, 2, 1, 1, 0));
  EXPECT_THAT(run([](TestModel& m) {
                m.Node("Mod", {"x", "minus"}, {"y"});
              }),
              ElementsAre(-2, -1, -1, -2, -2, 0));
  EXPECT_THAT(run([](TestModel& m) {
                m.Node("Mod", {"x", "minus"}, {"y"}).Int("fmod", 1);
              }),
              ElementsAre(1, -1, 2, -2, 1, 0));
  EXPECT_THAT(run([](TestModel& m) {
                m.Weight("half", {}, {-0.5f});
                m.Node("Cast", {"x"}, {"f"}).Int("to", 1);
                m.Node("Mul", {"f", "half"}, {"h"});
                m.Node("Cast", {"h"}, {"y"}).Int("to", 7);
              }),
              ElementsAre(-3, 3, -4, 4, 0, 0));
  EXPECT_THAT(
      run([](TestModel& m) { m.Node("Cast", {"x"}, {"y"}).Int("to", 9); }),
      ElementsAre(1, 1, 1, 1, 1, 0));
}

// A transformer's embedding: rows of a table by tokens, a causal mask, and
// positions.
TEST(OnnxIntegersTest, TokensPickRowsOfATable) {
  TestModel model;
  model.Input("x", {-1, 2}).IntegerInput("tokens", {-1, 3});
  model.Weight("table", {4, 2}, {0, 1, 10, 11, 20, 21, 30, 31});
  model.Integers("axis", {1}, {1}).Node("Gather", {"table", "tokens"}, {"e"});
  model.Node("ReduceSum", {"e", "axis"}, {"s"}).Int("keepdims", 0);
  model.Node("Add", {"s", "x"}, {"y"});
  EXPECT_THAT(OutputOf(model, {Floats({2, 2}, {0.5f, 0, 0, 0}),
                               Floats({2, 3}, {3, 0, 1, -1, 2, 2})}),
              ElementsAre(40.5, 43, 70, 73));
  const auto parsed = model.Parse();
  ASSERT_OK(parsed);
  EXPECT_EQ((*parsed)->inputs()[1].dtype, DType::kInt64);
}

TEST(OnnxIntegersTest, DeclaredTypesAreKept) {
  TestModel model;
  model.IntegerInput("x", {-1, 2}, onnx::TensorProto::BOOL);
  model.Node("Not", {"x"}, {"h"});
  model.Node("Cast", {"h"}, {"y"}).Int("to", 1);
  EXPECT_THAT(OutputOf(model, {Floats({1, 2}, {1, 0})}), ElementsAre(0, 1));
  EXPECT_EQ((*model.Parse())->inputs()[0].dtype, DType::kBool);
}

// The error of a model whose node `build` adds to x [N, 3].
absl::Status ErrorOf(const std::function<void(TestModel&)>& build,
                     int64_t opset = 18) {
  TestModel model(opset);
  model.Input("x", {-1, 3});
  build(model);
  return RunModel(model.Output("y"), {Floats({1, 3}, {1, 2, 3})}).status();
}

TEST(OnnxRefusalsTest, TypesMustAgree) {
  EXPECT_THAT(
      ErrorOf([](TestModel& m) {
        m.Integers("i", {}, {1}).Node("Add", {"x", "i"}, {"y"});
      }),
      StatusIs(kInvalid, HasSubstr("differ in type: float32 and int64")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Weight("i", {1}, {1}).Node("Gather", {"x", "i"}, {"y"});
              }),
              StatusIs(kInvalid, HasSubstr("indices must be integers")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("big", {}, {(1 << 24) + 1})
                    .Node("Cast", {"x"}, {"h"})
                    .Int("to", 7);
                m.Node("Add", {"h", "big"}, {"y"});
              }),
              StatusIs(kInvalid, HasSubstr("the integer 16777217")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Weight("b", {}, {2}).Node("Mod", {"x", "b"}, {"y"});
              }),
              StatusIs(kInvalid, HasSubstr("fmod must be 1")));
}

TEST(OnnxRefusalsTest, AttributesSayWhatIsExpected) {
  EXPECT_THAT(
      ErrorOf(
          [](TestModel& m) {
            m.Node("Gelu", {"x"}, {"y"}).String("approximate", "fast");
          },
          20),
      StatusIs(kInvalid, AllOf(HasSubstr("my_Gelu' (Gelu, opset 20)"),
                               HasSubstr("expected 'none' or 'tanh'"))));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("p", {4}, {0, 0, 0, 1})
                    .Node("Pad", {"x", "p"}, {"y"})
                    .String("mode", "mirror");
              }),
              StatusIs(kInvalid, HasSubstr("reflect, edge or wrap")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Weight("s", {2}, {1, 2})
                    .Node("Resize", {"x", "", "s"}, {"y"})
                    .String("mode", "lanczos");
              }),
              StatusIs(kInvalid, HasSubstr("one of nearest, linear")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Node("Einsum", {"x"}, {"y"}).String("equation", "ij->k");
              }),
              StatusIs(kInvalid, HasSubstr("no input has")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Node("Einsum", {"x", "x"}, {"y"}).String("equation", "ij,ik");
              }),
              ::testing::Not(StatusIs(kInvalid, HasSubstr("equation"))));
  EXPECT_THAT(ErrorOf([](TestModel& m) { m.Node("NonZero", {"x"}, {"y"}); }),
              StatusIs(kUnimplemented, HasSubstr("must be constant")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("i", {1, 300}, std::vector<int64_t>(300, 0));
                m.Weight("u", {1, 300}, std::vector<float>(300, 1));
                m.Node("ScatterElements", {"x", "i", "u"}, {"y"})
                    .Int("axis", 1)
                    .String("reduction", "mul");
              }),
              StatusIs(kUnimplemented, HasSubstr("at most 256")));
}

// A few bytes that ask for 10^9 elements.
TEST(OnnxRefusalsTest, SizesAreLimitedBeforeMemoryIsTaken) {
  constexpr int64_t kMany = 1'000'000'000;
  const auto generated = HasSubstr("makes a constant of 1000000000 elements");
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("a", {}, {0}).Integers("b", {}, {kMany});
                m.Integers("s", {}, {1}).Node("Range", {"a", "b", "s"}, {"y"});
              }),
              StatusIs(kInvalid, generated));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("a", {1}, {0}).Integers("shape", {1}, {kMany});
                m.Node("Expand", {"a", "shape"}, {"y"});
              }),
              StatusIs(kInvalid, generated));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("a", {1}, {0}).Integers("r", {1}, {kMany});
                m.Node("Tile", {"a", "r"}, {"y"});
              }),
              StatusIs(kInvalid, generated));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("i", {1}, {0}).Integers("d", {}, {kMany});
                m.Weight("v", {2}, {0, 1});
                m.Node("OneHot", {"i", "d", "v"}, {"y"});
              }),
              StatusIs(kInvalid, generated));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("r", {2}, {1, kMany});
                m.Node("Tile", {"x", "r"}, {"y"});
              }),
              StatusIs(kInvalid, HasSubstr("above the limit")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("p", {4}, {0, 0, 0, kMany});
                m.Node("Pad", {"x", "p"}, {"y"}).String("mode", "edge");
              }),
              StatusIs(kInvalid, HasSubstr("a pad of 1000000000")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Weight("s", {2}, {1, 1e9f});
                m.Node("Resize", {"x", "", "s"}, {"y"});
              }),
              StatusIs(kInvalid, HasSubstr("elements, expected 1 to")));
  EXPECT_THAT(ErrorOf([](TestModel& m) {
                m.Integers("k", {1}, {kMany});
                m.Node("TopK", {"x", "k"}, {"y", "i"});
              }),
              StatusIs(kInvalid, HasSubstr("k is 1000000000")));
}

TEST(OnnxRefusalsTest, RangesThatOverflow) {
  const auto range = [](int64_t start, int64_t limit, int64_t step) {
    return ErrorOf([=](TestModel& m) {
      m.Integers("a", {}, {start}).Integers("b", {}, {limit});
      m.Integers("s", {}, {step}).Node("Range", {"a", "b", "s"}, {"y"});
    });
  };
  EXPECT_OK(range(0, 3, 1));
  EXPECT_OK(range(3, 0, 1));
  EXPECT_OK(range(3, 0, -2));
  EXPECT_THAT(range(INT64_MIN, INT64_MAX, 1),
              StatusIs(kInvalid, HasSubstr("no range")));
  EXPECT_THAT(range(0, 1, 0), StatusIs(kInvalid, HasSubstr("no range")));
  EXPECT_THAT(range(0, -1, INT64_MIN),
              StatusIs(kInvalid, HasSubstr("no range")));
}

}  // namespace
}  // namespace basin::testing
