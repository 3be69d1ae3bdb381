#include "core/graph/graph_builder.h"

#include <cmath>
#include <utility>
#include <vector>

#include "tests/core/graph/random_graph.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Reduced = GraphBuilder::ReducedAxes;

std::vector<double> Evaluate(GraphBuilder b, ValueId y,
                             const std::vector<Tensor>& inputs) {
  auto graph = std::move(b).Build({y});
  EXPECT_OK(graph);
  const auto results = EvaluateReference(*graph, inputs);
  EXPECT_OK(results);
  const auto data = (*results)[0].data<double>();
  return {data.begin(), data.end()};
}

TEST(GraphBuilderTest, BroadcastsAsNumPy) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2, 3}));
  const ValueId column = b.Constant(Tensor::Of<float>(Shape({2, 1}), {10, 20}));
  const ValueId row = b.Constant(Tensor::Of<float>(Shape({3}), {1, 2, 3}));
  const ValueId y = b.Add(b.Add(column, row), b.Mul(x, b.Constant(2.0f)));
  EXPECT_EQ(b.shape(y), Shape({2, 3}));
  const Tensor at = Tensor::Of<double>(Shape({2, 3}), {0, 1, 2, 3, 4, 5});
  EXPECT_THAT(Evaluate(b, y, {at}), ElementsAre(11, 14, 17, 27, 30, 33));
}

TEST(GraphBuilderTest, TheFirstErrorSticks) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2, 3}));
  const ValueId bad = b.Add(x, b.Input("y", Shape({4})));
  EXPECT_EQ(bad, GraphBuilder::kNoValue);
  const int size = b.graph().size();
  EXPECT_EQ(b.Matmul(bad, bad), GraphBuilder::kNoValue);
  EXPECT_EQ(b.LogSumExp(bad, {0}, Reduced::kKeep), GraphBuilder::kNoValue);
  EXPECT_EQ(b.Unary(ScalarOp::kExp, x), GraphBuilder::kNoValue);
  EXPECT_EQ(b.graph().size(), size);
  EXPECT_THAT(std::move(b).Build({x}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("add: [2, 3] and [4]")));
}

TEST(GraphBuilderTest, RefusesValuesThatDoNotExist) {
  GraphBuilder b;
  EXPECT_EQ(b.Unary(ScalarOp::kExp, 5), GraphBuilder::kNoValue);
  EXPECT_THAT(b.status(), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("no value %5")));
  GraphBuilder c;
  EXPECT_THAT(std::move(c).Build({0}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("%0")));
}

TEST(GraphBuilderTest, ReportsReductionsOverMissingAxes) {
  for (const IntList& axes : {IntList{2}, IntList{-1}, IntList{1, 0}}) {
    GraphBuilder b;
    const ValueId x = b.Input("x", Shape({2, 3}));
    EXPECT_EQ(b.LogSumExp(x, axes, Reduced::kKeep), GraphBuilder::kNoValue);
    EXPECT_THAT(b.status(), StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr("ascending")));
  }
}

TEST(GraphBuilderTest, LogSumExpOfLargeValuesIsFinite) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({1, 2}));
  const ValueId y = b.LogSumExp(x, {1}, Reduced::kDrop);
  EXPECT_EQ(b.shape(y), Shape({1}));
  const Tensor at = Tensor::Of<double>(Shape({1, 2}), {5000, 5000});
  EXPECT_NEAR(Evaluate(b, y, {at})[0], 5000 + std::log(2.0), 1e-9);
}

TEST(GraphBuilderTest, MatmulOfManyRowsIsOneProduct) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2, 5, 3}));
  const ValueId w = b.Input("w", Shape({4, 3}));
  const ValueId y = b.Matmul(x, w, {false, true});
  EXPECT_EQ(b.shape(y), Shape({2, 5, 4}));
  const Tensor xs = RandomTensor(Shape({2, 5, 3}), 1);
  const Tensor ws = RandomTensor(Shape({4, 3}), 2);
  const std::vector<double> got = Evaluate(b, y, {xs, ws});
  for (int row = 0; row < 10; ++row) {
    for (int column = 0; column < 4; ++column) {
      double sum = 0;
      for (int k = 0; k < 3; ++k) {
        sum +=
            xs.data<double>()[row * 3 + k] * ws.data<double>()[column * 3 + k];
      }
      EXPECT_NEAR(got[row * 4 + column], sum, 1e-12);
    }
  }
}

TEST(GraphBuilderTest, MatmulRefusesVectorsAndOddBatches) {
  GraphBuilder b;
  const ValueId v = b.Input("v", Shape({3}));
  b.Matmul(v, v);
  EXPECT_THAT(b.status(), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("matmul([3], [3])")));
  GraphBuilder c;
  c.Matmul(c.Input("x", Shape({2, 3, 3})), c.Input("y", Shape({4, 3, 3})));
  EXPECT_THAT(c.status(), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("do not broadcast")));
}

TEST(GraphBuilderTest, ContinuesAGraph) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2}));
  ASSERT_OK_AND_ASSIGN(Graph graph, std::move(b).Build({x}));
  GraphBuilder c(std::move(graph));
  const ValueId y = c.Constant(3.0f);
  EXPECT_TRUE(c.IsConstant(y));
  EXPECT_FALSE(c.IsConstant(x));
  EXPECT_EQ(c.ConstantValue(y).data<float>()[0], 3.0f);
  EXPECT_THAT(
      Evaluate(c, c.Mul(x, y), {Tensor::Of<double>(Shape({2}), {1, 2})}),
      ElementsAre(3, 6));
}

}  // namespace
}  // namespace basin::testing
