// Every primitive operation on the CPU against the reference evaluator, on
// shapes that exercise tails, broadcasts and strides.

#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/graph/graph_builder.h"
#include "tests/core/backend/plan_runner.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

// Builds the graph of `outputs` and compares it with the reference.
void ExpectMatches(GraphBuilder b, std::vector<ValueId> outputs,
                   double tolerance = 2e-5) {
  const auto graph = std::move(b).Build(std::move(outputs));
  ASSERT_TRUE(graph.ok()) << graph.status();
  ExpectMatchesReference(*graph, 11, tolerance);
  ExpectFloat64MatchesReference(*graph, 11);
}

const std::vector<Shape> kShapes = {{},        {1},          {17},
                                    {3, 5},    {64, 512},    {2, 1030},
                                    {7, 1, 3}, {2, 3, 4, 5}, {61, 2, 1, 2}};

TEST(PlanOpsTest, UnaryOperations) {
  const ScalarOp on_all[] = {
      ScalarOp::kNeg,      ScalarOp::kAbs,   ScalarOp::kSign,
      ScalarOp::kExp,      ScalarOp::kSin,   ScalarOp::kCos,
      ScalarOp::kTanh,     ScalarOp::kErf,   ScalarOp::kSigmoid,
      ScalarOp::kSoftplus, ScalarOp::kFloor, ScalarOp::kReciprocal,
      ScalarOp::kSinh,     ScalarOp::kAtan,  ScalarOp::kAsinh};
  for (const Shape& shape : kShapes) {
    for (const ScalarOp op : on_all) {
      GraphBuilder b;
      const ValueId y = b.Unary(op, b.Input("x", shape));
      ExpectMatches(std::move(b), {y});
    }
    for (const ScalarOp op :
         {ScalarOp::kAsin, ScalarOp::kAcos, ScalarOp::kAtanh}) {
      GraphBuilder b;
      const ValueId x = b.Unary(ScalarOp::kTanh, b.Input("x", shape));
      const ValueId y = b.Unary(op, b.Mul(x, b.Constant(0.9F)));
      ExpectMatches(std::move(b), {y});
    }
    {
      GraphBuilder b;
      const ValueId x = b.Unary(ScalarOp::kExp, b.Input("x", shape));
      const ValueId y = b.Unary(ScalarOp::kAcosh, b.Add(x, b.Constant(1.0F)));
      ExpectMatches(std::move(b), {y});
    }
    for (const ScalarOp op : {ScalarOp::kLog, ScalarOp::kSqrt}) {
      GraphBuilder b;
      const ValueId x = b.Unary(ScalarOp::kAbs, b.Input("x", shape));
      const ValueId y = b.Unary(op, x);
      ExpectMatches(std::move(b), {y});
    }
  }
}

struct BroadcastCase {
  Shape a;
  Shape b;
};

const std::vector<BroadcastCase> kBroadcasts = {{{64, 512}, {512}},
                                                {{64, 512}, {64, 1}},
                                                {{64, 512}, {}},
                                                {{5, 1}, {1, 7}},
                                                {{2, 3, 9, 9}, {3, 1, 1}},
                                                {{2, 3, 9, 9}, {2, 1, 9, 1}},
                                                {{4, 1, 2}, {1, 7, 2}},
                                                {{61, 3}, {3}},
                                                {{997, 1, 2}, {3, 1}},
                                                {{3, 1, 130}, {1, 20, 1}},
                                                {{2, 1, 3, 1, 2}, {5, 1, 4, 1}},
                                                {{1, 1}, {1, 1}}};

