// The truth itself, against values worked out by hand.

#include "tests/testing/reference_evaluator.h"

#include <utility>
#include <vector>

#include "core/graph/graph_builder.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor Numbers(const Shape& shape, const std::vector<double>& values) {
  return Tensor::Of<double>(shape, values);
}

std::vector<double> Evaluate(GraphBuilder b, ValueId y,
                             const std::vector<Tensor>& inputs) {
  auto graph = std::move(b).Build({y});
  EXPECT_OK(graph);
  const auto results = EvaluateReference(*graph, inputs);
  EXPECT_OK(results);
  const auto data = (*results)[0].data<double>();
  return {data.begin(), data.end()};
}

TEST(ReferenceEvaluatorTest, ConvIsACorrelation) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({1, 1, 3, 3}));
  const ValueId w = b.Input("w", Shape({1, 1, 2, 2}));
  const ValueId y = b.Conv(x, w, ConvAttrs{{1, 2}, {1, 1}, {0, 1}, {0, 0}, 1});
  const Tensor image =
      Numbers(Shape({1, 1, 3, 3}), {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const Tensor kernel = Numbers(Shape({1, 1, 2, 2}), {1, 10, 100, 1000});
  // Windows start at columns -1 and 1.
  EXPECT_THAT(Evaluate(b, y, {image, kernel}),
              ElementsAre(10 + 4000, 2 + 30 + 500 + 6000, 40 + 7000,
                          5 + 60 + 800 + 9000));
}

TEST(ReferenceEvaluatorTest, GroupsSeeTheirChannelsOnly) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({1, 2, 1}));
  const ValueId w = b.Input("w", Shape({4, 1, 1}));
  const ValueId y = b.Conv(x, w, ConvAttrs{{1}, {1}, {0}, {0}, 2});
  EXPECT_THAT(Evaluate(b, y,
                       {Numbers(Shape({1, 2, 1}), {3, 5}),
                        Numbers(Shape({4, 1, 1}), {1, 2, 10, 20})}),
              ElementsAre(3, 6, 50, 100));
}

TEST(ReferenceEvaluatorTest, Pools) {
  const Tensor row = Numbers(Shape({1, 1, 5}), {1, 7, 7, 4, 2});
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({1, 1, 5}));
  PoolAttrs attrs = {{3}, {2}, {1}, {1}, false};
  const ValueId max = b.MaxPool(x, attrs);
  const ValueId mean = b.AvgPool(x, attrs);
  const ValueId max_grad = b.AddNode(
      Op::kMaxPoolGrad,
      {x, b.Constant(Tensor::Of<float>(Shape({1, 1, 3}), {1, 10, 100}))},
      attrs);
  attrs.count_include_pad = true;
  const ValueId padded_mean = b.AvgPool(x, attrs);
  EXPECT_THAT(Evaluate(b, max, {row}), ElementsAre(7, 7, 4));
  EXPECT_THAT(Evaluate(b, mean, {row}), ElementsAre(4, 6, 3));
  EXPECT_THAT(Evaluate(b, padded_mean, {row}),
              ElementsAre(::testing::DoubleEq(8.0 / 3), 6, 2));
  EXPECT_THAT(Evaluate(b, max_grad, {row}), ElementsAre(0, 11, 0, 100, 0));
}

TEST(ReferenceEvaluatorTest, PadInteriorAndSliceStrides) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({3}));
  const ValueId padded = b.Pad(x, {{1}, {2}, {1}});
  const Tensor row = Numbers(Shape({3}), {1, 2, 3});
  EXPECT_THAT(Evaluate(b, padded, {row}), ElementsAre(0, 1, 0, 2, 0, 3, 0, 0));
  const ValueId sliced = b.Slice(padded, {{1}, {8}, {3}});
  EXPECT_THAT(Evaluate(b, sliced, {row}), ElementsAre(1, 0, 0));
}

TEST(ReferenceEvaluatorTest, FusedProgram) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2, 2}));
  const ValueId row = b.Input("row", Shape({1, 2}));
  const ScalarProgram program = {
      2, {10.0f}, {{ScalarOp::kMul, {0, 1, -1}}, {ScalarOp::kAdd, {3, 2, -1}}}};
  const ValueId y = b.AddNode(Op::kFused, {x, row}, FusedAttrs{program});
  EXPECT_THAT(Evaluate(b, y,
                       {Numbers(Shape({2, 2}), {1, 2, 3, 4}),
                        Numbers(Shape({1, 2}), {5, 6})}),
              ElementsAre(15, 22, 25, 34));
}

TEST(ReferenceEvaluatorTest, RefusesOtherInputs) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2}));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({x}));
  EXPECT_THAT(EvaluateReference(graph, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got 0")));
  EXPECT_THAT(EvaluateReference(graph, {Numbers(Shape({1}), {1})}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("[1]")));
}

}  // namespace
}  // namespace basin::testing
