#include <utility>
#include <vector>

#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"
#include "tests/core/graph/random_graph.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using Reduced = GraphBuilder::ReducedAxes;

class SimplifyTest : public ::testing::Test {
 protected:
  // Simplify()'s text of a graph with these outputs.
  std::string Simple(std::vector<ValueId> outputs) {
    auto graph = std::move(b_).Build(std::move(outputs));
    EXPECT_OK(graph);
    auto simple = Simplify(*graph);
    EXPECT_OK(simple);
    simple_ = *std::move(simple);
    return simple_.ToString();
  }
  int Count(Op op) const {
    int count = 0;
    for (ValueId id = 0; id < simple_.size(); ++id) {
      if (simple_.node(id).op == op) ++count;
    }
    return count;
  }

  GraphBuilder b_;
  ValueId x_ = b_.Input("x", Shape({2, 3}));
  Graph simple_;
};

constexpr char kOnlyX[] = "%0 = input() x -> [2, 3]\noutputs %0\n";

TEST_F(SimplifyTest, NeutralOperationsDisappear) {
  ValueId y = b_.Add(x_, b_.Constant(0.0f));
  y = b_.Mul(b_.Constant(1.0f), y);
  y = b_.Sub(y, b_.Constant(0.0f));
  y = b_.Div(y, b_.Constant(1.0f));
  y = b_.Binary(ScalarOp::kPow, y, b_.Constant(1.0f));
  y = b_.Unary(ScalarOp::kNeg, b_.Unary(ScalarOp::kNeg, y));
  y = b_.StopGradient(y);
  y = b_.Transpose(b_.Transpose(y, {1, 0}), {1, 0});
  y = b_.Reshape(b_.Reshape(b_.Reshape(y, Shape({6})), Shape({3, 2})),
                 Shape({2, 3}));
  y = b_.Slice(y, {{0, 0}, {2, 3}, {1, 1}});
  y = b_.Pad(y, {{0, 0}, {0, 0}, {0, 0}});
  y = b_.ReduceSum(b_.Concat({y}, 0), {}, Reduced::kDrop);
  EXPECT_EQ(Simple({y}), kOnlyX);
}

TEST_F(SimplifyTest, DeadNodesGoButInputsStay) {
  const ValueId unused = b_.Input("unused", Shape({5}));
  b_.Unary(ScalarOp::kExp, unused);
  Simple({b_.Unary(ScalarOp::kExp, x_)});
  EXPECT_EQ(simple_.size(), 3);
  EXPECT_EQ(simple_.inputs().size(), 2u);
}

TEST_F(SimplifyTest, EqualNodesMerge) {
  const ValueId y = b_.Mul(x_, b_.Unary(ScalarOp::kSigmoid, x_));
  const ValueId z = b_.Mul(b_.Unary(ScalarOp::kSigmoid, x_), x_);
  Simple({b_.Add(y, b_.Constant(2.0f)), b_.Add(z, b_.Constant(2.0f))});
  EXPECT_EQ(simple_.outputs()[0], simple_.outputs()[1]);
  EXPECT_EQ(Count(Op::kElementwise), 3);
}

TEST_F(SimplifyTest, DifferentConstantsDoNotMerge) {
  const ValueId y = b_.Add(x_, b_.Constant(0.1f));
  const ValueId z = b_.Add(x_, b_.Constant(0.1000001f));
  Simple({y, z});
  EXPECT_NE(simple_.outputs()[0], simple_.outputs()[1]);
}

TEST_F(SimplifyTest, ConstantsFold) {
  const ValueId c = b_.Constant(Tensor::Of<float>(Shape({3}), {1, 4, 9}));
  const ValueId root = b_.Unary(ScalarOp::kSqrt, c);
  const ValueId sum = b_.ReduceSum(root, {0}, Reduced::kKeep);
  const ValueId both = b_.Concat({root, sum}, 0);
  const ValueId picked =
      b_.Gather(both, b_.Constant(Tensor::Of<int64_t>(Shape({2}), {3, 0})), 0);
  const ValueId grid = b_.Transpose(b_.Reshape(picked, Shape({1, 2})), {1, 0});
  const ValueId max = b_.ReduceMax(b_.Slice(grid, {{0, 0}, {2, 1}, {1, 1}}),
                                   {1}, Reduced::kDrop);
  Simple({max});
  const Node& node = simple_.node(simple_.outputs()[0]);
  ASSERT_EQ(node.op, Op::kConstant);
  EXPECT_THAT(std::get<ConstantAttrs>(node.attributes).value.data<float>(),
              ElementsAre(6, 1));
}

