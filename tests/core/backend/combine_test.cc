// Energies of several models as one: in double in every precision.

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/graph/gradient.h"
#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"
#include "tests/core/backend/plan_runner.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using Kind = CombineAttrs::Kind;
using Reduced = GraphBuilder::ReducedAxes;
using ::testing::HasSubstr;

// Energies sum x^2 and sum |x| of rows [3, 5], combined, and the gradient.
Graph Combined(CombineAttrs attributes) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {3, 5});
  const ValueId squares = b.ReduceSum(b.Mul(x, x), {1}, Reduced::kDrop);
  const ValueId sizes =
      b.ReduceSum(b.Unary(ScalarOp::kAbs, x), {1}, Reduced::kDrop);
  const ValueId energy =
      b.CombineEnergies({squares, sizes}, std::move(attributes));
  const Graph graph = std::move(b).Build({energy}).value();
  return Gradient(graph, energy, x).value();
}

const Tensor& States() {
  static const Tensor x = Tensor::Of<float>(
      {3, 5}, {1, -2, 3, 4, 0.5F, -1, 2, 0.25F, 1, 1, 3, -1, -1, 2, 0.75F});
  return x;
}

void ExpectReference(const CombineAttrs& attributes, Precision precision) {
  const Graph graph = Combined(attributes);
  ASSERT_OK_AND_ASSIGN(const auto got,
                       RunOnCpu(graph, {&States(), 1}, precision));
  ASSERT_OK_AND_ASSIGN(const auto want,
                       EvaluateReference(graph, {&States(), 1}));
  for (size_t i = 0; i < 3; ++i) {
    const double energy = want[0].data<double>()[i];
    EXPECT_NEAR(got[0].data<double>()[i], energy, 1e-6 * std::abs(energy));
  }
  for (size_t i = 0; i < 15; ++i) {
    EXPECT_NEAR(got[1].data<float>()[i], want[1].data<double>()[i], 1e-6);
  }
}

TEST(CombineTest, IsWhatTheFormulasSay) {
  for (const auto precision : {Precision::kFloat32, Precision::kFloat64}) {
    ExpectReference({Kind::kSum, {0.7, -0.3}, 1.7}, precision);
    ExpectReference({Kind::kMixture, {0.7, 1.3}, 1.7}, precision);
    ExpectReference({Kind::kMixture, {1e-8, 1}, 1}, precision);
  }
}

// Energies [N, K] of classes; one [N] beside them is that of every class, be
// it of a combination, in double, or not.
void ExpectClassesMatchReference(const CombineAttrs& attributes) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {3, 5});
  const ValueId sum = b.ReduceSum(x, {1}, Reduced::kDrop);
  const ValueId halves = b.CombineEnergies({sum}, {Kind::kSum, {0.5}, 1});
  const ValueId y = b.CombineEnergies({sum, x, halves}, attributes);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({y}));
  EXPECT_EQ(graph.shape(y), Shape({3, 5}));
  for (const auto precision : {Precision::kFloat32, Precision::kFloat64}) {
    ASSERT_OK_AND_ASSIGN(const auto got,
                         RunOnCpu(graph, {&States(), 1}, precision));
    for (size_t i = 0; i < 15; ++i) {
      const auto own = States().data<float>().subspan(i / 5 * 5, 5);
      double row = 0;
      for (const float element : own) row += element;
      const double energies[] = {row, own[i % 5], row / 2};
      double sums = 0;
      double density = 0;
      for (size_t k = 0; k < 3; ++k) {
        sums += attributes.weights[k] * energies[k];
        density += attributes.weights[k] * std::exp(-energies[k]);
      }
      const double want =
          attributes.kind == Kind::kSum ? sums : -std::log(density);
      EXPECT_NEAR(got[0].data<double>()[i], want / attributes.temperature,
                  1e-12)
          << i;
    }
  }
}

TEST(CombineTest, AnEnergyBesideThoseOfClassesIsThatOfEachClass) {
  ExpectClassesMatchReference({Kind::kSum, {0.7, -0.3, 2}, 1.7});
  ExpectClassesMatchReference({Kind::kMixture, {0.7, 1.3, 0.1}, 1.7});
}

// An energy in the arena is computed before its turn: nothing may lie there.
TEST(CombineTest, EnergiesOutliveWhatIsComputedBetween) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {3, 5});
  const ValueId sum = b.ReduceSum(x, {1}, Reduced::kDrop);
  // Between the sum and what reads it.
  ValueId y = x;
  for (int i = 0; i < 4; ++i) {
    y = b.Transpose(b.Unary(ScalarOp::kTanh, b.Transpose(y, {1, 0})), {1, 0});
  }
  const ValueId other = b.ReduceSum(y, {1}, Reduced::kDrop);
  const ValueId energy =
      b.CombineEnergies({sum, other}, {Kind::kSum, {1, 1}, 1});
  const ValueId nested = b.CombineEnergies({energy, sum}, {Kind::kSum, {2, 3}});
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({nested, y}));
  ASSERT_OK_AND_ASSIGN(const auto got, RunOnCpu(graph, {&States(), 1}));
  ASSERT_OK_AND_ASSIGN(const auto want,
                       EvaluateReference(graph, {&States(), 1}));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(got[0].data<double>()[i], want[0].data<double>()[i], 1e-5);
  }
}

