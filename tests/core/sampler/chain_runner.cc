#include "tests/core/sampler/chain_runner.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include <gtest/gtest.h>

#include "core/backend/cpu/tile_ops_cpu.h"
#include "core/model/initial_states.h"
#include "tests/core/backend/host_tile.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

// Puts run.chains[first, first + rows) into the tile.
void Fill(const ChainRun& run, const ChainCoefficients& coefficients,
          size_t first, HostTile& host) {
  const int64_t dimension = host.tile().dimension;
  for (int b = 0; b < host.tile().rows; ++b) {
    host.seed[b] = run.seed;
    host.chain[b] = run.chains[first + b];
    host.drift[b] = coefficients.drift;
    host.noise[b] = coefficients.noise;
    host.clip[b] = coefficients.clip;
    host.beta[b] = coefficients.beta;
    host.lower[b] = run.box.lower;
    host.upper[b] = run.box.upper;
    const std::vector<float> state = run.start(host.chain[b]);
    ASSERT_EQ(static_cast<int64_t>(state.size()), dimension);
    std::copy(state.begin(), state.end(),
              host.position.begin() + b * dimension);
  }
}

}  // namespace

std::vector<uint64_t> FirstChains(int count) {
  std::vector<uint64_t> chains(count);
  std::iota(chains.begin(), chains.end(), 0);
  return chains;
}

std::function<std::vector<float>(uint64_t)> NormalStart(int64_t dimension,
                                                        float mean,
                                                        float stddev) {
  return [=](uint64_t chain) {
    std::vector<float> state(dimension);
    DrawInitialState(NormalLaw{mean, stddev}, 99, chain, absl::MakeSpan(state));
    return state;
  };
}

std::vector<float> RunChains(const Transition& transition, RowEnergy& energy,
                             const ChainRun& run) {
  const std::unique_ptr<const TileOps> ops = CreateCpuTileOps(run.isa);
  const absl::StatusOr<ChainCoefficients> coefficients =
      transition.Configure(run.params, run.inverse_temperature);
  EXPECT_OK(coefficients);
  std::vector<float> states;
  if (!coefficients.ok()) return states;
  for (size_t first = 0; first < run.chains.size(); first += run.tile_rows) {
    const auto rows = static_cast<int>(
        std::min<size_t>(run.tile_rows, run.chains.size() - first));
    HostTile host(rows, energy.dimension(),
                  std::max(run.tile_rows, run.tile_capacity));
    Fill(run, *coefficients, first, host);
    ChainTile& tile = host.tile();
    EXPECT_OK(energy.EnergyAndGradient(rows, tile.position, tile.energy,
                                       tile.grad_energy));
    for (int64_t step = 0; step < run.steps; ++step) {
      EXPECT_OK(transition.Step(energy, *ops, tile));
      for (int b = 0; b < rows; ++b) ++tile.step[b];
      if (run.on_step) run.on_step(tile);
    }
    states.insert(states.end(), tile.position,
                  tile.position + rows * tile.dimension);
  }
  return states;
}

}  // namespace basin::testing
