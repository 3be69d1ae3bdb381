#ifndef BASIN_CORE_SAMPLER_RESAMPLING_H_
#define BASIN_CORE_SAMPLER_RESAMPLING_H_

// Weighted particles: sums of weights that are known by their logarithms, and
// resampling. Pure functions, sums in the order given; thread-safe.
//
// Everywhere, a log weight that is -infinity, NaN or +infinity is a weight of
// 0: a particle that left the domain or whose energy was lost. It still counts
// in n.

#include <cstdint>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

namespace basin {

// log(sum exp). -infinity without a positive weight.
double LogSumExp(absl::Span<const double> log_weights);

// log(1/n sum exp). -infinity without a positive weight.
double LogMeanExp(absl::Span<const double> log_weights);

// Kish's effective sample size (sum w)^2 / sum w^2, from 1 to n; 0 without a
// positive weight.
double WeightEss(absl::Span<const double> log_weights);

// The weights, divided by their sum; all 0 without a positive weight.
std::vector<double> NormalizedWeights(absl::Span<const double> log_weights);

// What one resampling of n particles gives. Afterwards every log weight is 0.
struct Resampled {
  std::vector<int64_t> ancestors;  // [n], ascending
  // LogMeanExp() of the weights: what the estimate of log Z grows by.
  double log_mean_weight = 0;
};

// Systematic resampling (Kitagawa 1996): the i-th particle to be descends from
// the one that holds the share (i + u) / n of the cumulated weights. Particle
// k, of share W_k, gets floor(n W_k) or ceil(n W_k) descendants (up to rounding
// of the sums), one each if all weights are equal, none if its weight is 0.
// Only the first 32 bits of u are used. FailedPrecondition without a positive
// weight. REQUIRES: 0 <= u < 1.
absl::StatusOr<Resampled> SystematicResample(
    absl::Span<const double> log_weights, double u);

}  // namespace basin

#endif  // BASIN_CORE_SAMPLER_RESAMPLING_H_
