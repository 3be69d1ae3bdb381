#include "tests/statistical/checks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/core/sampler/chain_runner.h"

namespace basin::testing {
namespace {

// What each chain's observables add up to.
struct Sums {
  std::vector<double> sum;  // [chains, observables]
  int64_t kept = 0;         // of each chain
};

Verdict Judge(const MomentCase& one, const Sums& sums) {
  Verdict verdict;
  const size_t count = one.observables.size();
  const double n = one.chains;
  for (size_t o = 0; o < count; ++o) {
    double mean = 0;
    double squares = 0;
    for (int c = 0; c < one.chains; ++c) {
      mean += sums.sum[c * count + o] / n;
    }
    for (int c = 0; c < one.chains; ++c) {
      const double deviation = sums.sum[c * count + o] - mean;
      squares += deviation * deviation;
    }
    const double error = std::sqrt(squares / (n - 1) / n);
    const double expected =
        one.observables[o].expected * static_cast<double>(sums.kept);
    const double z = std::abs(mean - expected) / error;
    const double finite_z =
        std::isfinite(z) ? z : std::numeric_limits<double>::infinity();
    ++verdict.gates;
    if (finite_z < verdict.worst_z) continue;
    verdict.worst_z = finite_z;
    verdict.worst_of = one.name + " " + one.observables[o].name;
  }
  verdict.passed = verdict.worst_z < kGate;
  return verdict;
}

}  // namespace

Verdict CheckMoments(const Transition& transition, const MomentCase& one,
                     uint64_t seed) {
  const std::unique_ptr<RowEnergy> energy = one.energy();
  const int64_t dimension = energy->dimension();
  const size_t count = one.observables.size();
  Sums sums;
  sums.sum.resize(one.chains * count);
  ChainRun run;
  run.params = one.params;
  run.inverse_temperature = one.inverse_temperature;
  run.box = one.box;
  run.scale = one.scale;
  run.factor = one.factor;
  run.lower = one.lower;
  run.upper = one.upper;
  run.seed = seed;
  run.steps = one.burn_in + one.steps;
  run.chains = FirstChains(one.chains);
  run.start = one.start;
  run.on_step = [&](const ChainTile& tile) {
    const auto after = static_cast<int64_t>(tile.step[0]) - one.burn_in;
    if (after <= 0 || after % one.keep_every != 0) return;
    for (int b = 0; b < tile.rows; ++b) {
      for (size_t o = 0; o < count; ++o) {
        sums.sum[tile.chain[b] * count + o] +=
            one.observables[o].value(tile.position + b * dimension);
      }
    }
  };
  RunChains(transition, *energy, run);
  sums.kept = one.steps / one.keep_every;
  return Judge(one, sums);
}

Verdict CheckAllMoments(const Transition& transition) {
  Verdict all;
  for (const MomentCase& one : AllCases()) {
    if (one.kind != transition.kind()) continue;
    const Verdict verdict = CheckMoments(transition, one);
    all.gates += verdict.gates;
    all.passed = all.passed && verdict.passed;
    if (verdict.worst_z < all.worst_z) continue;
    all.worst_z = verdict.worst_z;
    all.worst_of = verdict.worst_of;
    if (!all.passed) break;
  }
  return all;
}

bool CheckSameBytes(const Transition& transition) {
  constexpr int64_t kDimension = 6;
  CorrelatedGaussian energy(kDimension, 0.7);
  energy.SetSurrogate(std::make_unique<CorrelatedGaussian>(kDimension, 0.5));
  ChainRun run;
  run.params = ParamsOf(transition.kind());
  run.steps = 20;
  run.start = NormalStart(kDimension, 0, 1);
  const auto state_of_3 = [&](std::vector<uint64_t> chains) {
    run.chains = std::move(chains);
    const std::vector<float> states = RunChains(transition, energy, run);
    const auto at =
        std::find(run.chains.begin(), run.chains.end(), 3) - run.chains.begin();
    return std::vector<float>(states.begin() + at * kDimension,
                              states.begin() + (at + 1) * kDimension);
  };
  const std::vector<float> alone = state_of_3({3});
  const std::vector<std::vector<uint64_t>> companies = {
      {3, 8}, {8, 3}, FirstChains(8), FirstChains(64), FirstChains(256)};
  return std::all_of(companies.begin(), companies.end(),
                     [&](const auto& company) {
                       const std::vector<float> state = state_of_3(company);
                       return std::memcmp(state.data(), alone.data(),
                                          sizeof(float) * kDimension) == 0;
                     });
}

}  // namespace basin::testing
