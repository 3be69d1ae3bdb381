// Images with their channels last: the same values, and no transposes but where
// images come and go.

#include "core/backend/cpu/channels_last.h"

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"
#include "tests/core/backend/networks.h"
#include "tests/core/backend/plan_runner.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using Reduced = GraphBuilder::ReducedAxes;

int CountOf(const Graph& graph, Op op) {
  int count = 0;
  for (ValueId id = 0; id < graph.size(); ++id)
    count += graph.node(id).op == op;
  return count;
}

Graph Rewritten(const Graph& graph) {
  return Optimize(ToChannelsLast(Simplify(graph).value()).value()).value();
}

ValueId Convolved(GraphBuilder& b, ValueId x, int64_t out,
                  std::mt19937& random) {
  const int64_t in = b.shape(x).dim(1);
  return b.Conv(x, b.Constant(RandomTensor({out, in, 3, 3}, random)),
                {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1});
}

TEST(ChannelsLastTest, NetworksTransposeAtTheirEndsOnly) {
  // The image and its gradient.
  EXPECT_EQ(CountOf(Rewritten(ResidualNetwork(2, {8, 4, 1})), Op::kTranspose),
            2);
  // One channel needs none; before the linear layer, and back.
  EXPECT_EQ(CountOf(Rewritten(ConvNetwork(2, 28, 4)), Op::kTranspose), 2);
  // No image.
  EXPECT_EQ(CountOf(Rewritten(TransformerNetwork(2, {5, 16, 1})), Op::kConv),
            0);
}

TEST(ChannelsLastTest, WhatHangsTogetherWithImagesFollows) {
  std::mt19937 random(1);
  GraphBuilder b;
  const ValueId x = b.Input("x", {2, 3, 6, 5});
  ValueId h = Convolved(b, x, 4, random);
  h = b.Concat({h, b.Unary(ScalarOp::kTanh, h)}, 1);
  h = b.Pad(h, {{0, 1, 2, 0}, {0, 0, 1, 3}, {0, 0, 1, 0}});
  h = b.Slice(h, {{0, 2, 0, 1}, {2, 9, 14, 8}, {1, 1, 2, 1}});
  const std::vector<int64_t> places = {1, 0, 6, 3};
  for (const int axis : {1, 2}) {
    h = b.Gather(
        h, b.Constant(Tensor::Of<int64_t>({4}, absl::MakeConstSpan(places))),
        axis);
  }
  // Spatial axes joined, and a mean over them.
  h = b.Reshape(h, {2, 4, 28});
  h = b.Sub(h, b.ReduceSum(h, {2}, Reduced::kKeep));
  h = b.Mul(Convolved(b, b.Reshape(h, {2, 4, 4, 7}), 5, random),
            b.Constant(RandomTensor({5, 1, 1}, random)));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({h}));
  ExpectMatchesReference(graph, 1);
  EXPECT_EQ(CountOf(Rewritten(graph), Op::kTranspose), 2);
}

TEST(ChannelsLastTest, AllReductionsOfImages) {
  const IntList lists[] = {{0},    {1},       {2},       {3},
                           {0, 1}, {0, 3},    {1, 2},    {1, 3},
                           {2, 3}, {0, 2, 3}, {1, 2, 3}, {0, 1, 2, 3}};
  for (const IntList& axes : lists) {
    std::mt19937 random(2);
    GraphBuilder b;
    const ValueId h = Convolved(b, b.Input("x", {2, 3, 6, 5}), 4, random);
    const std::vector<ValueId> outputs = {
        b.ReduceSum(h, axes, Reduced::kDrop),
        b.Mul(h, b.ReduceMax(h, axes, Reduced::kKeep))};
    ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build(outputs));
    ExpectMatchesReference(graph, 3);
  }
}

// Values that are no images, of the same rank, beside images.
TEST(ChannelsLastTest, OtherValuesMeetImages) {
  std::mt19937 random(3);
  GraphBuilder b;
  const ValueId x = b.Input("x", {2, 60});
  const ValueId y = b.Input("y", {2, 5, 3, 4});
  const ValueId image = b.Reshape(x, {2, 3, 5, 4});
  const ValueId h = Convolved(b, image, 3, random);
  const ValueId turned = b.Transpose(y, {0, 2, 1, 3});
  const ValueId product =
      b.Matmul(h, b.Constant(RandomTensor({2, 3, 4, 4}, random)));
  const std::vector<ValueId> outputs = {b.Add(h, image), b.Mul(h, turned),
                                        b.Add(product, h),
                                        b.Reshape(h, {2, 60})};
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build(outputs));
  ExpectMatchesReference(graph, 4);
}

}  // namespace
}  // namespace basin::testing
