#ifndef BASIN_CORE_SAMPLER_DIAGNOSTICS_H_
#define BASIN_CORE_SAMPLER_DIAGNOSTICS_H_

// Convergence diagnostics of Markov chains. Pure functions; thread-safe.
// Sources: Gelman et al., Bayesian Data Analysis, 3rd ed., section 11.4-11.5;
// Geyer 1992; Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021
// (arXiv 1903.08008), with the definitions of R's posterior and of ArviZ.
//
// Common to all: every chain is cut in half, the middle draw of an odd count
// left out; chains with a value that is not finite are left out; the result is
// NaN with fewer than 4 draws, without chains, or if all draws are equal.
// Replicas of different temperatures are different chains of different laws:
// give the functions one temperature at a time.
//
// Cost: O(n log n) for n = chains * draws, and about 60 n bytes beside the
// traces, whatever the chains look like.

#include <cstdint>
#include <limits>
#include <vector>

#include <absl/types/span.h>

namespace basin {

// Several scalars of each chain along its kept draws.
struct ChainTraces {
  int64_t chains = 0;
  int64_t draws = 0;
  int64_t quantities = 0;
  std::vector<float> values;  // [chains, draws, quantities]
};

// Split R-hat of one quantity. Infinite if each chain stands still, but not
// all at the same place.
double SplitRhat(const ChainTraces& traces, int64_t quantity);

// The larger of split R-hat of the draws' normal scores (bulk) and of the
// normal scores of their distances from the median (folded), which sees chains
// that agree in location but not in scale. Defined for laws without variance.
double RankRhat(const ChainTraces& traces, int64_t quantity);

// Effective sample size for the mean of one quantity over all chains: from the
// initial positive monotone sequence of autocorrelations of the split chains.
// At most n log10(n), for n kept draws of all chains.
double EffectiveSampleSize(const ChainTraces& traces, int64_t quantity);

// The same of the draws' normal scores: how well the bulk is known.
double BulkEss(const ChainTraces& traces, int64_t quantity);

// The smaller effective sample size of the two indicators "at most the 5 %
// quantile" and "at most the 95 % quantile". An indicator that does not vary,
// as that of the 95 % quantile of a fair coin, does not count.
double TailEss(const ChainTraces& traces, int64_t quantity);

// The worst over the quantities; NaN if it is defined for none.
struct Diagnostics {
  double max_rhat = std::numeric_limits<double>::quiet_NaN();  // RankRhat()
  double max_split_rhat = std::numeric_limits<double>::quiet_NaN();
  double min_bulk_ess = std::numeric_limits<double>::quiet_NaN();
  double min_tail_ess = std::numeric_limits<double>::quiet_NaN();
};
Diagnostics Diagnose(const ChainTraces& traces);

}  // namespace basin

#endif  // BASIN_CORE_SAMPLER_DIAGNOSTICS_H_