TEST(PlanOpsTest, BinaryOperationsBroadcast) {
  const ScalarOp ops[] = {
      ScalarOp::kAdd,  ScalarOp::kSub,       ScalarOp::kMul,
      ScalarOp::kDiv,  ScalarOp::kMax,       ScalarOp::kMin,
      ScalarOp::kLess, ScalarOp::kLessEqual, ScalarOp::kEqual};
  for (const BroadcastCase& shapes : kBroadcasts) {
    for (const ScalarOp op : ops) {
      GraphBuilder b;
      const ValueId x = b.Input("x", shapes.a);
      const ValueId y = b.Input("y", shapes.b);
      const std::vector<ValueId> outputs = {b.Binary(op, x, y),
                                            b.Binary(op, y, x)};
      ExpectMatches(std::move(b), outputs);
    }
  }
}

TEST(PlanOpsTest, PowAndSelectBroadcast) {
  for (const BroadcastCase& shapes : kBroadcasts) {
    GraphBuilder b;
    const ValueId x = b.Input("x", shapes.a);
    const ValueId y = b.Input("y", shapes.b);
    const ValueId pow = b.Binary(ScalarOp::kPow, b.Unary(ScalarOp::kAbs, x), y);
    const ValueId less = b.Binary(ScalarOp::kLess, x, y);
    const std::vector<ValueId> outputs = {pow, b.Select(less, x, y),
                                          b.Select(y, less, b.Constant(0.5F)),
                                          b.Select(x, b.Constant(1.5F), y)};
    ExpectMatches(std::move(b), outputs);
  }
}

TEST(PlanOpsTest, LongProgramsReuseRegisters) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {9, 700});
  const ValueId bias = b.Input("bias", {700});
  std::vector<ValueId> terms;
  for (int i = 1; i <= 12; ++i) {
    const ValueId scaled = b.Mul(x, b.Constant(0.3F * static_cast<float>(i)));
    terms.push_back(b.Unary(ScalarOp::kSin, b.Add(scaled, bias)));
  }
  ValueId sum = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    sum = b.Add(b.Mul(sum, sum), b.Mul(terms[i], terms[terms.size() - i]));
    sum = b.Unary(ScalarOp::kTanh, sum);
  }
  ExpectMatches(std::move(b), {sum}, 2e-4);
}

TEST(PlanOpsTest, NanPropagates) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {40});
  const ValueId zero = b.Constant(0.0F);
  const std::vector<ValueId> outputs = {
      b.Binary(ScalarOp::kMax, x, zero),
      b.Binary(ScalarOp::kMax, zero, x),
      b.Binary(ScalarOp::kMin, x, zero),
      b.Unary(ScalarOp::kTanh, x),
      b.Unary(ScalarOp::kSoftplus, x),
      b.Unary(ScalarOp::kSign, x),
      b.ReduceMax(x, {0}, GraphBuilder::ReducedAxes::kKeep),
      b.ReduceSum(x, {0}, GraphBuilder::ReducedAxes::kKeep)};
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build(outputs));
  Tensor input(DType::kFloat32, {40});
  input.mutable_data<float>()[37] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_OK_AND_ASSIGN(const std::vector<Tensor> results,
                       RunOnCpu(graph, {&input, 1}));
  for (const Tensor& result : results) {
    const size_t at = result.num_elements() == 1 ? 0 : 37;
    EXPECT_NE(result.data<float>()[at], result.data<float>()[at]);
  }
}

TEST(PlanOpsTest, ReductionsOverAnyAxes) {
  const std::vector<Shape> shapes = {
      {3, 4, 5, 6}, {2, 33, 1, 70}, {5, 1, 16, 2}, {1, 1, 1, 1}};
  const std::vector<IntList> axes_lists = {
      {},        {0},       {1},       {2},         {3},    {0, 1},
      {0, 2},    {0, 3},    {1, 2},    {1, 3},      {2, 3}, {0, 1, 2},
      {0, 1, 3}, {0, 2, 3}, {1, 2, 3}, {0, 1, 2, 3}};
  for (const Shape& shape : shapes) {
    for (const IntList& axes : axes_lists) {
      GraphBuilder b;
      const ValueId x = b.Input("x", shape);
      const std::vector<ValueId> outputs = {
          b.ReduceSum(x, axes, GraphBuilder::ReducedAxes::kDrop),
          b.ReduceMax(x, axes, GraphBuilder::ReducedAxes::kDrop)};
      ExpectMatches(std::move(b), outputs);
    }
  }
}

