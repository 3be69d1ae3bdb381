#include "core/sampler/tempering.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace basin {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pointwise;
using testing::StatusIs;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(TemperingTest, LaddersFallFromTheColdest) {
  EXPECT_OK(CheckLadder({1.0, 0.5, 0.1}, ZeroBeta::kRefused));
  EXPECT_OK(CheckLadder({1.0, 0.0}, ZeroBeta::kAllowed));
  struct {
    std::vector<double> betas;
    ZeroBeta zero;
    const char* says;
  } const cases[] = {
      {{}, ZeroBeta::kAllowed, "betas: expected at least 2 levels, got 0"},
      {{1}, ZeroBeta::kAllowed, "got 1"},
      {{1, 0}, ZeroBeta::kRefused, "betas[1]: expected a finite positive"},
      {{1, 0, 0}, ZeroBeta::kAllowed, "betas[2]: expected less than the level"},
      {{1, 0.5, 0.5}, ZeroBeta::kRefused, "before, 0.5 (the coldest level"},
      {{0.1, 1}, ZeroBeta::kRefused, "betas[1]: expected less"},
      {{1, -0.5}, ZeroBeta::kAllowed, "or 0, got -0.5"},
      {{kInfinity, 1}, ZeroBeta::kRefused, "betas[0]: expected a finite"},
      {{1, kNaN}, ZeroBeta::kRefused, "betas[1]: expected a finite"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(
        CheckLadder(c.betas, c.zero),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.says)));
  }
}

TEST(TemperingTest, GeometricLadder) {
  EXPECT_THAT(GeometricLadder(4, 8, 1),
              Pointwise(DoubleNear(1e-14), {8.0, 4.0, 2.0, 1.0}));
  EXPECT_EQ(GeometricLadder(7, 1, 0.3).front(), 1);
  EXPECT_EQ(GeometricLadder(7, 1, 0.3).back(), 0.3);
}

// A swap multiplies the joint density of both levels by the ratio.
TEST(TemperingTest, SwapRatioIsTheRatioOfDensities) {
  const double log_before = -1.0 * 3 - 0.25 * 5;
  const double log_after = -1.0 * 5 - 0.25 * 3;
  EXPECT_EQ(SwapLogRatio(1, 0.25, 3, 5), log_after - log_before);
  EXPECT_EQ(SwapLogRatio(0.25, 1, 5, 3), log_after - log_before);
  // A lost cold state goes up, one never comes down.
  EXPECT_EQ(SwapLogRatio(1, 0, kInfinity, 5), kInfinity);
  EXPECT_EQ(SwapLogRatio(1, 0, 3, kInfinity), -kInfinity);
}

// The mean rejection of swaps of N(0, I_4 / beta): E is Gamma(2) / beta, and
// accepts with 2 P(E_cold > E_hot) = 2 P(B < q) for B ~ Beta(2, 2) and
// q = r / (1 + r), r the ratio of the betas below 1.
double GaussianRejection(double cold, double hot) {
  const double q = hot / (cold + hot);
  return 1 - 2 * (3 * q * q - 2 * q * q * q);
}

std::vector<double> GaussianRejections(const std::vector<double>& betas) {
  std::vector<double> rejections;
  for (size_t k = 0; k + 1 < betas.size(); ++k) {
    rejections.push_back(GaussianRejection(betas[k], betas[k + 1]));
  }
  return rejections;
}

TEST(TemperingTest, TuningEndsAtEqualRejections) {
  // Only the ratio of two levels counts here: the best ladder is geometric.
  std::vector<double> betas;
  for (int k = 0; k < 8; ++k) betas.push_back(1 - 0.98 * k / 7);
  for (int round = 0; round < 60; ++round) {
    betas = TuneLadder(betas, GaussianRejections(betas));
    ASSERT_OK(CheckLadder(betas, ZeroBeta::kRefused));
    ASSERT_EQ(betas.front(), 1);
    ASSERT_NEAR(betas.back(), 0.02, 1e-15);
  }
  EXPECT_THAT(betas,
              Pointwise(DoubleNear(1e-3), GeometricLadder(8, 1, betas.back())));
  const std::vector<double> rejections = GaussianRejections(betas);
  for (const double rejection : rejections) {
    EXPECT_NEAR(rejection, rejections[0], 1e-3);
  }
}

TEST(TemperingTest, TuningByHand) {
  // The barrier is 0, .1, .4, .9: thirds of it are .3 and .6.
  const std::vector<double> tuned =
      TuneLadder({1.0, 0.7, 0.4, 0.1}, {0.1, 0.3, 0.5});
  EXPECT_THAT(tuned, Pointwise(DoubleNear(1e-12), {1.0, 0.5, 0.28, 0.1}));
}

TEST(TemperingTest, TuningSurvivesOddRates) {
  const std::vector<double> betas = {1.0, 0.7, 0.4, 0.1};
  EXPECT_EQ(TuneLadder(betas, {0, 0, 0}), betas);
  EXPECT_EQ(TuneLadder({1.0, 0.0}, {0.5}), (std::vector<double>{1, 0}));
  for (const std::vector<double>& rejections :
       {std::vector<double>{0, 0, 1}, {1, 0, 0}, {kNaN, 0, kNaN}, {7, -1, 0}}) {
    const std::vector<double> tuned = TuneLadder(betas, rejections);
    EXPECT_OK(CheckLadder(tuned, ZeroBeta::kRefused));
    EXPECT_NE(tuned, betas);
  }
  // All of the barrier in an interval without numbers in it.
  const std::vector<double> tight = {1, std::nextafter(1.0, 0), 0.5, 0.1};
  EXPECT_EQ(TuneLadder(tight, {1, 0, 0}), tight);
}

}  // namespace
}  // namespace basin
