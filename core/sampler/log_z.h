#ifndef BASIN_CORE_SAMPLER_LOG_Z_H_
#define BASIN_CORE_SAMPLER_LOG_Z_H_

// From the log weights of annealed importance sampling to the logarithm of a
// normalising constant Z, with its uncertainty. Pure functions; thread-safe.
// Log weights that are not finite are weights of 0, as in resampling.h.
// Sources: Neal 2001; Grosse, Ghahramani and Adams 2015 (arXiv 1511.02543) for
// runs in reverse.

#include <cstdint>
#include <limits>

#include <absl/types/span.h>

namespace basin {

struct LogZOptions {
  double log_z_base = 0;  // log Z of the law that the runs start from
  double level = 0.95;    // of the interval, in (0, 1)
};

struct LogZEstimate {
  double log_z = -std::numeric_limits<double>::infinity();
  double lower = -std::numeric_limits<double>::infinity();
  double upper = std::numeric_limits<double>::infinity();
  double level = 0;           // that log Z lies within [lower, upper]
  double standard_error = 0;  // of log_z, by the delta method
  double weight_ess = 0;      // effective number of weights, 0 to n
  int64_t num_weights = 0;    // n
  // weight_ess is at least kReliableWeightEss, and the interval at most
  // kReliableWidth wide. Otherwise few weights decide, larger ones may never
  // have been seen, and the interval is a lower bound with a guess beside it:
  // take more runs or a slower schedule.
  bool reliable = false;
};
inline constexpr double kReliableWeightEss = 10;
inline constexpr double kReliableWidth = 2;  // a factor of 7.4 in Z

// log_z_base + log mean exp of the log weights of independent runs, [n]. The
// estimate of Z is unbiased, so that of log Z is low on average: by Markov's
// inequality log_z - a exceeds log Z with probability exp(-a) at most,
// whatever the weights are.
//
// The lower end is log_z - t s, with t the quantile of Student's law and s the
// delta-method error sd(w) / (mean(w) sqrt(n)). The upper end is the larger of
// log_z + t s and of what a log-normal law with the right half of the log
// weights would give: with v the mean square of the upper half's distances
// from the median c, c + v/2 + t sqrt((pi/2 v + v^2) / n). With wide log
// weights Z lies above what was seen, and the first alone misses it: at sd 2
// and 64 runs it covers 77 %, both together 95 %. The second does not look at
// the left half, because a heavy left tail of log weights does no harm.
//
// REQUIRES: 0 < level < 1.
LogZEstimate EstimateLogZ(absl::Span<const double> log_weights,
                          const LogZOptions& options);

// The same from runs in reverse, from exact samples of the law of Z to the
// base. Each log weight is that which the forward run over the same states
// would have: log_z = log_z_base - log mean exp(-log weight), high on average.
LogZEstimate EstimateLogZReverse(absl::Span<const double> log_weights,
                                 const LogZOptions& options);

}  // namespace basin

#endif  // BASIN_CORE_SAMPLER_LOG_Z_H_
