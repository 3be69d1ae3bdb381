#include <cmath>
#include <utility>
#include <vector>

#include "core/graph/gradient.h"
#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"
#include "tests/core/graph/random_graph.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using Reduced = GraphBuilder::ReducedAxes;

int Count(const Graph& graph, Op op) {
  int count = 0;
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (graph.node(id).op == op) ++count;
  }
  return count;
}

ValueId Silu(GraphBuilder& b, ValueId x) {
  return b.Mul(x, b.Unary(ScalarOp::kSigmoid, x));
}

// Energy and gradient of x -> silu -> silu -> 1, with weights as PyTorch
// stores them, [out, in].
Graph SiluMlp(int64_t rows, int64_t inputs, int64_t hidden) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({rows, inputs}));
  const auto layer = [&](ValueId h, int64_t out, uint32_t seed) {
    const int64_t in = b.shape(h).dim(1);
    const ValueId w = b.Constant(RandomConstant(Shape({out, in}), seed));
    const ValueId bias = b.Constant(RandomConstant(Shape({out}), seed + 1));
    return b.Add(b.Matmul(h, w, {false, true}), bias);
  };
  const ValueId h1 = Silu(b, layer(x, hidden, 1));
  const ValueId h2 = Silu(b, layer(h1, hidden, 3));
  const ValueId energy = b.Reshape(layer(h2, 1, 5), Shape({rows}));
  auto graph = std::move(b).Build({energy});
  EXPECT_OK(graph);
  auto gradient = Gradient(*graph, energy, x);
  EXPECT_OK(gradient);
  return *std::move(gradient);
}

// Forward silu twice, the output's bias, and silu' twice: five fused nodes
// and five products; the sixth, by a column of ones, is folded away.
TEST(FuseTest, SiluMlpHasOneFusedNodeForEachActivation) {
  ASSERT_OK_AND_ASSIGN(const Graph graph, Optimize(SiluMlp(64, 784, 512)));
  EXPECT_EQ(Count(graph, Op::kFused), 5) << graph.ToString();
  EXPECT_EQ(Count(graph, Op::kMatmul), 5) << graph.ToString();
  EXPECT_EQ(Count(graph, Op::kConstant), 5) << graph.ToString();
  EXPECT_EQ(Count(graph, Op::kReshape), 1) << graph.ToString();
  EXPECT_EQ(graph.size(), 17) << graph.ToString();
  // z1, h1 (later dz2, dz1), z2, h2 (later dh1): four buffers are live at once.
  EXPECT_LE(PlanMemory(graph).arena_size, 4u * 64 * 512 * 4 + 64 * 64);
}

TEST(FuseTest, SiluMlpKeepsItsValues) {
  const Graph graph = SiluMlp(3, 7, 5);
  ASSERT_OK_AND_ASSIGN(const Graph optimized, Optimize(graph));
  const std::vector<Tensor> inputs = RandomInputs(graph, 11);
  ASSERT_OK_AND_ASSIGN(const auto wanted, EvaluateReference(graph, inputs));
  ASSERT_OK_AND_ASSIGN(const auto got, EvaluateReference(optimized, inputs));
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (int64_t k = 0; k < wanted[i].num_elements(); ++k) {
      EXPECT_NEAR(got[i].data<double>()[k], wanted[i].data<double>()[k], 1e-6);
    }
  }
}

TEST(FuseTest, ScalarsAreConstantsAndRowsAreOperands) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({8, 4}));
  const ValueId row = b.Input("row", Shape({4}));
  const ValueId y = b.Mul(b.Add(x, row), b.Constant(2.5f));
  ASSERT_OK_AND_ASSIGN(const Graph graph,
                       std::move(b).Build({b.Add(y, b.Constant(2.5f))}));
  ASSERT_OK_AND_ASSIGN(const Graph fused, Fuse(graph));
  EXPECT_EQ(Count(fused, Op::kFused), 1);
  EXPECT_EQ(Count(fused, Op::kBroadcast), 0);
  EXPECT_EQ(Count(fused, Op::kConstant), 0);
  const Node& node = fused.node(fused.outputs()[0]);
  EXPECT_EQ(node.inputs.size(), 2u);
  const auto& program = std::get<FusedAttrs>(node.attributes).program;
  EXPECT_THAT(program.constants, ::testing::ElementsAre(2.5f));
  EXPECT_EQ(program.instructions.size(), 3u);
}

