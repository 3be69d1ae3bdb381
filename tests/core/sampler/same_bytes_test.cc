// "Same seed, same bytes": what becomes of a chain depends on its seed, index
// and start alone.

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/cpu/tile_ops_cpu.h"
#include "core/sampler/transition.h"
#include "tests/core/backend/host_tile.h"
#include "tests/core/sampler/chain_runner.h"
#include "tests/testing/status_matchers.h"

namespace basin {
namespace {

using testing::ChainRun;
using testing::ContinuousTransitions;
using testing::CorrelatedGaussian;
using testing::FirstChains;
using testing::HostTile;
using testing::NormalStart;
using testing::ParamsOf;

struct Case {
  TransitionKind kind;
  int64_t dimension;
  bool scaled;
};

class SameBytesTest : public ::testing::TestWithParam<Case> {
 protected:
  SameBytesTest() {
    run_.params = {.kind = GetParam().kind,
                   .step_size = 0.02,
                   .noise_std = 0.3,
                   .gradient_clip = 0.8,
                   .leaps = 5,
                   .friction = 3,
                   .momentum = 0.5};
    if (GetParam().kind == TransitionKind::kHmc) run_.params.jitter = 0.6;
    run_.box = {-0.75, 1};  // many coordinates leave it
    if (GetParam().scaled) {
      run_.scale.resize(GetParam().dimension);
      for (int64_t i = 0; i < GetParam().dimension; ++i) {
        run_.scale[i] = 0.5F * static_cast<float>(1 + i % 4);
        if (i % 5 == 1) run_.scale[i] = 0;
      }
    }
    run_.seed = 0xfeedface12345678;
    run_.steps = 12;
    run_.start = NormalStart(GetParam().dimension, 0, 0.3F);
  }

  // The last state of `chain` when `chains` run together.
  std::vector<float> StateAmong(const std::vector<uint64_t>& chains,
                                uint64_t chain) {
    const int64_t d = GetParam().dimension;
    CorrelatedGaussian energy(d, 0.5);
    energy.SetSurrogate(std::make_unique<CorrelatedGaussian>(d, 0.3));
    run_.chains = chains;
    const std::vector<float> states =
        testing::RunChains(GetTransition(GetParam().kind), energy, run_);
    const auto at =
        std::find(chains.begin(), chains.end(), chain) - chains.begin();
    return {states.begin() + at * d, states.begin() + (at + 1) * d};
  }

  ChainRun run_;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const Transition* transition : ContinuousTransitions()) {
    for (const int64_t dimension : {1, 2, 7, 784}) {
      cases.push_back({transition->kind(), dimension, /*scaled=*/false});
    }
    cases.push_back({transition->kind(), 31, /*scaled=*/true});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, SameBytesTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) {
                           return std::string(
                                      GetTransition(info.param.kind).name()) +
                                  "_" + std::to_string(info.param.dimension) +
                                  (info.param.scaled ? "_scaled" : "");
                         });

void ExpectSameBytes(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

TEST_P(SameBytesTest, AloneAndInCompany) {
  const std::vector<float> alone = StateAmong({3}, 3);
  for (const int companions : {2, 8, 256}) {
    std::vector<uint64_t> chains = FirstChains(companions);
    if (companions < 4) chains = {7, 3};
    for (const int tile_rows : {1, 5, 16, 64, 256}) {
      run_.tile_rows = tile_rows;
      ExpectSameBytes(StateAmong(chains, 3), alone);
    }
  }
}

TEST_P(SameBytesTest, Shuffled) {
  const std::vector<float> alone = StateAmong({3}, 3);
  std::vector<uint64_t> chains = FirstChains(256);
  std::mt19937 generator(1);
  for (int shuffle = 0; shuffle < 3; ++shuffle) {
    std::shuffle(chains.begin(), chains.end(), generator);
    ExpectSameBytes(StateAmong(chains, 3), alone);
  }
}

TEST_P(SameBytesTest, InLargerArrays) {
  const std::vector<float> alone = StateAmong({3}, 3);
  run_.tile_rows = 8;
  for (const int capacity : {8, 16, 64, 256}) {
    run_.tile_capacity = capacity;
    ExpectSameBytes(StateAmong({1, 2, 3, 4, 5}, 3), alone);
  }
}

TEST_P(SameBytesTest, WithEveryInstructionSet) {
  const std::vector<float> detected = StateAmong(FirstChains(40), 3);
  for (const CpuIsa isa : {CpuIsa::kBaseline, CpuIsa::kV3, CpuIsa::kV4}) {
    if (isa > DetectedIsa()) continue;
    run_.isa = isa;
    ExpectSameBytes(StateAmong(FirstChains(40), 3), detected);
  }
}

TEST_P(SameBytesTest, AcrossACut) {
  run_.steps = 11;
  for (const int chains : {4, 100}) {
    run_.cut_after = 0;
    const std::vector<float> whole = StateAmong(FirstChains(chains), 3);
    for (const int64_t cut : {1, 7, 10}) {
      run_.cut_after = cut;
      ExpectSameBytes(StateAmong(FirstChains(chains), 3), whole);
    }
  }
}

TEST_P(SameBytesTest, ButOtherSeedsAndChainsDiffer) {
  run_.start = NormalStart(GetParam().dimension, 0, 0);
  if (GetParam().kind == TransitionKind::kMinimize) return;  // no noise
  run_.steps = 40;  // so that no chain rejects all of them
  const std::vector<float> state = StateAmong({3}, 3);
  EXPECT_NE(StateAmong({4}, 4), state);
  run_.seed += uint64_t{1} << 32;
  EXPECT_NE(StateAmong({3}, 3), state);
}

// A row's step does not depend on how long its neighbours' steps are.
TEST(StepLengthTest, NeighboursMayTakeLonger) {
  const auto ops = CreateCpuTileOps(DetectedIsa());
  for (const Transition* transition : ContinuousTransitions()) {
    CorrelatedGaussian energy(5, 0.5);
    energy.SetSurrogate(std::make_unique<CorrelatedGaussian>(5, 0.3));
    TransitionParams params = ParamsOf(transition->kind());
    params.leaps = 4;
    if (transition->kind() == TransitionKind::kHmc) params.jitter = 0.75;
    std::vector<std::vector<float>> states;
    for (const int64_t others : {4, 1, 40}) {
      HostTile host(3, 5);
      host.coefficients.assign(3, transition->Configure(params, 1).value());
      params.leaps = others;
      host.coefficients[2] = transition->Configure(params, 1).value();
      params.leaps = 4;
      host.coefficients[0].leaps = static_cast<int>(others);
      host.tile().coefficients = host.coefficients.data();
      ASSERT_OK(energy.EnergyAndGradient(3, host.tile().position,
                                         host.tile().energy,
                                         host.tile().grad_energy));
      for (int step = 0; step < 6; ++step) {
        ASSERT_OK(transition->Step(energy, *ops, host.tile()));
        for (uint64_t& s : host.step) ++s;
      }
      states.emplace_back(host.position.begin() + 5,
                          host.position.begin() + 10);
      states.back().push_back(static_cast<float>(host.energy[1]));
      states.back().insert(states.back().end(), host.grad_energy.begin() + 5,
                           host.grad_energy.begin() + 10);
    }
    ExpectSameBytes(states[1], states[0]);
    ExpectSameBytes(states[2], states[0]);
  }
}

}  // namespace
}  // namespace basin
