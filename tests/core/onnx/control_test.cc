// Branches and loops: what they compute, and those that are refused.

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/core/onnx/inner_nodes.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;

// --- If

TestModel IfModel(int64_t condition) {
  TestModel model = Model();
  model.Integers("condition", {}, {condition});
  model.Node("If", {"condition"}, {"y"});
  AddGraph(Last(model), "then_branch",
           Body({}, {MakeNode("Neg", {"x"}, {"t"})}, {"t"}));
  AddGraph(Last(model), "else_branch",
           Body({}, {MakeNode("Add", {"x", "x"}, {"t"})}, {"t"}));
  return model;
}

TEST(OnnxIfTest, TakesTheBranch) {
  EXPECT_THAT(YOf(IfModel(1)), ElementsAre(-3, -5));
  EXPECT_THAT(YOf(IfModel(0)), ElementsAre(6, 10));
}

// As exporters write a squeeze whose axis may or may not be of size 1.
TEST(OnnxIfTest, TheConditionMayComeFromShapes) {
  TestModel model = Model();
  model.Integers("two", {1}, {2}).Integers("one", {}, {1});
  model.Node("Shape", {"x"}, {"shape"});
  model.Node("Gather", {"shape", "one"}, {"width"});
  model.Node("Equal", {"width", "two"}, {"condition"});
  onnx::NodeProto node = IfModel(0).graph().node(0);
  *model.graph().add_node() = node;
  EXPECT_THAT(YOf(model), ElementsAre(-3, -5));
}

TEST(OnnxIfTest, OperatorsOfTheOtherBranchDoNotMatter) {
  TestModel model = IfModel(0);
  Last(model).mutable_attribute(0)->mutable_g()->mutable_node(0)->set_op_type(
      "Foo");
  EXPECT_THAT(YOf(model), ElementsAre(6, 10));
  model = IfModel(1);
  Last(model).mutable_attribute(0)->mutable_g()->mutable_node(0)->set_op_type(
      "Foo");
  EXPECT_THAT(Refusal(model),
              StatusIs(kUnimplemented,
                       AllOf(HasSubstr("node 'my_If' (If, opset 17): node that "
                                       "makes 't' (Foo, opset 17)"),
                             HasSubstr("operator not supported"))));
}

TEST(OnnxIfTest, InnerNamesHideOuterOnes) {
  TestModel model = IfModel(1);
  model.Node("Identity", {"y"}, {"z"});
  model.graph().mutable_output(0)->set_name("z");
  // The branch names its own value x, and reads the outer x for it.
  *Last(model).mutable_name() = "last";
  onnx::GraphProto& branch =
      *model.graph().mutable_node(0)->mutable_attribute(0)->mutable_g();
  *branch.mutable_node(0) = MakeNode("Neg", {"x"}, {"x"});
  *branch.add_node() = MakeNode("Add", {"x", "x"}, {"t"});
  EXPECT_THAT(YOf(model), ElementsAre(-6, -10));
}

TEST(OnnxIfTest, RuntimeConditionIsRefused) {
  TestModel model = Model();
  model.Weight("zero", {}, {0});
  model.Node("Less", {"x", "zero"}, {"condition"});
  *model.graph().add_node() = IfModel(0).graph().node(0);
  EXPECT_THAT(
      Refusal(model),
      StatusIs(kUnimplemented, HasSubstr("the condition depends on the model's "
                                         "inputs")));
}

TEST(OnnxIfTest, InitialisersOfBranches) {
  TestModel model = IfModel(1);
  onnx::GraphProto& branch = *Last(model).mutable_attribute(0)->mutable_g();
  AddFloat(branch, "w", 10);
  *branch.mutable_node(0) = MakeNode("Mul", {"x", "w"}, {"t"});
  EXPECT_THAT(YOf(model), ElementsAre(30, 50));
  branch.mutable_initializer(0)->set_data_location(onnx::TensorProto::EXTERNAL);
  auto& entry = *branch.mutable_initializer(0)->add_external_data();
  entry.set_key("location");
  entry.set_value("../secret.bin");
  EXPECT_THAT(Refusal(model),
              StatusIs(kInvalid, HasSubstr("external data is not accepted")));
  EXPECT_THAT(
      OnnxModel::Parse(model.Serialize(), ::testing::TempDir()).status(),
      StatusIs(kInvalid, HasSubstr("inside the model's folder")));
}

