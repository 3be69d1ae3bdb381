// Functions that a file defines: what they compute, and those that are refused.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "tests/core/onnx/inner_nodes.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;

onnx::FunctionProto& AddFunction(TestModel& model, const std::string& name,
                                 std::vector<std::string> inputs,
                                 std::vector<onnx::NodeProto> nodes,
                                 std::vector<std::string> outputs) {
  onnx::FunctionProto& function = *model.proto().add_functions();
  function.set_name(name);
  function.set_domain("local");
  for (const auto& input : inputs) function.add_input(input);
  for (const auto& output : outputs) function.add_output(output);
  for (auto& node : nodes) *function.add_node() = std::move(node);
  function.add_opset_import()->set_version(17);
  return function;
}

onnx::NodeProto Call(const std::string& name, std::vector<std::string> inputs,
                     std::vector<std::string> outputs) {
  onnx::NodeProto node = MakeNode(name, std::move(inputs), std::move(outputs));
  node.set_domain("local");
  return node;
}

TEST(OnnxFunctionTest, CallsAreUnrolled) {
  TestModel model = Model();
  AddFunction(model, "twice", {"a"}, {MakeNode("Add", {"a", "a"}, {"b"})},
              {"b"});
  AddFunction(model, "split", {"a", "b"},
              {Call("twice", {"a"}, {"x"}), MakeNode("Mul", {"x", "b"}, {"p"}),
               MakeNode("Neg", {"x"}, {"q"})},
              {"p", "q"});
  *model.graph().add_node() = Call("split", {"x", "x"}, {"h", "g"});
  model.Node("Add", {"h", "g"}, {"y"});
  EXPECT_THAT(YOf(model), ElementsAre(2 * 9 - 6, 2 * 25 - 10));
}

onnx::FunctionProto& AddLeaky(TestModel& model) {
  onnx::NodeProto leaky = MakeNode("LeakyRelu", {"n"}, {"b"});
  AddAttribute(leaky, "alpha", onnx::AttributeProto::FLOAT)
      .set_ref_attr_name("slope");
  return AddFunction(model, "leaky", {"a"},
                     {MakeNode("Neg", {"a"}, {"n"}), leaky}, {"b"});
}

TEST(OnnxFunctionTest, AttributesReferToTheCall) {
  TestModel model = Model();
  AddLeaky(model).add_attribute("slope");
  onnx::NodeProto call = Call("leaky", {"x"}, {"y"});
  *model.graph().add_node() = call;
  const auto absent = YOf(model);  // LeakyRelu's own default
  EXPECT_NEAR(absent[0], -0.03, 1e-6);
  AddAttribute(Last(model), "slope", onnx::AttributeProto::FLOAT).set_f(0.5);
  EXPECT_THAT(YOf(model), ElementsAre(-1.5, -2.5));
  Last(model).mutable_attribute(0)->set_name("slop");
  EXPECT_THAT(Refusal(model),
              StatusIs(kInvalid, HasSubstr("no attribute 'slop'")));
}

// Field 11 of FunctionProto, which the linked ONNX does not know.
TEST(OnnxFunctionTest, AttributesHaveDefaults) {
  TestModel model = Model();
  onnx::AttributeProto slope;
  slope.set_name("slope");
  slope.set_type(onnx::AttributeProto::FLOAT);
  slope.set_f(2);
  const std::string bytes = slope.SerializeAsString();
  AddLeaky(model).mutable_unknown_fields()->append(absl::StrCat(
      "\x5a", std::string(1, static_cast<char>(bytes.size())), bytes));
  *model.graph().add_node() = Call("leaky", {"x"}, {"y"});
  EXPECT_THAT(YOf(model), ElementsAre(-6, -10));
  AddAttribute(Last(model), "slope", onnx::AttributeProto::FLOAT).set_f(0.5);
  EXPECT_THAT(YOf(model), ElementsAre(-1.5, -2.5));
}

TEST(OnnxFunctionTest, InputsMayBeLeftOut) {
  TestModel model = Model();
  AddFunction(model, "clip", {"a", "low", "high"},
              {MakeNode("Clip", {"a", "low", "high"}, {"b"})}, {"b"});
  model.Weight("four", {}, {4});
  *model.graph().add_node() = Call("clip", {"x", "", "four"}, {"y"});
  EXPECT_THAT(YOf(model), ElementsAre(3, 4));
}

