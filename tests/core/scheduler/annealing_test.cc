// Annealing along the warm-up: weights, ln Z and what the chains end in,
// against integrals.

#include <cmath>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/sampler/log_z.h"
#include "core/sampler/resampling.h"
#include "tests/core/scheduler/ensemble_fixture.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::Each;
using ::testing::SizeIs;
using Weights = AnnealingOptions::Weights;

TEST_F(EnsembleTest, ImportanceWeightsGiveLnZ) {
  const double exact = 3 * std::log(Integral(2, 1, One));
  const SampleResult result =
      Run(AnnealedSpec(Weights::kImportance, 300)).result;
  ASSERT_THAT(result.log_weights, SizeIs(300));
  const LogZEstimate estimate = EstimateLogZ(
      result.log_weights, {.log_z_base = 3 * std::log(4.0), .level = 0.999});
  EXPECT_LT(estimate.standard_error, 0.05);
  EXPECT_LE(estimate.lower, exact);
  EXPECT_GE(estimate.upper, exact);
  // The chains themselves, by weight.
  double sum = 0;
  double weighted = 0;
  for (int c = 0; c < 300; ++c) {
    const double w = std::exp(result.log_weights[c]);
    const float* x = result.last_states.data() + 3 * c;
    sum += w;
    weighted += w * (Square(x[0]) + Square(x[1]) + Square(x[2])) / 3;
  }
  EXPECT_NEAR(weighted / sum, Integral(2, 1, Square) / Integral(2, 1, One),
              0.1);
}

TEST_F(EnsembleTest, PopulationGivesLnZAndItsLaw) {
  SampleSpec spec = AnnealedSpec(Weights::kPopulation, 800);
  spec.annealing.islands = 8;
  spec.annealing.resample_below = 1;  // at every level
  const SampleResult result = Run(spec).result;
  ASSERT_THAT(result.island_log_z, SizeIs(8));
  const LogZEstimate estimate = EstimateLogZ(
      result.island_log_z, {.log_z_base = 3 * std::log(4.0), .level = 0.999});
  EXPECT_LT(estimate.standard_error, 0.1);
  const double exact = 3 * std::log(Integral(2, 1, One));
  EXPECT_LE(estimate.lower, exact);
  EXPECT_GE(estimate.upper, exact);
  // Resampled at the last level, all chains of an island weigh the same.
  for (size_t chain = 0; chain < 800; ++chain) {
    ASSERT_DOUBLE_EQ(result.log_weights[chain],
                     result.island_log_z[chain / 100]);
  }
  const Estimate squares = MeanOf(result.last_states, 3, Square);
  EXPECT_NEAR(squares.mean, Integral(2, 1, Square) / Integral(2, 1, One),
              6 * squares.error);
}

// Chains that start from N(0, 1), of a path from there.
TEST_F(EnsembleTest, PathFromTheInitialLawGivesLnZ) {
  const double exact = 3 * std::log(Integral(8, 1.5, One));
  for (const Weights weights : {Weights::kImportance, Weights::kPopulation}) {
    for (const TransitionKind kind :
         {TransitionKind::kRandomWalk, TransitionKind::kMala}) {
      SampleSpec spec = AnnealedSpec(weights, 320);
      spec.transition = ParamsOf(kind);
      spec.transition.step_size = kind == TransitionKind::kMala ? 0.3 : 0.8;
      spec.box = {};
      spec.inverse_temperature = 1.5;
      spec.annealing.base = AnnealingOptions::Base::kInitialLaw;
      spec.annealing.log_volume = 0;
      spec.annealing.islands = weights == Weights::kPopulation ? 8 : 1;
      std::mt19937_64 generator(7);
      std::normal_distribution<float> normal(0.5F, 2.0F);
      spec.model = MakeFakeModel(*backend_, {.initial = NormalLaw{0.5F, 2.0F}});
      for (float& x : spec.initial) x = normal(generator);
      const SampleResult result = Run(spec).result;
      ASSERT_OK(result.status);
      const LogZEstimate estimate =
          EstimateLogZ(weights == Weights::kPopulation ? result.island_log_z
                                                       : result.log_weights,
                       {.level = 0.999});
      EXPECT_LT(estimate.standard_error, 0.12);
      EXPECT_LE(estimate.lower, exact) << Name(kind);
      EXPECT_GE(estimate.upper, exact) << Name(kind);
    }
  }
}

