#ifndef BASIN_CORE_SAMPLER_TEMPERING_H_
#define BASIN_CORE_SAMPLER_TEMPERING_H_

// Parallel tempering: the ladder of inverse temperatures, its swaps and its
// tuning. Level 0 is the coldest, with the largest inverse temperature beta.
// Pure functions; thread-safe.
// Source: Syed, Bouchard-Cote, Deligiannidis and Doucet 2022
// (arXiv 1905.02939), "DEO" and algorithms 1 to 4.

#include <cstdint>
#include <vector>

#include <absl/status/status.h>
#include <absl/types/span.h>

namespace basin {

// Whether a ladder may end at beta = 0, the uniform law.
enum class ZeroBeta {
  kRefused,
  kAllowed,  // the domain is bounded, so there is a uniform law
};

// InvalidArgument, naming the level, unless there are at least 2 levels and
// they are finite, positive (the last one 0, if allowed) and fall strictly.
absl::Status CheckLadder(absl::Span<const double> betas, ZeroBeta zero);

// `levels` inverse temperatures from beta_max to beta_min, each the same
// multiple of the one before. REQUIRES: levels >= 2, beta_max > beta_min > 0.
std::vector<double> GeometricLadder(int64_t levels, double beta_max,
                                    double beta_min);

// The logarithm of what a swap of the states of two levels is accepted with,
// if below 0: (beta_a - beta_b) (E_a - E_b). NaN, which accepts nothing, if
// both energies are infinite.
inline double SwapLogRatio(double beta_a, double beta_b, double energy_a,
                           double energy_b) {
  return (beta_a - beta_b) * (energy_a - energy_b);
}

// A ladder with the same ends and number of levels where all pairs would
// reject equally often, judged from the mean rejection probabilities of the
// present one, [levels - 1]: the cumulative barrier, taken as linear in beta
// between levels, is cut into equal parts (algorithm 2; linear because it is
// inverted exactly and cannot overshoot). Repeat it as the estimates get
// better. A probability that is NaN counts as 1, others as within [0, 1]. If
// nothing was rejected, the ladder stays.
// REQUIRES: CheckLadder() accepts betas; rejections.size() + 1 levels.
std::vector<double> TuneLadder(absl::Span<const double> betas,
                               absl::Span<const double> rejections);

}  // namespace basin

#endif  // BASIN_CORE_SAMPLER_TEMPERING_H_