TEST(PlanOpsTest, LongRowsReduce) {
  for (const int64_t n : {1, 15, 16, 31, 32, 33, 784, 1000}) {
    GraphBuilder b;
    const ValueId x = b.Input("x", {4, n});
    const std::vector<ValueId> outputs = {
        b.ReduceSum(x, {1}, GraphBuilder::ReducedAxes::kDrop),
        b.ReduceMax(x, {1}, GraphBuilder::ReducedAxes::kKeep),
        b.LogSumExp(x, {1}, GraphBuilder::ReducedAxes::kDrop)};
    ExpectMatches(std::move(b), outputs);
  }
}

TEST(PlanOpsTest, MovesElements) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {3, 4, 5, 6});
  const ValueId y = b.Input("y", {3, 2, 5, 6});
  const std::vector<ValueId> outputs = {
      b.Transpose(x, {0, 2, 3, 1}),
      b.Transpose(x, {3, 2, 1, 0}),
      b.Transpose(x, {0, 1, 3, 2}),
      b.Slice(x, {{0, 1, 0, 2}, {3, 4, 5, 6}, {1, 2, 3, 1}}),
      b.Slice(x, {{1, 0, 0, 0}, {2, 4, 5, 6}, {1, 1, 1, 1}}),
      b.Pad(x, {{0, 1, 0, 2}, {0, 0, 3, 1}, {0, 0, 0, 0}}),
      b.Pad(x, {{0, 0, 1, 0}, {1, 0, 0, 0}, {0, 1, 2, 3}}),
      b.Concat({x, y, x}, 1),
      b.BroadcastTo(b.Slice(x, {{0, 0, 0, 0}, {3, 1, 5, 1}, {1, 1, 1, 1}}),
                    {2, 3, 7, 5, 4}),
      b.StopGradient(x)};
  ExpectMatches(std::move(b), outputs, 0);
}

TEST(PlanOpsTest, GathersAndScatters) {
  const std::vector<int64_t> values = {3, 0, 3, 1};
  for (const int axis : {0, 1, 2}) {
    GraphBuilder b;
    const ValueId x = b.Input("x", {4, 4, 4});
    const ValueId indices =
        b.Constant(Tensor::Of<int64_t>({4}, absl::MakeConstSpan(values)));
    const std::vector<ValueId> outputs = {
        b.Gather(x, indices, axis), b.ScatterAdd(x, indices, axis, {4, 4, 4})};
    ExpectMatches(std::move(b), outputs, 1e-6);
  }
}

TEST(PlanOpsTest, IndicesOfTheGraph) {
  for (const int64_t d : {1, 3, 40}) {
    GraphBuilder b;
    const ValueId x = b.Input("x", {3, 5, d});
    // Of both signs; combine_test.cc has those beyond the ends.
    const ValueId places =
        b.Mul(b.Unary(ScalarOp::kSin,
                      b.Mul(b.Input("places", {3, 7}), b.Constant(6))),
              b.Constant(3.99));
    const std::vector<ValueId> outputs = {
        b.Take(x, places), b.PutAdd(b.Take(x, places), places, 4)};
    ExpectMatches(std::move(b), outputs, 1e-6);
  }
}

TEST(PlanOpsTest, TopK) {
  for (const Shape& shape : {Shape({1}), Shape({7, 33}), Shape({2, 3, 1000})}) {
    GraphBuilder b;
    const ValueId x = b.Input("x", shape);
    const int64_t size = shape.dim(-1);
    using Order = TopKAttrs::Order;
    const ValueId equal = b.Unary(ScalarOp::kFloor, x);
    const std::vector<ValueId> outputs = {
        b.TopK(x, {size, Order::kLargest}), b.TopK(x, {1, Order::kSmallest}),
        b.TopK(equal, {size / 2 + 1, Order::kLargest}),
        b.TopK(equal, {size, Order::kSmallest})};
    ExpectMatches(std::move(b), outputs, 0);
  }
}