TEST_F(SimplifyTest, LargeConstantsAreSharedNotCopied) {
  const Tensor w = RandomConstant(Shape({300, 300}), 1);
  const ValueId c = b_.Constant(w);
  const ValueId y =
      b_.Matmul(b_.Input("y", Shape({2, 300})), b_.Transpose(c, {1, 0}));
  const ValueId z = b_.Matmul(
      y,
      b_.Reshape(b_.Constant(w.Reshaped(Shape({90000}))), Shape({300, 300})));
  Simple({z, b_.Mul(c, c)});
  int constants = 0;
  for (ValueId id = 0; id < simple_.size(); ++id) {
    if (simple_.node(id).op != Op::kConstant) continue;
    EXPECT_EQ(simple_.attributes<ConstantAttrs>(id).value.id(), w.id());
    ++constants;
  }
  EXPECT_EQ(constants, 1);
  EXPECT_EQ(Count(Op::kTranspose), 0);
  EXPECT_EQ(Count(Op::kReshape), 0);
  EXPECT_EQ(Count(Op::kElementwise), 1);
}

TEST_F(SimplifyTest, BroadcastConstantsStaySmall) {
  const ValueId c = b_.Constant(Tensor::Of<float>(Shape({3}), {1, 2, 3}));
  const ValueId wide = b_.BroadcastTo(c, Shape({1000, 3}));
  const ValueId y = b_.Unary(ScalarOp::kExp, b_.Mul(wide, b_.Constant(2.0f)));
  Simple({y});
  const Node& node = simple_.node(simple_.outputs()[0]);
  ASSERT_EQ(node.op, Op::kBroadcast);
  EXPECT_EQ(simple_.node(node.inputs[0]).op, Op::kConstant);
  EXPECT_EQ(simple_.shape(node.inputs[0]), Shape({1, 3}));
}

TEST_F(SimplifyTest, TransposesBecomeMatmulAttributes) {
  const ValueId a = b_.Input("a", Shape({2, 4, 3}));
  const ValueId c = b_.Input("b", Shape({2, 5, 4}));
  const ValueId y =
      b_.Matmul(b_.Transpose(a, {0, 2, 1}), b_.Transpose(c, {0, 2, 1}));
  Simple({y});
  EXPECT_EQ(Count(Op::kTranspose), 0);
  const auto& attrs = simple_.attributes<MatmulAttrs>(simple_.outputs()[0]);
  EXPECT_TRUE(attrs.transpose_a);
  EXPECT_TRUE(attrs.transpose_b);
}

TEST_F(SimplifyTest, OtherTransposesStay) {
  const ValueId a = b_.Input("a", Shape({2, 4, 3}));
  const ValueId y =
      b_.Matmul(b_.Transpose(a, {1, 0, 2}), b_.Input("b", Shape({4, 3, 5})));
  Simple({y});
  EXPECT_EQ(Count(Op::kTranspose), 1);
}

TEST_F(SimplifyTest, MovingAxesOfOneIsAReshape) {
  const ValueId a = b_.Input("a", Shape({2, 1, 3, 1}));
  Simple({b_.Transpose(a, {1, 0, 3, 2})});
  EXPECT_EQ(Count(Op::kTranspose), 0);
  EXPECT_EQ(Count(Op::kReshape), 1);
}

TEST_F(SimplifyTest, OuterProductsAreElementwise) {
  const ValueId column = b_.Input("c", Shape({4, 1}));
  const ValueId row = b_.Input("r", Shape({5, 1}));
  Simple({b_.Matmul(column, row, {false, true})});
  EXPECT_EQ(Count(Op::kMatmul), 0);
  EXPECT_EQ(Count(Op::kElementwise), 1);
}

TEST_F(SimplifyTest, SumsOfCopiesAreProducts) {
  const ValueId a = b_.Input("a", Shape({4, 1, 3}));
  const ValueId wide = b_.BroadcastTo(a, Shape({4, 7, 3}));
  Simple({b_.ReduceSum(wide, {1}, Reduced::kDrop),
          b_.ReduceMax(wide, {1}, Reduced::kDrop)});
  EXPECT_EQ(Count(Op::kReduceSum), 0);
  EXPECT_EQ(Count(Op::kReduceMax), 0);
  EXPECT_EQ(Count(Op::kElementwise), 1);
}

TEST_F(SimplifyTest, SmallPowersAreProducts) {
  Simple({b_.Binary(ScalarOp::kPow, x_, b_.Constant(2.0f)),
          b_.Binary(ScalarOp::kPow, x_, b_.Constant(3.0f)),
          b_.Binary(ScalarOp::kPow, x_, b_.Constant(2.5f))});
  EXPECT_EQ(Count(Op::kElementwise), 3);  // x*x, that times x, pow
}

}  // namespace
}  // namespace basin::testing