// Softmax without an axis means another one before opset 13.
TEST(OnnxFunctionTest, EachHasItsOwnOpset) {
  TestModel model = Model(17);
  model.graph().mutable_input(0)->mutable_type()->Clear();
  model.graph().clear_input();
  model.Input("x", {-1, 1, 2});
  AddFunction(model, "soft", {"a"}, {MakeNode("Softmax", {"a"}, {"b"})}, {"b"})
      .mutable_opset_import(0)
      ->set_version(11);
  *model.graph().add_node() = Call("soft", {"x"}, {"y"});
  ASSERT_OK(RunModel(model, {Floats({1, 1, 2}, {0, 0})}));
  model.proto().mutable_functions(0)->mutable_opset_import(0)->set_version(99);
  EXPECT_THAT(
      Refusal(model),
      StatusIs(kUnimplemented, HasSubstr("function 'soft': opset 99 is not")));
}

TEST(OnnxFunctionTest, BodiesSeeNothingOfTheCaller) {
  TestModel model = Model();
  AddFunction(model, "f", {"a"}, {MakeNode("Add", {"a", "x"}, {"b"})}, {"b"});
  *model.graph().add_node() = Call("f", {"x"}, {"y"});
  EXPECT_THAT(Refusal(model),
              StatusIs(kInvalid, AllOf(HasSubstr("function 'f'"),
                                       HasSubstr("'x' is made by no node"))));
}

TEST(OnnxFunctionTest, RecursionIsRefused) {
  TestModel model = Model();
  AddFunction(model, "f", {"a"}, {Call("g", {"a"}, {"b"})}, {"b"});
  AddFunction(model, "g", {"a"}, {Call("f", {"a"}, {"b"})}, {"b"});
  *model.graph().add_node() = Call("f", {"x"}, {"y"});
  EXPECT_THAT(Refusal(model), StatusIs(kInvalid, HasSubstr("calls itself")));
}

std::string Level(int level) { return absl::StrCat("f", level); }

// Thirty levels of two calls each are a thousand million nodes.
TEST(OnnxFunctionTest, BillionLaughsAreRefusedAtOnce) {
  TestModel model = Model();
  AddFunction(model, Level(0), {"a"}, {MakeNode("Neg", {"a"}, {"b"})}, {"b"});
  for (int i = 1; i <= 30; ++i) {
    AddFunction(
        model, Level(i), {"a"},
        {Call(Level(i - 1), {"a"}, {"h"}), Call(Level(i - 1), {"h"}, {"b"})},
        {"b"});
  }
  *model.graph().add_node() = Call(Level(30), {"x"}, {"y"});
  EXPECT_THAT(
      model.Parse(),
      StatusIs(kInvalid, HasSubstr("unrolls to more than 100000 nodes")));
}

TEST(OnnxFunctionTest, DeepCallsAreRefused) {
  TestModel model = Model();
  AddFunction(model, Level(0), {"a"}, {MakeNode("Neg", {"a"}, {"b"})}, {"b"});
  for (int i = 1; i <= 10'000; ++i) {
    AddFunction(model, Level(i), {"a"}, {Call(Level(i - 1), {"a"}, {"b"})},
                {"b"});
  }
  *model.graph().add_node() = Call(Level(10'000), {"x"}, {"y"});
  EXPECT_THAT(Refusal(model), StatusIs(kInvalid, HasSubstr("64 deep")));
}

TEST(OnnxFunctionTest, UnknownFunctionsAndDomainsAreRefused) {
  TestModel model = Model();
  *model.graph().add_node() = Call("f", {"x"}, {"y"});
  EXPECT_THAT(Refusal(model),
              StatusIs(kUnimplemented,
                       HasSubstr("operator domain 'local' is not supported")));
  Last(model).set_domain("com.microsoft");
  EXPECT_THAT(Refusal(model),
              StatusIs(kUnimplemented,
                       HasSubstr("without ONNX Runtime's own operators")));
}

TEST(OnnxFunctionTest, SignaturesAreChecked) {
  TestModel model = Model();
  AddFunction(model, "f", {"a"}, {MakeNode("Neg", {"a"}, {"b"})}, {"b"});
  *model.graph().add_node() = Call("f", {"x", "x"}, {"y"});
  EXPECT_THAT(Refusal(model),
              StatusIs(kInvalid, HasSubstr("has 2 inputs, expected 0 to 1")));
  Last(model) = Call("f", {"x"}, {"y", "z"});
  EXPECT_THAT(Refusal(model),
              StatusIs(kInvalid, HasSubstr("2 outputs, the function has 1")));
  *model.proto().add_functions() = model.proto().functions(0);
  EXPECT_THAT(Refusal(model),
              StatusIs(kInvalid, HasSubstr("empty or not unique")));
}

}  // namespace
}  // namespace basin::testing