struct MatmulCase {
  Shape a;
  Shape b;
  MatmulAttrs attrs;
};

const std::vector<MatmulCase> kMatmuls = {
    {{5, 7}, {7, 3}, {}},
    {{1, 1}, {1, 1}, {}},
    {{64, 33}, {33, 1}, {}},
    {{64, 1}, {1, 33}, {}},
    {{17, 130}, {65, 130}, {.transpose_b = true}},
    {{130, 17}, {130, 65}, {.transpose_a = true}},
    {{31, 9}, {20, 31}, {.transpose_a = true, .transpose_b = true}},
    {{3, 4, 6}, {3, 6, 5}, {}},
    {{2, 3, 4, 6}, {2, 3, 5, 6}, {.transpose_b = true}},
    {{2, 6, 16}, {2, 6, 5}, {.transpose_a = true}},
    {{64, 2}, {32, 2}, {.transpose_b = true}}};

TEST(PlanOpsTest, MatmulOfInputs) {
  for (const MatmulCase& matmul : kMatmuls) {
    GraphBuilder b;
    const ValueId y =
        b.Matmul(b.Input("a", matmul.a), b.Input("b", matmul.b), matmul.attrs);
    ExpectMatches(std::move(b), {y});
  }
}

TEST(PlanOpsTest, MatmulWithConstants) {
  std::mt19937 random(3);
  for (const MatmulCase& matmul : kMatmuls) {
    GraphBuilder b;
    const ValueId right =
        b.Matmul(b.Input("a", matmul.a),
                 b.Constant(RandomTensor(matmul.b, random)), matmul.attrs);
    const ValueId left = b.Matmul(b.Constant(RandomTensor(matmul.a, random)),
                                  b.Input("b", matmul.b), matmul.attrs);
    ExpectMatches(std::move(b), {right, left});
  }
}

struct ConvCase {
  Shape x;
  Shape w;
  ConvAttrs attrs;
};