TEST_F(EnsembleTest, PathFromAModelGivesTheRatio) {
  // The base is the model itself with a field of 0: the same, so ln 1 = 0,
  // whatever the chains do.
  SampleSpec spec = AnnealedSpec(Weights::kImportance, 8);
  spec.box = {};
  spec.base = MakeFakeModel(*backend_, {});
  spec.annealing.base = AnnealingOptions::Base::kModel;
  const SampleResult same = Run(spec).result;
  ASSERT_OK(same.status);
  EXPECT_THAT(same.log_weights, Each(::testing::DoubleNear(0, 1e-9)));
}

TEST_F(EnsembleTest, ReversedPathBoundsLnZFromAbove) {
  // Exact samples by long chains at the target.
  SampleSpec spec = Spec(TransitionKind::kRandomWalk, 300, 300);
  spec.transition.step_size = 0.9;
  spec.box = {-2, 2};
  const SampleResult exact_samples = Run(spec).result;
  SampleSpec back = AnnealedSpec(Weights::kImportance, 300);
  back.initial = exact_samples.last_states;
  back.annealing.direction = AnnealingOptions::Direction::kReverse;
  const SampleResult result = Run(back).result;
  const LogZEstimate estimate = EstimateLogZReverse(
      result.log_weights, {.log_z_base = 3 * std::log(4.0), .level = 0.999});
  const double exact = 3 * std::log(Integral(2, 1, One));
  EXPECT_LT(estimate.standard_error, 0.05);
  EXPECT_LE(estimate.lower, exact);
  EXPECT_GE(estimate.upper, exact);
}

TEST_F(EnsembleTest, AnnealingEndsAtTheTarget) {
  SampleSpec spec = AnnealedSpec(Weights::kNone, 500);
  spec.steps = 30;
  const SampleResult result = Run(spec).result;
  EXPECT_TRUE(result.log_weights.empty());
  const Estimate squares = MeanOf(result.last_states, 3, Square);
  EXPECT_NEAR(squares.mean, Integral(2, 1, Square) / Integral(2, 1, One),
              5 * squares.error);
}

TEST_F(EnsembleTest, WeightsOfIslandsAreComparable) {
  SampleSpec spec = AnnealedSpec(Weights::kPopulation, 160);
  spec.annealing.islands = 8;
  spec.annealing.resample_below = 0.9;  // some islands, some times
  const SampleResult result = Run(spec).result;
  ASSERT_THAT(result.log_weights, SizeIs(160));
  for (size_t island = 0; island < 8; ++island) {
    const absl::Span<const double> weights =
        absl::MakeConstSpan(result.log_weights).subspan(20 * island, 20);
    EXPECT_NEAR(LogMeanExp(weights), result.island_log_z[island], 1e-9);
  }
}

TEST_F(EnsembleTest, ChainsThatEndWeighNothing) {
  SampleSpec spec = AnnealedSpec(Weights::kImportance, 4);
  spec.box = {};
  spec.initial[3] = 1e30F;  // whose energy is not finite
  const SampleResult result = Run(spec).result;
  EXPECT_EQ(result.num_diverged, 1);
  ASSERT_THAT(result.log_weights, SizeIs(4));
  EXPECT_EQ(result.log_weights[1], -INFINITY);
  EXPECT_TRUE(std::isfinite(result.log_weights[0]));
}

}  // namespace
}  // namespace basin::testing
