#ifndef BASIN_CORE_SAMPLER_DIAGNOSTICS_H_
#define BASIN_CORE_SAMPLER_DIAGNOSTICS_H_

// Convergence diagnostics of Markov chains. Pure functions; thread-safe.
// Source: Gelman et al., Bayesian Data Analysis, 3rd ed., section 11.4-11.5;
// Geyer 1992; Vehtari et al. 2021 (arXiv 1903.08008).

#include <cstdint>
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

// Split R-hat of one quantity: every chain is cut in half. Chains with a value
// that is not finite are left out. NaN with fewer than 4 draws, without
// chains, or if no chain's draws vary.
double SplitRhat(const ChainTraces& traces, int64_t quantity);

// Effective sample size of one quantity over all chains, from the initial
// positive monotone sequence of autocorrelations of the split chains. NaN as
// SplitRhat().
double EffectiveSampleSize(const ChainTraces& traces, int64_t quantity);

struct Diagnostics {
  double max_rhat = 0;  // over the quantities; NaN if none is defined
  double min_ess = 0;   // over the quantities; NaN if none is defined
};
Diagnostics Diagnose(const ChainTraces& traces);

}  // namespace basin

#endif  // BASIN_CORE_SAMPLER_DIAGNOSTICS_H_
