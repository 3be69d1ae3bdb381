#include "core/sampler/resampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/check.h"

namespace basin {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Weights divided by the largest one, whose logarithm is `log_scale`.
struct ScaledWeights {
  std::vector<double> weights;    // [n], in [0, 1]
  double log_scale = -kInfinity;  // -infinity if there is no positive weight
  double sum = 0;
};

ScaledWeights Scale(absl::Span<const double> log_weights) {
  ScaledWeights scaled;
  scaled.weights.assign(log_weights.size(), 0);
  for (const double log_weight : log_weights) {
    if (std::isfinite(log_weight)) {
      scaled.log_scale = std::max(scaled.log_scale, log_weight);
    }
  }
  for (size_t i = 0; i < log_weights.size(); ++i) {
    if (!std::isfinite(log_weights[i])) continue;
    scaled.weights[i] = std::exp(log_weights[i] - scaled.log_scale);
    scaled.sum += scaled.weights[i];
  }
  return scaled;
}

}  // namespace

double LogSumExp(absl::Span<const double> log_weights) {
  const ScaledWeights scaled = Scale(log_weights);
  return scaled.log_scale + std::log(scaled.sum);
}

double LogMeanExp(absl::Span<const double> log_weights) {
  if (log_weights.empty()) return -kInfinity;
  return LogSumExp(log_weights) -
         std::log(static_cast<double>(log_weights.size()));
}

double WeightEss(absl::Span<const double> log_weights) {
  const ScaledWeights scaled = Scale(log_weights);
  if (scaled.sum == 0) return 0;
  const double squares =
      std::inner_product(scaled.weights.begin(), scaled.weights.end(),
                         scaled.weights.begin(), 0.0);
  return scaled.sum * scaled.sum / squares;
}

std::vector<double> NormalizedWeights(absl::Span<const double> log_weights) {
  ScaledWeights scaled = Scale(log_weights);
  if (scaled.sum == 0) return scaled.weights;
  for (double& weight : scaled.weights) weight /= scaled.sum;
  return scaled.weights;
}

absl::StatusOr<Resampled> SystematicResample(
    absl::Span<const double> log_weights, double u) {
  BASIN_CHECK(u >= 0 && u < 1);
  const ScaledWeights scaled = Scale(log_weights);
  if (scaled.sum == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "resampling: expected a particle with a positive weight, got ",
        log_weights.size(), " without"));
  }
  const auto n = static_cast<double>(log_weights.size());
  // So few bits that i + u is exact.
  const double offset = std::floor(u * 0x1p32) * 0x1p-32;
  Resampled resampled;
  resampled.ancestors.reserve(log_weights.size());
  resampled.log_mean_weight = scaled.log_scale + std::log(scaled.sum / n);
  double cumulated = 0;
  int64_t ancestor = -1;  // the last one with a positive weight
  for (size_t k = 0; k < log_weights.size(); ++k) {
    if (scaled.weights[k] == 0) continue;
    ancestor = static_cast<int64_t>(k);
    cumulated += scaled.weights[k];
    // Products of small integers are exact: equal weights get one each.
    while (resampled.ancestors.size() < log_weights.size() &&
           cumulated * n >
               (static_cast<double>(resampled.ancestors.size()) + offset) *
                   scaled.sum) {
      resampled.ancestors.push_back(ancestor);
    }
  }
  // What rounding left over.
  resampled.ancestors.resize(log_weights.size(), ancestor);
  return resampled;
}

}  // namespace basin
