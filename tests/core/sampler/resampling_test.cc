#include "core/sampler/resampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/philox.h"
#include "tests/testing/status_matchers.h"

namespace basin {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> Logs(std::vector<double> weights) {
  for (double& weight : weights) weight = std::log(weight);
  return weights;
}

TEST(ResamplingTest, AgreesWithScipy) {
  // scipy.special.logsumexp and numpy.
  const std::vector<double> log_weights = {0, 10, 20, 20.5, -5, 3};
  EXPECT_NEAR(LogSumExp(log_weights), 20.974094140766137, 1e-13);
  EXPECT_NEAR(LogMeanExp(log_weights), 20.974094140766137 - std::log(6), 1e-13);
  EXPECT_NEAR(WeightEss(log_weights), 1.886883626775914, 1e-12);
  const std::vector<double> weights = NormalizedWeights(log_weights);
  EXPECT_NEAR(weights[3], 0.6224486520163968, 1e-14);
  EXPECT_NEAR(weights[4] / 5.243173659277987e-12, 1, 1e-12);
}

TEST(ResamplingTest, LargeLogarithmsDoNotOverflow) {
  EXPECT_EQ(LogSumExp({1e6, 1e6}), 1e6 + std::log(2));
  EXPECT_EQ(LogMeanExp({-1e6, -1e6}), -1e6);
  EXPECT_EQ(WeightEss({-1e300, -1e300, -1e300}), 3);
}

TEST(ResamplingTest, WhatIsNotFiniteIsNoWeight) {
  EXPECT_EQ(LogSumExp({kNaN, 2, -kInfinity, kInfinity}), 2);
  EXPECT_EQ(LogMeanExp({kNaN, 2, -kInfinity, kInfinity}), 2 - std::log(4));
  EXPECT_EQ(WeightEss({kNaN, 2, kInfinity, 2}), 2);
  EXPECT_THAT(NormalizedWeights({kNaN, 2, -kInfinity}), ElementsAre(0, 1, 0));
  for (const std::vector<double>& nothing :
       {std::vector<double>{}, {-kInfinity, kNaN}}) {
    EXPECT_EQ(LogSumExp(nothing), -kInfinity);
    EXPECT_EQ(LogMeanExp(nothing), -kInfinity);
    EXPECT_EQ(WeightEss(nothing), 0);
    EXPECT_THAT(NormalizedWeights(nothing), Each(0));
    EXPECT_THAT(SystematicResample(nothing, 0.5),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("positive weight")));
  }
}

TEST(ResamplingTest, AgreesWithNumpy) {
  // numpy.searchsorted(cumsum(W), (arange(5) + u) / 5, side="right").
  const std::vector<double> log_weights = Logs({0.1, 0.25, 0.05, 0.4, 0.2});
  EXPECT_THAT(SystematicResample(log_weights, 0)->ancestors,
              ElementsAre(0, 1, 3, 3, 4));
  EXPECT_THAT(SystematicResample(log_weights, 0.3)->ancestors,
              ElementsAre(0, 1, 3, 3, 4));
  EXPECT_THAT(SystematicResample(log_weights, 0.9)->ancestors,
              ElementsAre(1, 2, 3, 3, 4));
  EXPECT_NEAR(SystematicResample(log_weights, 0.9)->log_mean_weight,
              std::log(0.2), 1e-14);
}

TEST(ResamplingTest, EqualWeightsKeepEveryone) {
  for (const int64_t n : {1, 2, 3, 49, 1000, 4097}) {
    for (const double u : {0.0, 0.37, 0x1.fffffffffffffp-1}) {
      const std::vector<double> log_weights(n, -3.3);
      const auto resampled = SystematicResample(log_weights, u);
      ASSERT_OK(resampled);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(resampled->ancestors[i], i);
      EXPECT_NEAR(resampled->log_mean_weight, -3.3, 1e-14);
    }
  }
}

TEST(ResamplingTest, ZeroWeightsHaveNoDescendants) {
  for (const double u : {0.0, 0.5, 0x1.fffffffffffffp-1}) {
    EXPECT_THAT(
        SystematicResample({-kInfinity, 1, kNaN, -kInfinity}, u)->ancestors,
        ElementsAre(1, 1, 1, 1));
  }
}

// Counts are floor or ceil of n W, and their mean over u is n W.
TEST(ResamplingTest, CountsAreAsFairAsIntegersCanBe) {
  constexpr int64_t kParticles = 97;
  std::vector<double> log_weights;
  for (int64_t i = 0; i < kParticles; ++i) {
    const uint32_t bits = Philox(3, DrawCounter(0, i, 0, 0)).word[0];
    log_weights.push_back(-8.0 * bits * 0x1p-32);
  }
  const std::vector<double> weights = NormalizedWeights(log_weights);
  std::vector<double> mean_counts(kParticles, 0);
  constexpr int kDraws = 1000;
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto resampled =
        SystematicResample(log_weights, (draw + 0.5) / kDraws);
    ASSERT_OK(resampled);
    ASSERT_TRUE(std::is_sorted(resampled->ancestors.begin(),
                               resampled->ancestors.end()));
    std::vector<int64_t> counts(kParticles, 0);
    for (const int64_t ancestor : resampled->ancestors) ++counts[ancestor];
    for (int64_t k = 0; k < kParticles; ++k) {
      const double expected = kParticles * weights[k];
      ASSERT_GE(counts[k], std::floor(expected));
      ASSERT_LE(counts[k], std::ceil(expected));
      mean_counts[k] += static_cast<double>(counts[k]) / kDraws;
    }
  }
  for (int64_t k = 0; k < kParticles; ++k) {
    EXPECT_NEAR(mean_counts[k], kParticles * weights[k], 2.0 / kDraws);
  }
}

}  // namespace
}  // namespace basin