// A mixture far from all of its terms, and one without any density.
TEST(CombineTest, MixturesAreFiniteWhereATermIs) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {2, 2});
  const ValueId a = b.ReduceSum(x, {1}, Reduced::kDrop);
  const ValueId e = b.CombineEnergies({a, b.Unary(ScalarOp::kNeg, a)},
                                      {Kind::kMixture, {0.5, 0.5}, 1});
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({e}));
  const Tensor states = Tensor::Of<float>({2, 2}, {5e6F, 5e6F, 2, -2});
  ASSERT_OK_AND_ASSIGN(const auto got, RunOnCpu(graph, {&states, 1}));
  EXPECT_EQ(got[0].data<double>()[0], -1e7 - std::log(0.5));
  EXPECT_NEAR(got[0].data<double>()[1], 0, 1e-15);
}

TEST(CombineTest, RefusesWhatDoesNotFit) {
  const auto status_of = [](CombineAttrs attributes) {
    GraphBuilder b;
    const ValueId x = b.Input("x", {3});
    b.CombineEnergies({x, x}, std::move(attributes));
    return b.status();
  };
  const auto invalid = StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("a weight for each"));
  EXPECT_OK(status_of({Kind::kMixture, {1, 1}, 1}));
  EXPECT_THAT(status_of({Kind::kSum, {1}, 1}), invalid);
  EXPECT_THAT(status_of({Kind::kSum, {1, 1}, 0}), invalid);
  EXPECT_THAT(status_of({Kind::kMixture, {1, -1}, 1}), invalid);
  GraphBuilder b;
  b.CombineEnergies({b.Input("x", {3, 5}), b.Input("y", {5})},
                    {Kind::kSum, {1, 1}, 1});
  EXPECT_THAT(b.status(), invalid);
}

// y = sum of 0.1 x, whose constants float32 does not hold.
TEST(ConstantTest, AreAsWideAsThePlan) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {3, 5});
  const ValueId tenths = b.Mul(x, b.Constant(0.1));
  const Tensor weights = Tensor::Of<double>(
      {5, 2}, {0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2});
  const ValueId transposed = b.Transpose(b.Constant(weights), {1, 0});
  const ValueId y = b.Matmul(tenths, transposed, {.transpose_b = true});
  const ValueId energy = b.ToFloat64(b.ReduceSum(y, {1}, Reduced::kDrop));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({energy}));
  ASSERT_OK_AND_ASSIGN(const auto want,
                       EvaluateReference(graph, {&States(), 1}));
  ASSERT_OK_AND_ASSIGN(const auto wide,
                       RunOnCpu(graph, {&States(), 1}, Precision::kFloat64));
  ASSERT_OK_AND_ASSIGN(const auto narrow, RunOnCpu(graph, {&States(), 1}));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(wide[0].data<double>()[i], want[0].data<double>()[i], 1e-15);
    EXPECT_NEAR(narrow[0].data<double>()[i], want[0].data<double>()[i], 1e-6);
  }
}

TEST(ConstantTest, NarrowRoundsEachConstant) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {2});
  const ValueId y = b.Mul(x, b.Constant(0.1));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({y}));
  ASSERT_OK_AND_ASSIGN(const Graph narrow, Narrow(graph));
  EXPECT_THAT(graph.ToString(), HasSubstr("constant() float64"));
  EXPECT_THAT(narrow.ToString(), HasSubstr("constant() 0.1"));
}

// Indices that no element has: NaN, never another element.
TEST(TakeTest, IndicesOutsideGiveNaN) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {2, 3, 1});
  const ValueId i = b.Input("i", {2, 4});
  const ValueId taken = b.Take(x, i);
  const ValueId put = b.PutAdd(taken, i, 3);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({taken, put}));
  const Tensor inputs[] = {
      Tensor::Of<float>({2, 3, 1}, {1, 2, 3, 4, 5, 6}),
      Tensor::Of<float>({2, 4}, {-3, -1, 0, 2, -4, 3, 1, std::nanf("")})};
  for (const auto precision : {Precision::kFloat32, Precision::kFloat64}) {
    ASSERT_OK_AND_ASSIGN(const auto got, RunOnCpu(graph, inputs, precision));
    const auto elements = got[0].data<float>();
    EXPECT_THAT(elements.subspan(0, 4), ::testing::ElementsAre(1, 3, 1, 3));
    EXPECT_TRUE(std::isnan(elements[4]) && std::isnan(elements[5]));
    EXPECT_EQ(elements[6], 5);
    EXPECT_TRUE(std::isnan(elements[7]));
    // The row without one is as it should be.
    EXPECT_THAT(got[1].data<float>().subspan(0, 3),
                ::testing::ElementsAre(2, 0, 6));
    for (size_t k = 3; k < 6; ++k) {
      EXPECT_TRUE(std::isnan(got[1].data<float>()[k]));
    }
  }
}

}  // namespace
}  // namespace basin::testing
