#include "tests/core/graph/gradient_check.h"

#include <cmath>
#include <utility>

#include "core/graph/gradient.h"
#include "tests/core/graph/random_graph.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using Reduced = GraphBuilder::ReducedAxes;

// The values of `f` with a weight each, so that no error cancels, summed for
// each row; where `f` changes the number of rows, all rows get the total.
Graph EnergyOf(const GraphFunction& f, const Shape& x_shape) {
  GraphBuilder b;
  const ValueId x = b.Input("x", x_shape);
  const ValueId y = f(b, x);
  EXPECT_OK(b.status());
  if (!b.status().ok()) return Graph();
  const Shape shape = b.shape(y);
  const ValueId w = b.Constant(RandomConstant(shape, 99, 0.5, 1.5));
  const bool has_rows = shape.dim(0) == x_shape.dim(0);
  IntList axes;
  for (int axis = has_rows ? 1 : 0; axis < shape.rank(); ++axis) {
    axes.push_back(axis);
  }
  const ValueId energy = b.BroadcastTo(
      b.ReduceSum(b.Mul(y, w), axes, Reduced::kDrop), Shape({x_shape.dim(0)}));
  auto graph = std::move(b).Build({energy});
  EXPECT_OK(graph);
  return graph.ok() ? *std::move(graph) : Graph();
}

double Total(const Tensor& values) {
  double total = 0;
  for (const double value : values.data<double>()) total += value;
  return total;
}

double EnergyAt(const Graph& graph, const Tensor& x, int64_t i, double step) {
  Tensor moved = Tensor::Of<double>(x.shape(), x.data<double>());
  moved.mutable_data<double>()[i] += step;
  const auto result = EvaluateReference(graph, {moved});
  EXPECT_OK(result);
  return Total((*result)[0]);
}

}  // namespace

void CheckGradientAt(const GraphFunction& f, const Tensor& x) {
  const Graph graph = EnergyOf(f, x.shape());
  ASSERT_GT(graph.size(), 0);
  ASSERT_OK_AND_ASSIGN(const Graph gradient,
                       Gradient(graph, graph.outputs()[0], graph.inputs()[0]));
  ASSERT_OK_AND_ASSIGN(const auto results, EvaluateReference(gradient, {x}));
  ASSERT_EQ(results.size(), 2u);
  ASSERT_EQ(results[1].shape(), x.shape());
  constexpr double kStep = 1e-5;
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    const double slope =
        (EnergyAt(graph, x, i, kStep) - EnergyAt(graph, x, i, -kStep)) /
        (2 * kStep);
    EXPECT_NEAR(results[1].data<double>()[i], slope,
                1e-6 * (1 + std::abs(slope)))
        << "element " << i << "\n"
        << gradient.ToString();
  }
}

void CheckGradient(const GraphFunction& f, const Shape& shape, double low,
                   double high) {
  CheckGradientAt(f, RandomTensor(shape, 7, low, high));
}

}  // namespace basin::testing
