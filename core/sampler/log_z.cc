#include "core/sampler/log_z.h"

#include <algorithm>
#include <cmath>
#include <unsupported/Eigen/SpecialFunctions>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/sampler/resampling.h"

namespace basin {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The p-quantile of Student's law, p > 1/2, from that of the normal law:
// Abramowitz and Stegun 26.7.5. Within 1 % from 5 degrees of freedom on.
double StudentQuantile(double p, double degrees) {
  const double z = Eigen::numext::ndtri(p);
  const double s = z * z;
  const double g1 = (s + 1) * z / 4;
  const double g2 = ((5 * s + 16) * s + 3) * z / 96;
  const double g3 = (((3 * s + 19) * s + 17) * s - 15) * z / 384;
  const double g4 =
      ((((79 * s + 776) * s + 1482) * s - 1920) * s - 945) * z / 92160;
  return z + (g1 + (g2 + (g3 + g4 / degrees) / degrees) / degrees) / degrees;
}

// The upper end that a log-normal law with the right half of the log weights
// gives. Weights of 0 only lower the mean. `t` is the quantile of the level.
double LogNormalUpper(absl::Span<const double> log_weights, double t) {
  std::vector<double> sorted;
  for (const double log_weight : log_weights) {
    if (std::isfinite(log_weight)) sorted.push_back(log_weight);
  }
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  const double median = sorted.size() % 2 == 1
                            ? sorted[middle]
                            : 0.5 * (sorted[middle - 1] + sorted[middle]);
  double variance = 0;
  for (size_t i = middle; i < sorted.size(); ++i) {
    variance += (sorted[i] - median) * (sorted[i] - median);
  }
  variance /= static_cast<double>(sorted.size() - middle);
  const auto n = static_cast<double>(sorted.size());
  const double share = n / static_cast<double>(log_weights.size());
  return std::log(share) + median + variance / 2 +
         t * std::sqrt((M_PI / 2 * variance + variance * variance) / n);
}

}  // namespace

LogZEstimate EstimateLogZ(absl::Span<const double> log_weights,
                          const LogZOptions& options) {
  BASIN_CHECK(options.level > 0 && options.level < 1);
  LogZEstimate estimate;
  estimate.level = options.level;
  estimate.num_weights = static_cast<int64_t>(log_weights.size());
  estimate.weight_ess = WeightEss(log_weights);
  estimate.standard_error = kInfinity;
  if (estimate.weight_ess == 0) return estimate;
  estimate.log_z = options.log_z_base + LogMeanExp(log_weights);
  const auto n = static_cast<double>(log_weights.size());
  if (n < 2) return estimate;
  double relative_variance = 0;
  for (const double weight : NormalizedWeights(log_weights)) {
    relative_variance += (n * weight - 1) * (n * weight - 1) / (n - 1);
  }
  estimate.standard_error = std::sqrt(relative_variance / n);
  const double t = StudentQuantile((1 + options.level) / 2, n - 1);
  estimate.lower = estimate.log_z - t * estimate.standard_error;
  estimate.upper =
      std::max(estimate.log_z + t * estimate.standard_error,
               options.log_z_base + LogNormalUpper(log_weights, t));
  estimate.reliable = estimate.weight_ess >= kReliableWeightEss &&
                      estimate.upper - estimate.lower <= kReliableWidth;
  return estimate;
}

LogZEstimate EstimateLogZReverse(absl::Span<const double> log_weights,
                                 const LogZOptions& options) {
  std::vector<double> negated(log_weights.begin(), log_weights.end());
  for (double& log_weight : negated) log_weight = -log_weight;
  LogZEstimate estimate = EstimateLogZ(
      negated, {.log_z_base = -options.log_z_base, .level = options.level});
  estimate.log_z = -estimate.log_z;
  const double lower = estimate.lower;
  estimate.lower = -estimate.upper;
  estimate.upper = -lower;
  return estimate;
}

}  // namespace basin
