// The tile operations on momenta, and on steps of several moves.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend/tile_ops.h"
#include "tests/core/backend/host_tile.h"
#include "tests/core/backend/tile_testing.h"

namespace basin {
namespace {

using ::testing::ElementsAre;
using testing::HostTile;
using testing::Isas;
using testing::MixedScale;
using testing::NameOfIsa;
using testing::Randomize;
using testing::ReferenceNormal;
using testing::SameBits;
using testing::TileOpsTest;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class TileMomentumTest : public TileOpsTest {};

INSTANTIATE_TEST_SUITE_P(AllIsas, TileMomentumTest, ::testing::ValuesIn(Isas()),
                         NameOfIsa);

TEST_P(TileMomentumTest, RefreshKeepsAShareAndAddsNoise) {
  for (const int dimension : {1, 6, 1100}) {
    HostTile host(5, dimension);
    Randomize(dimension, host);
    const std::vector<float> s = MixedScale(dimension);
    host.SetScale(s);
    for (const auto noise : {TileOps::Noise::kOn, TileOps::Noise::kOff}) {
      const std::vector<float> p = host.momentum;
      ops_->RefreshMomentum(host.tile(), noise);
      for (int at = 0; at < 5 * dimension; ++at) {
        const int b = at / dimension;
        const ChainCoefficients& of = host.coefficients[b];
        double expected = of.persistence * p[at];
        if (noise == TileOps::Noise::kOn) {
          expected +=
              of.noise * ReferenceNormal(host.seed[b], host.chain[b],
                                         host.step[b], at % dimension, 4);
        }
        if (s[at % dimension] == 0) expected = 0;
        ASSERT_NEAR(host.momentum[at], expected, 1e-5) << at;
      }
    }
  }
}

TEST_P(TileMomentumTest, WithoutPersistenceTheOldMomentumIsNotRead) {
  for (const auto noise : {TileOps::Noise::kOn, TileOps::Noise::kOff}) {
    HostTile host(1, 3);
    host.momentum.assign(3, kNan);
    ops_->RefreshMomentum(host.tile(), noise);
    for (const float p : host.momentum) EXPECT_TRUE(std::isfinite(p));
  }
}

TEST_P(TileMomentumTest, TheFirstMomentumIsDrawnAtStepZeroOnly) {
  HostTile host(3, 300);
  Randomize(1, host);
  const std::vector<float> before = host.momentum;
  host.step = {7, 0, 1};
  ops_->StartMomentum(host.tile());
  for (int at = 0; at < 900; ++at) {
    const double expected =
        at / 300 == 1
            ? ReferenceNormal(host.seed[1], host.chain[1], 0, at % 300, 5)
            : before[at];
    ASSERT_NEAR(host.momentum[at], expected, 1e-6);
  }
}

TEST_P(TileMomentumTest, KicksAndFlightsAreTheirDefinitions) {
  for (const int dimension : {1, 20, 1030}) {
    HostTile host(4, dimension);
    Randomize(dimension, host);
    host.lower.assign(4, -kInfinity);
    host.upper.assign(4, kInfinity);
    const std::vector<float> s = MixedScale(dimension);
    host.SetScale(s);
    ops_->Kick(host.tile(), {.from = host.momentum.data(),
                             .grad_energy = host.grad_energy.data(),
                             .share = 0.5F,
                             .to = host.proposal_momentum.data()});
    const std::vector<float> p = host.proposal_momentum;
    ops_->Fly(host.tile(), {.from = host.position.data(),
                            .momentum = host.proposal_momentum.data(),
                            .share = 0.25F,
                            .at_faces = TileOps::Confinement::kReflect,
                            .to = host.proposal.data()});
    EXPECT_EQ(host.proposal_momentum, p);
    for (int at = 0; at < 4 * dimension; ++at) {
      const ChainCoefficients& of = host.coefficients[at / dimension];
      const double scale = s[at % dimension];
      EXPECT_NEAR(
          p[at],
          host.momentum[at] - 0.5 * of.drift * scale * host.grad_energy[at],
          1e-5);
      EXPECT_NEAR(host.proposal[at],
                  host.position[at] + 0.25 * of.move * scale * p[at], 1e-5);
    }
  }
}

// A billiard ball in one dimension, moved in a million small pieces.
TEST_P(TileMomentumTest, FlightsReflectPositionAndMomentum) {
  const std::vector<float> speeds = {0.25F, 0.9F,   -0.75F, 1.5F, -2.25F,
                                     3.25F, -7.25F, 100.3F, 0};
  HostTile host(3, static_cast<int64_t>(speeds.size()));
  host.lower = {0, -kInfinity, 0.125F};
  host.upper = {1, 1, kInfinity};
  for (int b = 0; b < 3; ++b) {
    for (size_t i = 0; i < speeds.size(); ++i) {
      double x = 0.5;
      double p = speeds[i];
      double left = std::abs(speeds[i]);
      while (left > 0) {
        const double face = p > 0 ? host.upper[b] : host.lower[b];
        const double reach = std::min(left, std::abs(face - x));
        x += p > 0 ? reach : -reach;
        left -= reach;
        if (left > 0) p = -p;
      }
      const int at = b * static_cast<int>(speeds.size()) + static_cast<int>(i);
      host.position[at] = 0.5F;
      host.momentum[at] = speeds[i];
      host.proposal[at] = static_cast<float>(x);
      host.proposal_momentum[at] = static_cast<float>(p);
    }
  }
  ops_->Fly(host.tile(), {.from = host.position.data(),
                          .momentum = host.momentum.data(),
                          .at_faces = TileOps::Confinement::kReflect,
                          .to = host.position.data()});
  for (size_t at = 0; at < host.position.size(); ++at) {
    EXPECT_NEAR(host.position[at], host.proposal[at], 1e-5) << at;
    EXPECT_EQ(host.momentum[at], host.proposal_momentum[at]) << at;
  }
}

TEST_P(TileMomentumTest, FlightsStopAtFacesThatClip) {
  HostTile host(1, 4);
  host.upper = {1};
  host.momentum = {0.5F, 2, -3, 1};
  ops_->Fly(host.tile(), {.from = host.position.data(),
                          .momentum = host.momentum.data(),
                          .at_faces = TileOps::Confinement::kClip,
                          .to = host.position.data()});
  EXPECT_THAT(host.position, ElementsAre(0.5F, 1, -3, 1));
  EXPECT_THAT(host.momentum, ElementsAre(0.5F, 0, -3, 1));
}

TEST_P(TileMomentumTest, DivergedMomentaAreSeen) {
  HostTile host(1, 3);
  host.lower = {0};
  host.upper = {1};
  host.momentum = {kNan, kInfinity, -kInfinity};
  ops_->Fly(host.tile(), {.from = host.position.data(),
                          .momentum = host.momentum.data(),
                          .at_faces = TileOps::Confinement::kReflect,
                          .to = host.position.data()});
  for (const float x : host.position) EXPECT_FALSE(std::isfinite(x));
}

TEST_P(TileMomentumTest, KineticEnergyIsHalfTheSquare) {
  for (const int dimension : {1, 15, 16, 33, 784}) {
    HostTile host(3, dimension);
    Randomize(dimension, host);
    host.log_ratio = {1, 2, 3};
    ops_->AddKineticEnergy(host.tile(), host.momentum.data(), -1,
                           host.log_ratio.data());
    for (int b = 0; b < 3; ++b) {
      double expected = b + 1;
      for (int i = 0; i < dimension; ++i) {
        expected -= std::pow(host.momentum[b * dimension + i], 2) / 2;
      }
      EXPECT_NEAR(host.log_ratio[b], expected, 1e-10 * dimension);
    }
  }
}

TEST_P(TileMomentumTest, RejectionReversesTheMomentum) {
  HostTile host(3, 2);
  Randomize(3, host);
  const std::vector<float> p = host.momentum;
  host.log_ratio = {0, -kInfinity, kNan};
  ops_->AcceptOrReject(host.tile());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(host.momentum[i], host.proposal_momentum[i]);
    EXPECT_EQ(host.momentum[2 + i], -p[2 + i]);
    EXPECT_EQ(host.momentum[4 + i], -p[4 + i]);
  }
}

TEST_P(TileMomentumTest, EnergyLogRatiosAdd) {
  HostTile host(2, 1);
  host.coefficients[1].beta = 3;
  host.log_ratio = {1, 1};
  host.energy = {2, 2};
  host.proposal_energy = {5, 5};
  ops_->AddEnergyLogRatio(host.tile(), host.energy.data(),
                          host.proposal_energy.data());
  EXPECT_THAT(host.log_ratio, ElementsAre(4, 10));
}

// Lengths are uniform in [ceil((1 - jitter) leaps), leaps], and the same for
// all chains of a seed at a step.
TEST_P(TileMomentumTest, JitterDrawsTheLength) {
  HostTile host(1, 1);
  host.coefficients[0].leaps = 10;
  EXPECT_EQ(ops_->LongestStep(host.tile()), 10);
  host.coefficients[0].jitter = 0.3F;
  std::vector<int> counts(11);
  constexpr int kSteps = 20000;
  for (int step = 0; step < kSteps; ++step) {
    host.step[0] = step;
    host.chain[0] = 0;
    const int length = ops_->LongestStep(host.tile());
    ++counts[length];
    host.chain[0] = 99;
    ASSERT_EQ(ops_->LongestStep(host.tile()), length);
  }
  EXPECT_EQ(counts[7] + counts[8] + counts[9] + counts[10], kSteps);
  for (int length = 7; length <= 10; ++length) {
    EXPECT_NEAR(counts[length], kSteps / 4.0, 5 * std::sqrt(kSteps * 3 / 16.0));
  }
}

TEST_P(TileMomentumTest, JitterIsOfTheWholeLengthAtMost) {
  HostTile host(1, 1);
  host.coefficients[0].leaps = 3;
  host.coefficients[0].jitter = 1;
  int shortest = 3;
  for (int step = 0; step < 200; ++step) {
    host.step[0] = step;
    shortest = std::min(shortest, ops_->LongestStep(host.tile()));
  }
  EXPECT_EQ(shortest, 1);
}

// A row whose step is over does not move, and the longest one counts.
TEST_P(TileMomentumTest, ShortStepsWait) {
  HostTile host(3, 2);
  Randomize(4, host);
  host.coefficients[0].leaps = 4;
  host.coefficients[1].leaps = 2;
  host.coefficients[2].leaps = 3;
  EXPECT_EQ(ops_->LongestStep(host.tile()), 4);
  const std::vector<float> x = host.position;
  const std::vector<float> p = host.momentum;
  ops_->Kick(host.tile(), {.from = host.momentum.data(),
                           .grad_energy = host.grad_energy.data(),
                           .to = host.momentum.data(),
                           .leap = 2});
  ops_->Fly(host.tile(), {.from = host.position.data(),
                          .momentum = host.momentum.data(),
                          .at_faces = TileOps::Confinement::kReflect,
                          .to = host.position.data(),
                          .leap = 2});
  host.log_ratio.assign(3, 1);
  const std::vector<float> moved = host.position;
  ops_->AcceptOrReject(host.tile(), {.leap = 2});
  EXPECT_THAT(host.accepted, ElementsAre(1, 0, 1));
  for (int at = 0; at < 6; ++at) {
    const bool moves = at / 2 != 1;
    EXPECT_EQ(moved[at] != x[at], moves);
    EXPECT_EQ(host.position[at] != x[at], moves);
    EXPECT_EQ(host.momentum[at] != p[at], moves);
  }
}

// All that a tile holds after one of each operation.
std::vector<float> RunAll(const TileOps& ops, HostTile& host) {
  host.step[0] = 0;
  ops.StartMomentum(host.tile());
  ops.RefreshMomentum(host.tile(), TileOps::Noise::kOn);
  ops.Kick(host.tile(), {.from = host.momentum.data(),
                         .grad_energy = host.grad_energy.data(),
                         .share = 0.5F,
                         .to = host.proposal_momentum.data()});
  ops.Fly(host.tile(), {.from = host.position.data(),
                        .momentum = host.proposal_momentum.data(),
                        .at_faces = TileOps::Confinement::kReflect,
                        .to = host.proposal.data()});
  std::fill(host.log_ratio.begin(), host.log_ratio.end(), 0);
  ops.AddKineticEnergy(host.tile(), host.momentum.data(), 1,
                       host.log_ratio.data());
  std::vector<float> all = host.proposal;
  all.insert(all.end(), host.proposal_momentum.begin(),
             host.proposal_momentum.end());
  for (const double ratio : host.log_ratio) {
    const auto bits = __builtin_bit_cast(uint64_t, ratio);
    all.push_back(__builtin_bit_cast(float, static_cast<uint32_t>(bits)));
    all.push_back(__builtin_bit_cast(float, static_cast<uint32_t>(bits >> 32)));
  }
  return all;
}

TEST_P(TileMomentumTest, BitsAreThoseOfTheBaseline) {
  const auto baseline = CreateCpuTileOps(CpuIsa::kBaseline);
  for (const int dimension : {1, 2, 3, 15, 16, 33, 100, 1029}) {
    for (const bool scaled : {false, true}) {
      HostTile a(17, dimension);
      HostTile b(17, dimension);
      for (HostTile* host : {&a, &b}) {
        Randomize(dimension, *host);
        if (scaled) host->SetScale(MixedScale(dimension));
      }
      EXPECT_TRUE(SameBits(RunAll(*ops_, a), RunAll(*baseline, b)))
          << dimension;
    }
  }
}

}  // namespace
}  // namespace basin
