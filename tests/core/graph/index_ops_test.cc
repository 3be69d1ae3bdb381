// take, put_add and top_k: shapes, what indices mean, and gradients.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/graph/graph_builder.h"
#include "tests/core/graph/gradient_check.h"
#include "tests/core/graph/random_graph.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ValueId Floats(GraphBuilder& b, const Shape& shape, std::vector<float> values) {
  return b.Constant(Tensor::Of<float>(shape, values));
}

std::vector<double> Values(GraphBuilder b, ValueId y) {
  const auto graph = std::move(b).Build({y});
  EXPECT_OK(graph);
  if (!graph.ok()) return {};
  const auto results = EvaluateReference(*graph, {});
  EXPECT_OK(results);
  const auto data = results->at(0).data<double>();
  return {data.begin(), data.end()};
}

TEST(IndexOpsTest, TakePicksRowsOfEachBatch) {
  GraphBuilder b;
  const ValueId x = Floats(b, Shape({2, 3, 1}), {1, 2, 3, 4, 5, 6});
  const ValueId i = Floats(b, Shape({2, 2}), {2, 0, 1, 1});
  EXPECT_THAT(Values(b, b.Take(x, i)), ElementsAre(3, 1, 5, 5));
}

// Whatever a model computes, an index means some element.
TEST(IndexOpsTest, AnIndexMeansAnElementOrNaN) {
  GraphBuilder b;
  const ValueId x = Floats(b, Shape({1, 3, 1}), {1, 2, 3});
  const ValueId i = Floats(b, Shape({1, 9}),
                           {-1, -3, -4, 3, 1e30f, -INFINITY, NAN, 1.9f, -0.5f});
  const auto none = ::testing::IsNan();
  EXPECT_THAT(Values(b, b.Take(x, i)),
              ElementsAre(3, 1, none, none, none, none, none, 2, 1));
}

TEST(IndexOpsTest, PutAddSumsWhatMeets) {
  GraphBuilder b;
  const ValueId dy = Floats(b, Shape({1, 3, 2}), {1, 2, 3, 4, 5, 6});
  const ValueId i = Floats(b, Shape({1, 3}), {1, 0, -2});
  EXPECT_THAT(Values(b, b.PutAdd(dy, i, 3)), ElementsAre(3, 4, 6, 8, 0, 0));
}

TEST(IndexOpsTest, TopKOrdersEqualOnesByPlaceAndNanFirst) {
  GraphBuilder b;
  const ValueId x =
      Floats(b, Shape({2, 4}), {1, 3, 1, 3, NAN, -INFINITY, 0, 0});
  using Order = TopKAttrs::Order;
  EXPECT_THAT(Values(b, b.TopK(x, {3, Order::kLargest})),
              ElementsAre(1, 3, 0, 0, 2, 3));
  EXPECT_THAT(Values(b, b.TopK(x, {4, Order::kSmallest})),
              ElementsAre(0, 2, 1, 3, 1, 2, 3, 0));
}

TEST(IndexOpsTest, ShapesThatDoNotFitAreRefused) {
  const auto error = [](auto build) {
    GraphBuilder b;
    build(b);
    return std::string(b.status().message());
  };
  const auto input = [](GraphBuilder& b, const Shape& shape) {
    return b.Input("x", shape);
  };
  EXPECT_THAT(error([&](GraphBuilder& b) {
                b.Take(input(b, {2, 3}), input(b, {2, 3}));
              }),
              HasSubstr("take([2, 3], [2, 3]): expected shapes [B, V, D]"));
  EXPECT_THAT(error([&](GraphBuilder& b) {
                b.Take(input(b, {2, 3, 1}), input(b, {1, 3}));
              }),
              HasSubstr("expected shapes"));
  EXPECT_THAT(error([&](GraphBuilder& b) {
                b.Take(input(b, {1, 1 << 25, 1}), input(b, {1, 3}));
              }),
              HasSubstr("expected 1 to 16777216"));
  EXPECT_THAT(error([&](GraphBuilder& b) {
                b.PutAdd(input(b, {1, 3, 1}), input(b, {1, 2}), 4);
              }),
              HasSubstr("put_add"));
  EXPECT_THAT(error([&](GraphBuilder& b) {
                b.PutAdd(input(b, {1, 2, 1}), input(b, {1, 2}), 0);
              }),
              HasSubstr("an axis of 0 elements"));
  EXPECT_THAT(error([&](GraphBuilder& b) {
                b.TopK(input(b, {2, 3}), {.k = 4});
              }),
              HasSubstr("k is 4, expected 1 to 3"));
  EXPECT_THAT(error([&](GraphBuilder& b) { b.TopK(input(b, {}), {}); }),
              HasSubstr("a scalar"));
}

TEST(IndexOpsTest, Gradients) {
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        return b.Take(x, Floats(b, Shape({2, 4}), {0, 2, 2, -1, 1, 0, 1, 1}));
      },
      Shape({2, 3, 2}));
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        return b.PutAdd(x, Floats(b, Shape({2, 3}), {3, 0, 3, 1, -1, 2}), 4);
      },
      Shape({2, 3, 2}));
  // The k largest of each row, weighted: only they get a gradient.
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        const ValueId places = b.TopK(x, {.k = 2});
        return b.Reshape(b.Take(b.Reshape(x, Shape({3, 5, 1})), places),
                         Shape({3, 2}));
      },
      Shape({3, 5}));
  // Indices that depend on x have no gradient, what they pick has.
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        const ValueId table = b.Constant(RandomConstant(Shape({1, 9, 2}), 3));
        const ValueId places =
            b.Reshape(b.Unary(ScalarOp::kFloor, b.Mul(x, b.Constant(3.0f))),
                      Shape({1, 8}));
        return b.Add(b.Reshape(b.Take(table, places), Shape({4, 4})),
                     b.Concat({x, x}, 1));
      },
      Shape({4, 2}));
}

TEST(IndexOpsTest, InverseFunctionGradients) {
  const auto check = [](ScalarOp op, double low, double high) {
    SCOPED_TRACE(std::string(Name(op)));
    CheckGradient([op](GraphBuilder& b, ValueId x) { return b.Unary(op, x); },
                  Shape({3, 4}), low, high);
  };
  check(ScalarOp::kSinh, -3, 3);
  check(ScalarOp::kAsin, -0.9, 0.9);
  check(ScalarOp::kAcos, -0.9, 0.9);
  check(ScalarOp::kAtan, -3, 3);
  check(ScalarOp::kAsinh, -3, 3);
  check(ScalarOp::kAcosh, 1.1, 4);
  check(ScalarOp::kAtanh, -0.9, 0.9);
}

}  // namespace
}  // namespace basin::testing
