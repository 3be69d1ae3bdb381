#ifndef BASIN_TESTS_CORE_SAMPLER_CHAIN_RUNNER_H_
#define BASIN_TESTS_CORE_SAMPLER_CHAIN_RUNNER_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/cpu_isa.h"
#include "core/sampler/transition.h"
#include "tests/core/sampler/analytic_energies.h"

namespace basin::testing {

// Chains to run, all with the same parameters.
struct ChainRun {
  TransitionParams params;
  double inverse_temperature = 1;
  Box box;
  std::vector<float> scale;   // [D]; empty = none
  std::vector<float> factor;  // [D, D]; empty = none
  std::vector<float> lower;   // [D], in the place of `box`; empty = none
  std::vector<float> upper;   // [D]
  uint64_t seed = 1;
  int64_t steps = 1;
  // After so many steps the tile's chains go to another one, in reverse order,
  // with what the transition says that it carries; 0 = never.
  int64_t cut_after = 0;
  // Chain indices in the order in which they are put into tiles.
  std::vector<uint64_t> chains;
  // The starting state [D] of a chain.
  std::function<std::vector<float>(uint64_t chain)> start;
  int tile_rows = 64;
  int tile_capacity = 0;  // rows the arrays have room for; 0 = tile_rows
  CpuIsa isa = DetectedIsa();
  // Called after every step with the tile's chains; may be empty.
  std::function<void(const ChainTile& tile)> on_step;
};

// Those of AllTransitions() that move in R^D.
std::vector<const Transition*> ContinuousTransitions();

// Parameters that every continuous transition accepts: step size .1, noise .2,
// clip .5, 3 leaps.
TransitionParams ParamsOf(TransitionKind kind);

// Chains 0 .. count - 1.
std::vector<uint64_t> FirstChains(int count);

// Starts from N(mean, stddev^2 I), by DrawInitialState().
std::function<std::vector<float>(uint64_t)> NormalStart(int64_t dimension,
                                                        float mean,
                                                        float stddev);

// Runs them as a worker would, tile by tile; returns the last states in order
// of run.chains, [chains, D]. Errors fail the test.
std::vector<float> RunChains(const Transition& transition, RowEnergy& energy,
                             const ChainRun& run);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_SAMPLER_CHAIN_RUNNER_H_