TEST(OnnxIfTest, NamesOfBranchesAreChecked) {
  TestModel model = IfModel(1);
  onnx::GraphProto& branch = *Last(model).mutable_attribute(0)->mutable_g();
  branch.mutable_node(0)->set_input(0, "nothing");
  EXPECT_THAT(Refusal(model),
              StatusIs(kInvalid, HasSubstr("'nothing' is made by no node")));
  branch.mutable_node(0)->set_input(0, "t");
  EXPECT_THAT(Refusal(model), StatusIs(kInvalid, HasSubstr("a cycle")));
  branch.mutable_node(0)->set_input(0, "y");
  EXPECT_THAT(Refusal(model), StatusIs(kInvalid, HasSubstr("a cycle")));
  branch.mutable_node(0)->set_input(0, "x");
  branch.mutable_output(0)->set_name("nothing");
  EXPECT_THAT(Refusal(model),
              StatusIs(kInvalid, HasSubstr("output 'nothing' is made by no")));
}

TEST(OnnxIfTest, BranchesKeepToTheirOwnValues) {
  TestModel model = IfModel(1);
  model.Node("Neg", {"t"}, {"z"});
  EXPECT_THAT(Refusal(model),
              StatusIs(kInvalid, HasSubstr("input 't' is made by no node")));
}

TEST(OnnxIfTest, InnerNodesCountAsNodes) {
  TestModel model = IfModel(1);
  OnnxLimits limits;
  limits.max_nodes = 2;
  EXPECT_THAT(Refusal(model, limits),
              StatusIs(kInvalid, HasSubstr("more than 2 nodes")));
  limits.max_nodes = 3;
  EXPECT_OK(Refusal(model, limits));
  limits.max_depth = 0;
  EXPECT_THAT(Refusal(model, limits),
              StatusIs(kInvalid, HasSubstr("nested more than 0 deep")));
}

// --- Loop

// y = x, `count` times through `nodes`, which make v_out of v.
TestModel LoopModel(int64_t count, std::vector<onnx::NodeProto> nodes) {
  TestModel model = Model();
  model.Integers("count", {}, {count}).Integers("yes", {}, {1});
  model.Node("Loop", {"count", "yes", "x"}, {"y"});
  nodes.push_back(MakeNode("Identity", {"go"}, {"go_on"}));
  AddGraph(Last(model), "body",
           Body({"i", "go", "v"}, std::move(nodes), {"go_on", "v_out"}));
  return model;
}

TEST(OnnxLoopTest, CarriesValues) {
  const std::vector<onnx::NodeProto> twice = {
      MakeNode("Add", {"v", "v"}, {"v_out"})};
  EXPECT_THAT(YOf(LoopModel(3, twice)), ElementsAre(24, 40));
  EXPECT_THAT(YOf(LoopModel(0, twice)), ElementsAre(3, 5));
  EXPECT_THAT(YOf(LoopModel(-1, twice)), ElementsAre(3, 5));
}

TEST(OnnxLoopTest, SeesTheIterationAndOuterValues) {
  onnx::NodeProto cast = MakeNode("Cast", {"i"}, {"i_float"});
  AddAttribute(cast, "to", onnx::AttributeProto::INT).set_i(1);
  // v + i x: x + 0 x + 1 x + 2 x
  EXPECT_THAT(YOf(LoopModel(3, {cast, MakeNode("Mul", {"x", "i_float"}, {"p"}),
                                MakeNode("Add", {"v", "p"}, {"v_out"})})),
              ElementsAre(12, 20));
}

// while i < 4, with no trip count: y = 5 x.
TEST(OnnxLoopTest, EndsByItsCondition) {
  TestModel model = Model();
  model.Integers("most", {}, {3});
  model.Node("Loop", {"", "", "x"}, {"y"});
  AddGraph(Last(model), "body",
           Body({"i", "go", "v"},
                {MakeNode("Less", {"i", "most"}, {"go_on"}),
                 MakeNode("Add", {"v", "x"}, {"v_out"})},
                {"go_on", "v_out"}));
  EXPECT_THAT(YOf(model), ElementsAre(15, 25));
}

