#include "core/sampler/tempering.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <absl/strings/str_cat.h>

#include "core/base/check.h"

namespace basin {

absl::Status CheckLadder(absl::Span<const double> betas, ZeroBeta zero) {
  if (betas.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("betas: expected at least 2 levels, got ", betas.size()));
  }
  for (size_t k = 0; k < betas.size(); ++k) {
    const bool allowed_zero = zero == ZeroBeta::kAllowed && betas[k] == 0;
    if (!std::isfinite(betas[k]) || !(betas[k] > 0 || allowed_zero)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "betas[", k, "]: expected a finite positive number",
          zero == ZeroBeta::kAllowed
              ? " or 0"
              : " (0 is accepted where the domain is bounded only)",
          ", got ", betas[k]));
    }
    if (k > 0 && !(betas[k] < betas[k - 1])) {
      return absl::InvalidArgumentError(absl::StrCat(
          "betas[", k, "]: expected less than the level before, ", betas[k - 1],
          " (the coldest level comes first), got ", betas[k]));
    }
  }
  return absl::OkStatus();
}

std::vector<double> GeometricLadder(int64_t levels, double beta_max,
                                    double beta_min) {
  BASIN_CHECK(levels >= 2 && beta_max > beta_min && beta_min > 0);
  std::vector<double> betas(levels);
  const double log_ratio = std::log(beta_min / beta_max);
  for (int64_t k = 0; k < levels; ++k) {
    betas[k] = beta_max * std::exp(log_ratio * static_cast<double>(k) /
                                   static_cast<double>(levels - 1));
  }
  betas.back() = beta_min;
  return betas;
}

std::vector<double> TuneLadder(absl::Span<const double> betas,
                               absl::Span<const double> rejections) {
  BASIN_CHECK(betas.size() >= 2 && rejections.size() + 1 == betas.size());
  const std::vector<double> present(betas.begin(), betas.end());
  std::vector<double> barrier = {0};  // up to each level
  for (const double rejection : rejections) {
    barrier.push_back(barrier.back() + (std::isnan(rejection)
                                            ? 1
                                            : std::clamp(rejection, 0.0, 1.0)));
  }
  std::vector<double> tuned = present;
  for (size_t k = 1; k + 1 < tuned.size(); ++k) {
    const double wanted = barrier.back() * static_cast<double>(k) /
                          static_cast<double>(tuned.size() - 1);
    // The first level whose barrier is larger; the one before is not.
    const auto above = std::upper_bound(barrier.begin(), barrier.end(), wanted);
    if (above == barrier.end()) return present;  // nothing was rejected
    const size_t i = above - barrier.begin() - 1;
    const double share = (wanted - barrier[i]) / (barrier[i + 1] - barrier[i]);
    tuned[k] = present[i] + share * (present[i + 1] - present[i]);
  }
  // Levels so close that they round to the same number are no ladder.
  const bool falls = std::adjacent_find(tuned.begin(), tuned.end(),
                                        std::less_equal<>()) == tuned.end();
  return falls ? tuned : present;
}

}  // namespace basin