const std::vector<ConvCase> kConvs = {
    {{2, 1, 8, 8}, {16, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1}},
    {{2, 16, 9, 7}, {32, 16, 3, 3}, {{2, 2}, {1, 1}, {1, 0}, {1, 1}, 1}},
    {{3, 5, 6, 6}, {7, 5, 2, 3}, {{1, 2}, {2, 1}, {0, 2}, {1, 0}, 1}},
    {{2, 6, 5, 5}, {4, 3, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 2}},
    {{2, 16, 5, 5}, {16, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 16}},
    {{2, 3, 11}, {4, 3, 4}, {{3}, {1}, {2}, {1}, 1}},
    {{1, 2, 4, 5, 6},
     {3, 2, 2, 2, 2},
     {{1, 2, 1}, {1, 1, 1}, {0, 1, 0}, {1, 0, 0}, 1}},
    {{4, 32, 1, 1}, {8, 32, 1, 1}, {{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1}},
    // Winograd's, several chunks of tiles and odd sizes.
    {{5, 16, 15, 13}, {32, 16, 3, 3}, {{1, 1}, {1, 1}, {0, 2}, {1, 0}, 1}},
    {{3, 32, 9, 24}, {16, 32, 3, 3}, {{1, 1}, {1, 1}, {2, 0}, {2, 1}, 1}},
    // From few channels.
    {{2, 2, 9, 8}, {5, 2, 3, 2}, {{2, 1}, {2, 1}, {3, 0}, {1, 2}, 1}},
    {{2, 1, 10, 9}, {16, 1, 5, 3}, {{2, 3}, {1, 2}, {4, 1}, {0, 5}, 1}}};

TEST(PlanOpsTest, ConvolutionsAndTheirGradients) {
  std::mt19937 random(4);
  for (const ConvCase& conv : kConvs) {
    GraphBuilder b;
    const ValueId x = b.Input("x", conv.x);
    const ValueId w = b.Input("w", conv.w);
    const ValueId y = b.Conv(x, w, conv.attrs);
    ASSERT_OK(b.status());
    const ValueId dy = b.Input("dy", b.shape(y));
    const ValueId constant = b.Constant(RandomTensor(conv.w, random));
    const ValueId inputs[] = {x, dy};
    const std::vector<ValueId> outputs = {
        y, b.ConvBackwardData(dy, w, conv.attrs, conv.x),
        b.Conv(x, constant, conv.attrs),
        b.ConvBackwardData(dy, constant, conv.attrs, conv.x),
        b.AddShapedNode(Op::kConvBackwardWeights, inputs, conv.attrs, conv.w)};
    ExpectMatches(std::move(b), outputs);
  }
}

struct PoolCase {
  Shape x;
  PoolAttrs attrs;
};

const std::vector<PoolCase> kPools = {
    {{2, 3, 8, 8}, {{2, 2}, {2, 2}, {0, 0}, {0, 0}, false}},
    {{2, 3, 7, 9}, {{3, 2}, {2, 1}, {1, 0}, {1, 1}, false}},
    {{2, 3, 7, 9}, {{3, 3}, {2, 2}, {1, 1}, {1, 1}, true}},
    {{3, 2, 10}, {{4}, {3}, {1}, {2}, true}},
    {{2, 70, 5, 4}, {{2, 3}, {2, 1}, {1, 0}, {0, 1}, false}},
    {{1, 2, 4, 5, 6}, {{2, 2, 3}, {1, 2, 2}, {0, 1, 1}, {1, 0, 1}, false}}};

TEST(PlanOpsTest, PoolsAndTheirGradients) {
  for (const PoolCase& pool : kPools) {
    GraphBuilder b;
    const ValueId x = b.Input("x", pool.x);
    const ValueId max = b.MaxPool(x, pool.attrs);
    const ValueId avg = b.AvgPool(x, pool.attrs);
    ASSERT_OK(b.status());
    const ValueId dy = b.Input("dy", b.shape(max));
    const ValueId max_inputs[] = {x, dy};
    const ValueId avg_inputs[] = {dy};
    const std::vector<ValueId> outputs = {
        max, avg, b.AddNode(Op::kMaxPoolGrad, max_inputs, pool.attrs),
        b.AddShapedNode(Op::kAvgPoolGrad, avg_inputs, pool.attrs, pool.x)};
    ExpectMatches(std::move(b), outputs);
  }
}

TEST(PlanOpsTest, EmptyTensorsAndSumsOfNothing) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {3, 0});
  const ValueId w = b.Input("w", {0, 4});
  const std::vector<ValueId> outputs = {
      b.Matmul(x, w), b.ReduceSum(x, {1}, GraphBuilder::ReducedAxes::kDrop),
      b.Unary(ScalarOp::kExp, x), b.Concat({x, b.Matmul(x, w)}, 1),
      b.Pad(x, {{0, 2}, {0, 1}, {0, 0}})};
  ExpectMatches(std::move(b), outputs, 0);
}

TEST(PlanOpsTest, OutputsMayRepeatOrBeInputsConstantsAndReshapes) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {4, 6});
  const ValueId y = b.Unary(ScalarOp::kExp, x);
  const ValueId reshaped = b.Reshape(y, {2, 12});
  const ValueId z = b.Add(reshaped, b.Constant(1.0F));
  const std::vector<ValueId> outputs = {
      x, b.Constant(2.5F),          reshaped,          y, y,
      z, b.Reshape(reshaped, {24}), b.Reshape(x, {24})};
  ExpectMatches(std::move(b), outputs);
}

}  // namespace
}  // namespace basin::testing
