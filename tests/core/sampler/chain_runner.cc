#include "tests/core/sampler/chain_runner.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include <gtest/gtest.h>

#include "core/backend/cpu/tile_ops_cpu.h"
#include "core/base/status_macros.h"
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
    host.coefficients[b] = coefficients;
    host.lower[b] = run.box.lower;
    host.upper[b] = run.box.upper;
    const std::vector<float> state = run.start(host.chain[b]);
    ASSERT_EQ(static_cast<int64_t>(state.size()), dimension);
    std::copy(state.begin(), state.end(),
              host.position.begin() + b * dimension);
  }
  if (!run.scale.empty()) host.SetScale(run.scale);
  if (!run.lower.empty()) host.SetBox(run.lower, run.upper);
  if (!run.factor.empty()) host.SetFactor(run.factor);
}

// The carried state of row `from` becomes that of row `to` of another tile.
void Carry(const Transition& transition, const ChainTile& source, int from,
           const ChainTile& target, int to) {
  const int64_t d = source.dimension;
  const auto copy = [=](const float* a, float* b) {
    std::copy_n(a + from * d, d, b + to * d);
  };
  copy(source.position, target.position);
  target.chain[to] = source.chain[from];
  target.step[to] = source.step[from];
  if (transition.carried() != Carried::kNothing) {
    target.energy[to] = source.energy[from];
  }
  if (transition.carried() == Carried::kEnergyAndGradient) {
    copy(source.grad_energy, target.grad_energy);
  }
  if (transition.carries_momentum()) copy(source.momentum, target.momentum);
}

// What is not carried is other in each tile.
void Stain(const Transition& transition, HostTile& host) {
  std::fill(host.proposal.begin(), host.proposal.end(), 7.0F);
  std::fill(host.proposal_momentum.begin(), host.proposal_momentum.end(), 7.0F);
  if (transition.carries_momentum()) return;
  std::fill(host.momentum.begin(), host.momentum.end(), 7.0F);
}

absl::Status Advance(const Transition& transition, EnergyFunction& energy,
                     const TileOps& ops, const ChainRun& run, int64_t steps,
                     ChainTile& tile) {
  for (int64_t step = 0; step < steps; ++step) {
    BASIN_RETURN_IF_ERROR(transition.Step(energy, ops, tile));
    for (int b = 0; b < tile.rows; ++b) ++tile.step[b];
    if (run.on_step) run.on_step(tile);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<const Transition*> ContinuousTransitions() {
  std::vector<const Transition*> fitting;
  for (const Transition* transition : AllTransitions()) {
    if (CheckFits(transition->kind(), ModelInfo()).ok()) {
      fitting.push_back(transition);
    }
  }
  return fitting;
}

TransitionParams ParamsOf(TransitionKind kind) {
  return {.kind = kind,
          .step_size = 0.1,
          .noise_std = 0.2,
          .gradient_clip = 0.5,
          .leaps = 3};
}

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
    const int capacity = std::max(run.tile_rows, run.tile_capacity);
    HostTile host(rows, energy.dimension(), capacity);
    Fill(run, *coefficients, first, host);
    Stain(transition, host);
    ChainTile& tile = host.tile();
    EXPECT_OK(energy.EnergyAndGradient(rows, tile.position, tile.energy,
                                       tile.grad_energy));
    const int64_t before = std::min(run.cut_after, run.steps);
    EXPECT_OK(Advance(transition, energy, *ops, run, before, tile));
    HostTile next(rows, energy.dimension(), capacity);
    Fill(run, *coefficients, first, next);
    for (int b = 0; b < rows; ++b) {
      Carry(transition, tile, b, next.tile(), rows - 1 - b);
    }
    EXPECT_OK(Advance(transition, energy, *ops, run, run.steps - before,
                      next.tile()));
    for (int b = rows - 1; b >= 0; --b) {
      const float* state = next.tile().position + b * tile.dimension;
      states.insert(states.end(), state, state + tile.dimension);
    }
  }
  return states;
}

}  // namespace basin::testing
