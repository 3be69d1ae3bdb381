// Passes on random graphs: same values before and after.

#include "tests/core/graph/random_graph.h"

#include <cmath>
#include <set>

#include "core/graph/gradient.h"
#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

constexpr int kGraphs = 150;

// Folding rounds constants to float32, and maxima can pass that on only.
void ExpectSameValues(const Graph& a, const Graph& b, uint32_t seed) {
  ASSERT_EQ(a.inputs().size(), b.inputs().size());
  const std::vector<Tensor> inputs = RandomInputs(a, seed);
  ASSERT_OK_AND_ASSIGN(const auto wanted, EvaluateReference(a, inputs));
  ASSERT_OK_AND_ASSIGN(const auto got, EvaluateReference(b, inputs));
  ASSERT_EQ(wanted.size(), got.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(wanted[i].shape(), got[i].shape());
    for (int64_t k = 0; k < wanted[i].num_elements(); ++k) {
      const double expected = wanted[i].data<double>()[k];
      ASSERT_TRUE(std::isfinite(expected));
      ASSERT_NEAR(got[i].data<double>()[k], expected,
                  2e-4 * (1 + std::abs(expected)))
          << "seed " << seed << " output " << i << "\n"
          << a.ToString() << "\n"
          << b.ToString();
    }
  }
}

TEST(RandomGraphTest, SimplifyKeepsValues) {
  for (uint32_t seed = 0; seed < kGraphs; ++seed) {
    const Graph graph = RandomGraph(seed, 20 + static_cast<int>(seed));
    ASSERT_OK_AND_ASSIGN(const Graph simple, Simplify(graph));
    ASSERT_NO_FATAL_FAILURE(ExpectSameValues(graph, simple, seed));
    EXPECT_LE(simple.size(), graph.size());
  }
}

TEST(RandomGraphTest, FuseKeepsValuesAndLeavesNoElementwiseNode) {
  for (uint32_t seed = 0; seed < kGraphs; ++seed) {
    const Graph graph = RandomGraph(seed, 20 + static_cast<int>(seed));
    ASSERT_OK_AND_ASSIGN(const Graph fused, Fuse(graph));
    ASSERT_NO_FATAL_FAILURE(ExpectSameValues(graph, fused, seed));
    for (ValueId id = 0; id < fused.size(); ++id) {
      EXPECT_NE(fused.node(id).op, Op::kElementwise);
    }
  }
}

TEST(RandomGraphTest, OptimizeKeepsValuesAndIsDeterministic) {
  for (uint32_t seed = 0; seed < kGraphs; ++seed) {
    const Graph graph = RandomGraph(seed, 20 + static_cast<int>(seed));
    ASSERT_OK_AND_ASSIGN(const Graph optimized, Optimize(graph));
    ASSERT_NO_FATAL_FAILURE(ExpectSameValues(graph, optimized, seed));
    ASSERT_OK_AND_ASSIGN(const Graph again, Optimize(graph));
    EXPECT_EQ(optimized.ToString(), again.ToString());
  }
}

// sum of everything of each row of the first output, if that has 3 rows.
TEST(RandomGraphTest, OptimizedGradientKeepsValues) {
  int tried = 0;
  for (uint32_t seed = 0; seed < 3 * kGraphs; ++seed) {
    Graph graph = RandomGraph(seed, 40);
    const ValueId output = graph.outputs()[0];
    const Shape shape = graph.shape(output);
    if (shape.rank() != 2 || shape.dim(0) != 3) continue;
    GraphBuilder builder(graph);
    const ValueId energy =
        builder.ReduceSum(output, {1}, GraphBuilder::ReducedAxes::kDrop);
    ASSERT_OK_AND_ASSIGN(graph, std::move(builder).Build({energy}));
    ASSERT_OK_AND_ASSIGN(graph, Gradient(graph, energy, graph.inputs()[0]));
    ASSERT_OK_AND_ASSIGN(const Graph optimized, Optimize(graph));
    ASSERT_NO_FATAL_FAILURE(ExpectSameValues(graph, optimized, seed));
    ++tried;
  }
  EXPECT_GT(tried, 20);
}

}  // namespace
}  // namespace basin::testing
