#include "core/sampler/log_z.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// n log weights N(0, sd^2): log Z = sd^2 / 2.
std::vector<double> NormalLogWeights(uint64_t seed, int64_t n, double sd) {
  std::vector<double> log_weights;
  for (int64_t i = 0; i < n; ++i) {
    log_weights.push_back(
        sd * NormalsOf(Philox(seed, DrawCounter(0, i, 0, 0))).value[0]);
  }
  return log_weights;
}

// The share of `runs` estimates whose interval holds the truth.
double Coverage(int64_t n, double sd, double level) {
  constexpr int kRuns = 1000;
  int covered = 0;
  for (int run = 0; run < kRuns; ++run) {
    const LogZEstimate estimate =
        EstimateLogZ(NormalLogWeights(run, n, sd), {.level = level});
    const double truth = sd * sd / 2;
    if (estimate.lower <= truth && truth <= estimate.upper) ++covered;
  }
  return covered / static_cast<double>(kRuns);
}

TEST(LogZTest, AgreesWithNumpy) {
  // exp, mean, std(ddof=1) and scipy.stats.t.ppf.
  const std::vector<double> log_weights = {-1.5, 0.25,  -0.75, 1,  -2,   0.5,
                                           0,    -0.25, 0.75,  -1, 1.25, -0.5};
  const LogZEstimate estimate =
      EstimateLogZ(log_weights, {.log_z_base = 100, .level = 0.95});
  EXPECT_NEAR(estimate.log_z, 100 + 0.21258226811452507, 1e-12);
  EXPECT_NEAR(estimate.standard_error, 0.24842942357405223, 1e-12);
  EXPECT_NEAR(estimate.weight_ess, 7.147584063685143, 1e-10);
  EXPECT_NEAR(estimate.lower, 100 - 0.3342072065020838, 1e-4);
  EXPECT_NEAR(estimate.upper, 100 + 1.081796303737116, 1e-4);
  EXPECT_EQ(estimate.num_weights, 12);
  EXPECT_EQ(estimate.level, 0.95);
  EXPECT_FALSE(estimate.reliable);
}

// The standard error of a share of .95 among 1000 is .007.
TEST(LogZTest, IntervalsCoverForLogNormalWeights) {
  for (const int64_t n : {16, 64, 256}) {
    for (const double sd : {0.3, 1.0, 2.0, 3.0}) {
      const double coverage = Coverage(n, sd, 0.95);
      RecordProperty(absl::StrCat("n", n, "_sd", sd), absl::StrCat(coverage));
      // At sd 3, 16 weights are worth 2.
      EXPECT_GE(coverage, n == 16 && sd > 1 ? 0.80 : 0.90) << n << " " << sd;
      EXPECT_LE(coverage, 0.995) << n << " " << sd;
    }
  }
}

TEST(LogZTest, TheLevelIsTheLevel) {
  EXPECT_NEAR(Coverage(256, 0.3, 0.8), 0.84, 0.06);
  EXPECT_NEAR(Coverage(256, 0.3, 0.5), 0.56, 0.08);
}

TEST(LogZTest, FewEffectiveWeightsAreNotReliable) {
  EXPECT_TRUE(EstimateLogZ(NormalLogWeights(1, 64, 0.3), {}).reliable);
  EXPECT_FALSE(EstimateLogZ(NormalLogWeights(1, 64, 6), {}).reliable);
  // Enough weights, of sizes so far apart that their mean is hardly known.
  std::vector<double> two_sizes(41, -8);
  std::fill_n(two_sizes.begin(), 20, 0);
  const LogZEstimate wide = EstimateLogZ(two_sizes, {});
  EXPECT_GT(wide.weight_ess, kReliableWeightEss);
  EXPECT_GT(wide.upper - wide.lower, kReliableWidth);
  EXPECT_FALSE(wide.reliable);
}

TEST(LogZTest, EqualWeightsLeaveNoDoubt) {
  const LogZEstimate estimate =
      EstimateLogZ(std::vector<double>(49, 1e6), {.log_z_base = 1});
  EXPECT_NEAR(estimate.log_z, 1e6 + 1, 1e-9);
  EXPECT_NEAR(estimate.lower, estimate.log_z, 1e-9);
  EXPECT_NEAR(estimate.upper, estimate.log_z, 1e-9);
  EXPECT_NEAR(estimate.weight_ess, 49, 1e-9);
}

TEST(LogZTest, LostRunsAreWeightsOfZero) {
  std::vector<double> log_weights(100, 2);
  for (int i = 0; i < 25; ++i)
    log_weights[4 * i] = i % 2 == 0 ? kNaN : -kInfinity;
  const LogZEstimate estimate = EstimateLogZ(log_weights, {});
  EXPECT_NEAR(estimate.log_z, 2 + std::log(0.75), 1e-12);
  // Weights of 0 and 1: the relative variance is 1/3, with 99 for 100.
  EXPECT_NEAR(estimate.standard_error, std::sqrt(1.0 / 3 / 99), 1e-12);
  EXPECT_LT(estimate.upper, 2.1);
}

TEST(LogZTest, NothingIsKnownWithoutWeights) {
  for (const std::vector<double>& log_weights :
       {std::vector<double>{}, {kNaN, -kInfinity}, {kInfinity}}) {
    const LogZEstimate estimate = EstimateLogZ(log_weights, {});
    EXPECT_EQ(estimate.log_z, -kInfinity);
    EXPECT_EQ(estimate.lower, -kInfinity);
    EXPECT_EQ(estimate.upper, kInfinity);
    EXPECT_FALSE(estimate.reliable);
  }
  const LogZEstimate one = EstimateLogZ({3.0}, {});
  EXPECT_EQ(one.log_z, 3);
  EXPECT_EQ(one.upper, kInfinity);
}

// A forward run's log weights are N(-v/2, v) around log Z, a reverse run's
// N(v/2, v), if forward and reverse are each other's reversal (Crooks 1999).
TEST(LogZTest, BracketsFromBothSides) {
  constexpr double kLogZ = -7;
  for (const double sd : {0.5, 1.0, 2.0, 4.0}) {
    int covered = 0;
    double forward_mean = 0;
    double reverse_mean = 0;
    constexpr int kRuns = 200;
    for (int run = 0; run < kRuns; ++run) {
      std::vector<double> forward = NormalLogWeights(2 * run, 100, sd);
      for (double& w : forward) w += kLogZ - 5 - sd * sd / 2;
      std::vector<double> reverse = NormalLogWeights(2 * run + 1, 100, sd);
      for (double& w : reverse) w += kLogZ - 5 + sd * sd / 2;
      const LogZEstimate up = EstimateLogZ(forward, {.log_z_base = 5});
      const LogZEstimate down = EstimateLogZReverse(reverse, {.log_z_base = 5});
      EXPECT_LE(down.lower, down.log_z);
      EXPECT_LE(down.log_z, down.upper);
      if (up.lower <= kLogZ && kLogZ <= down.upper) ++covered;
      forward_mean += up.log_z / kRuns;
      reverse_mean += down.log_z / kRuns;
    }
    EXPECT_GE(covered, 0.92 * kRuns) << sd;
    EXPECT_LT(forward_mean, kLogZ + 0.01);
    EXPECT_GT(reverse_mean, kLogZ - 0.01);
    EXPECT_LT(forward_mean, reverse_mean);
  }
}

}  // namespace
}  // namespace basin