TEST(OnnxLoopTest, CollectsValues) {
  TestModel model = LoopModel(2, {MakeNode("Add", {"v", "x"}, {"v_out"}),
                                  MakeNode("Neg", {"v_out"}, {"row"})});
  Last(model).mutable_attribute(0)->mutable_g()->add_output()->set_name("row");
  Last(model).set_output(0, "last");
  Last(model).add_output("y");
  ASSERT_OK_AND_ASSIGN(const Tensor y,
                       RunModel(model, {Floats({1, 2}, {3, 5})}));
  EXPECT_EQ(y.shape(), Shape({2, 1, 2}));
  EXPECT_THAT(Elements(y), ElementsAre(-6, -10, -9, -15));
}

TEST(OnnxLoopTest, HugeCountsAreRefusedAtOnce) {
  for (const int64_t count : {int64_t{100'000}, int64_t{1'000'000'000},
                              std::numeric_limits<int64_t>::max()}) {
    EXPECT_THAT(
        Refusal(LoopModel(count, {MakeNode("Add", {"v", "v"}, {"v_out"})})),
        StatusIs(kInvalid, HasSubstr("unroll to more than 100000 nodes")));
  }
}

// 1000 times 1000 times, and a loop that never ends.
TEST(OnnxLoopTest, NestedAndEndlessLoopsAreRefused) {
  TestModel inner = LoopModel(1000, {MakeNode("Identity", {"v"}, {"v_out"})});
  TestModel model = LoopModel(1000, {});
  onnx::GraphProto& body = *Last(model).mutable_attribute(0)->mutable_g();
  onnx::NodeProto node = inner.graph().node(0);
  node.set_input(2, "v");
  node.set_output(0, "v_out");
  *body.add_node() = node;
  EXPECT_THAT(Refusal(model), StatusIs(kInvalid, HasSubstr("more than")));
  TestModel endless = Model();
  endless.Integers("zero", {}, {0});
  endless.Node("Loop", {"", "", "x"}, {"y"});
  AddGraph(Last(endless), "body",
           Body({"i", "go", "v"},
                {MakeNode("LessOrEqual", {"zero", "i"}, {"go_on"}),
                 MakeNode("Identity", {"v"}, {"v_out"})},
                {"go_on", "v_out"}));
  EXPECT_THAT(Refusal(endless), StatusIs(kInvalid, HasSubstr("more than")));
}

TEST(OnnxLoopTest, RuntimeConditionsAreRefused) {
  TestModel model = Model();
  model.Node("Loop", {"", "", "x"}, {"y"});
  AddGraph(Last(model), "body",
           Body({"i", "go", "v"},
                {MakeNode("Less", {"v", "v"}, {"go_on"}),
                 MakeNode("Identity", {"v"}, {"v_out"})},
                {"go_on", "v_out"}));
  EXPECT_THAT(Refusal(model),
              StatusIs(kUnimplemented, HasSubstr("depends on the model's")));
  TestModel odd = LoopModel(2, {MakeNode("Neg", {"v"}, {"v_out"})});
  Last(odd).mutable_attribute(0)->mutable_g()->mutable_input()->RemoveLast();
  EXPECT_THAT(Refusal(odd), StatusIs(kInvalid, HasSubstr("'v'")));
}

// --- Scan

// Running sums of x [2, N] from its end, and the last one.
TEST(OnnxScanTest, GoesThroughAnAxisBothWays) {
  for (const bool backwards : {false, true}) {
    TestModel model = Model();
    model.Weight("zero", {1}, {0});
    Attributes attributes = model.Node("Scan", {"zero", "x"}, {"last", "y"});
    attributes.Int("num_scan_inputs", 1)
        .Ints("scan_input_axes", {1})
        .Ints("scan_output_axes", {1})
        .Ints("scan_input_directions", {backwards ? 1 : 0})
        .Ints("scan_output_directions", {backwards ? 1 : 0});
    AddGraph(Last(model), "body",
             Body({"sum", "v"},
                  {MakeNode("Add", {"sum", "v"}, {"next"}),
                   MakeNode("Identity", {"next"}, {"row"})},
                  {"next", "row"}));
    EXPECT_THAT(YOf(model), backwards ? ElementsAre(8, 5) : ElementsAre(3, 8));
  }
}

}  // namespace
}  // namespace basin::testing