TEST(FuseTest, WhatOthersReadIsStoredOnceAndReadBack) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({4, 4}));
  const ValueId h = b.Unary(ScalarOp::kTanh, x);
  const ValueId product = b.Matmul(h, h);
  const ValueId slope = b.Sub(b.Constant(1.0f), b.Mul(h, h));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({product, slope}));
  ASSERT_OK_AND_ASSIGN(const Graph fused, Fuse(graph));
  EXPECT_EQ(Count(fused, Op::kFused), 2);
  const auto& program =
      fused.attributes<FusedAttrs>(fused.outputs()[1]).program;
  EXPECT_EQ(program.instructions.size(), 2u) << fused.ToString();
}

TEST(FuseTest, DearSharedValuesAreStored) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({4, 4}));
  ValueId dear = x;
  for (int i = 0; i < 10; ++i) dear = b.Unary(ScalarOp::kSin, dear);
  const ValueId one = b.Matmul(b.Unary(ScalarOp::kNeg, dear), x);
  const ValueId two = b.Matmul(b.Unary(ScalarOp::kAbs, dear), x);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({one, two}));
  ASSERT_OK_AND_ASSIGN(const Graph fused, Fuse(graph));
  EXPECT_EQ(Count(fused, Op::kFused), 3) << fused.ToString();
}

TEST(FuseTest, EqualInstructionsMerge) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({4}));
  const ValueId y =
      b.Add(b.Unary(ScalarOp::kExp, x), b.Unary(ScalarOp::kExp, x));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({y}));
  ASSERT_OK_AND_ASSIGN(const Graph fused, Fuse(graph));
  EXPECT_EQ(fused.attributes<FusedAttrs>(fused.outputs()[0])
                .program.instructions.size(),
            2u);
}

TEST(FuseTest, ConstantsAloneStillHaveAnOperand) {
  GraphBuilder b;
  const ValueId one = b.BroadcastTo(b.Constant(1.5f), Shape({2, 3}));
  ASSERT_OK_AND_ASSIGN(const Graph graph,
                       std::move(b).Build({b.Add(one, one)}));
  ASSERT_OK_AND_ASSIGN(const Graph fused, Fuse(graph));
  ASSERT_OK_AND_ASSIGN(const auto results, EvaluateReference(fused, {}));
  EXPECT_EQ(results[0].shape(), Shape({2, 3}));
  EXPECT_THAT(results[0].data<double>(), ::testing::Each(3.0));
}

// Many operands, many instructions, many constants: split, and still right.
TEST(FuseTest, LargeTreesAreSplit) {
  GraphBuilder b;
  ValueId sum = b.Input("x", Shape({2, 3}));
  for (int i = 0; i < 60; ++i) {
    const ValueId other = b.Input("y", Shape({2, 3}));
    const float factor = 0.5f + static_cast<float>(i) / 100;
    sum = b.Add(b.Mul(sum, b.Constant(factor)), b.Unary(ScalarOp::kSin, other));
  }
  ValueId deep = sum;
  for (int i = 0; i < 100; ++i) {
    deep = b.Mul(deep, b.Constant(1.0f + static_cast<float>(i) / 1000));
    deep = b.Unary(ScalarOp::kSin, deep);
  }
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({deep}));
  ASSERT_OK_AND_ASSIGN(const Graph fused, Fuse(graph));
  EXPECT_GT(Count(fused, Op::kFused), 5);
  EXPECT_LT(Count(fused, Op::kFused), 20);
  const std::vector<Tensor> inputs = RandomInputs(graph, 3);
  ASSERT_OK_AND_ASSIGN(const auto wanted, EvaluateReference(graph, inputs));
  ASSERT_OK_AND_ASSIGN(const auto got, EvaluateReference(fused, inputs));
  for (int64_t k = 0; k < wanted[0].num_elements(); ++k) {
    EXPECT_EQ(got[0].data<double>()[k], wanted[0].data<double>()[k]);
  }
}

}  // namespace
}  // namespace basin::testing
