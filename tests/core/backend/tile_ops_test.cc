#include "core/backend/tile_ops.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend/cpu/tile_ops_cpu.h"
#include "tests/core/backend/host_tile.h"
#include "tests/core/backend/tile_testing.h"

namespace basin {
namespace {

using ::testing::ElementsAre;
using testing::HostTile;
using testing::Isas;
using testing::NameOfIsa;
using testing::Randomize;
using testing::ReferenceNormal;
using testing::SameBits;
using testing::TileOpsTest;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

double Clamp(double x, double bound) {
  return std::min(std::max(x, -bound), bound);
}

INSTANTIATE_TEST_SUITE_P(AllIsas, TileOpsTest, ::testing::ValuesIn(Isas()),
                         NameOfIsa);

TEST_P(TileOpsTest, DisplaceIsDriftPlusNoise) {
  for (const int dimension : {1, 2, 3, 4, 5, 16, 17, 50, 784, 1500}) {
    HostTile host(7, dimension);
    Randomize(dimension, host);
    ops_->Displace(host.tile(), {.from = host.position.data(),
                                 .grad_energy = host.grad_energy.data(),
                                 .noise = TileOps::Noise::kOn,
                                 .to = host.proposal.data()});
    for (int b = 0; b < 7; ++b) {
      for (int i = 0; i < dimension; ++i) {
        const int at = b * dimension + i;
        const double expected =
            host.position[at] -
            host.coefficients[b].drift *
                Clamp(host.grad_energy[at], host.coefficients[b].clip) +
            host.coefficients[b].noise *
                ReferenceNormal(host.seed[b], host.chain[b], host.step[b], i);
        ASSERT_NEAR(host.proposal[at], expected,
                    2e-6 * (1 + std::abs(expected)))
            << "D " << dimension << " row " << b << " element " << i;
      }
    }
  }
}

TEST_P(TileOpsTest, DisplaceWithoutGradientOnlyAddsNoise) {
  HostTile host(3, 70);
  Randomize(1, host);
  const TileOps::Displacement move = {.from = host.position.data(),
                                      .grad_energy = nullptr,
                                      .noise = TileOps::Noise::kOn,
                                      .to = host.proposal.data()};
  ops_->Displace(host.tile(), move);
  for (int at = 0; at < 3 * 70; ++at) {
    const int b = at / 70;
    EXPECT_NEAR(
        host.proposal[at],
        host.position[at] + host.coefficients[b].noise *
                                ReferenceNormal(host.seed[b], host.chain[b],
                                                host.step[b], at % 70),
        1e-5);
  }
}

TEST_P(TileOpsTest, DisplaceWithoutNoiseIsTheExactDrift) {
  HostTile host(9, 1337);
  Randomize(2, host);
  for (ChainCoefficients& row : host.coefficients) row.noise = 0;
  std::vector<float> expected(host.position.size());
  for (size_t at = 0; at < expected.size(); ++at) {
    const size_t b = at / 1337;
    const float g = host.grad_energy[at];
    const float clip = host.coefficients[b].clip;
    const float drift = host.coefficients[b].drift * (g > clip    ? clip
                                                      : g < -clip ? -clip
                                                                  : g);
    expected[at] = host.position[at] - drift;
  }
  for (const auto noise : {TileOps::Noise::kOff, TileOps::Noise::kOn}) {
    ops_->Displace(host.tile(), {.from = host.position.data(),
                                 .grad_energy = host.grad_energy.data(),
                                 .noise = noise,
                                 .to = host.proposal.data()});
    EXPECT_EQ(host.proposal, expected);
  }
  ops_->Displace(host.tile(), {.from = host.position.data(),
                               .grad_energy = nullptr,
                               .noise = TileOps::Noise::kOff,
                               .to = host.proposal.data()});
  EXPECT_EQ(host.proposal, host.position);
}

TEST_P(TileOpsTest, DisplaceInPlaceIsTheSame) {
  HostTile host(5, 300);
  Randomize(3, host);
  for (const auto noise : {TileOps::Noise::kOff, TileOps::Noise::kOn}) {
    ops_->Displace(host.tile(), {.from = host.position.data(),
                                 .grad_energy = host.grad_energy.data(),
                                 .noise = noise,
                                 .to = host.proposal.data()});
    std::vector<float> in_place = host.position;
    ops_->Displace(host.tile(), {.from = in_place.data(),
                                 .grad_energy = host.grad_energy.data(),
                                 .noise = noise,
                                 .to = in_place.data()});
    EXPECT_TRUE(SameBits(in_place, host.proposal));
  }
}

// A coordinate's noise depends on its index alone: not on the dimension, and
// so not on whether it falls into a vector or a tail.
TEST_P(TileOpsTest, NoiseDoesNotDependOnTheDimension) {
  HostTile large(2, 1100);
  const auto draw = [this](HostTile& host) {
    ops_->Displace(host.tile(), {.from = host.position.data(),
                                 .grad_energy = nullptr,
                                 .noise = TileOps::Noise::kOn,
                                 .to = host.proposal.data()});
  };
  draw(large);
  for (int dimension = 1; dimension < 140; ++dimension) {
    HostTile host(2, dimension);
    draw(host);
    for (int b = 0; b < 2; ++b) {
      for (int i = 0; i < dimension; ++i) {
        ASSERT_EQ(host.proposal[b * dimension + i],
                  large.proposal[b * 1100 + i])
            << dimension << " " << i;
      }
    }
  }
}

TEST_P(TileOpsTest, GradientsThatAreNotFiniteAreSeen) {
  HostTile host(1, 3);
  host.grad_energy = {kNan, kInfinity, 0};
  const TileOps::Displacement move = {.from = host.position.data(),
                                      .grad_energy = host.grad_energy.data(),
                                      .noise = TileOps::Noise::kOff,
                                      .to = host.proposal.data()};
  ops_->Displace(host.tile(), move);
  EXPECT_TRUE(std::isnan(host.proposal[0]));
  EXPECT_EQ(host.proposal[1], -kInfinity);
  host.coefficients[0].clip = 2;
  ops_->Displace(host.tile(), move);
  EXPECT_TRUE(std::isnan(host.proposal[0]));
  EXPECT_EQ(host.proposal[1], -2);
  EXPECT_EQ(host.proposal[2], 0);
}

// The image of x between mirrors at both faces.
double ReferenceReflection(double x, double lower, double upper) {
  if (!std::isfinite(x)) return x;
  while (x < lower || x > upper) x = x < lower ? 2 * lower - x : 2 * upper - x;
  return x;
}

TEST_P(TileOpsTest, ReflectionFoldsAnyDistance) {
  const std::vector<float> points = {
      0,    0.5F,  1,      -0.25F, 1.25F,    -1,       2,       -1.75F, 2.5F,
      3.2F, -7.9F, 100.3F, -99.6F, 12345.6F, -4321.1F, 1 << 20, 0.999F, -1e-7F};
  HostTile host(5, static_cast<int64_t>(points.size()));
  host.lower = {0, -2, -kInfinity, 0.25F, -kInfinity};
  host.upper = {1, 3, 1, kInfinity, kInfinity};
  for (int b = 0; b < 5; ++b) {
    std::copy(points.begin(), points.end(),
              host.position.begin() + b * points.size());
  }
  ops_->Confine(host.tile(), TileOps::Confinement::kReflect,
                host.position.data());
  for (int b = 0; b < 5; ++b) {
    for (size_t i = 0; i < points.size(); ++i) {
      const float x = host.position[b * points.size() + i];
      EXPECT_GE(x, host.lower[b]);
      EXPECT_LE(x, host.upper[b]);
      EXPECT_NEAR(x,
                  ReferenceReflection(points[i], host.lower[b], host.upper[b]),
                  2e-7 * (1 + std::abs(points[i])))
          << "box " << b << " from " << points[i];
    }
  }
}

TEST_P(TileOpsTest, ConfinementKeepsWhatIsNotFinite) {
  for (const auto how :
       {TileOps::Confinement::kReflect, TileOps::Confinement::kClip}) {
    HostTile host(4, 3);
    host.lower = {0, 0, -kInfinity, -kInfinity};
    host.upper = {1, kInfinity, 1, kInfinity};
    for (int b = 0; b < 4; ++b) {
      host.position[3 * b] = kNan;
      host.position[3 * b + 1] = kInfinity;
      host.position[3 * b + 2] = -kInfinity;
    }
    ops_->Confine(host.tile(), how, host.position.data());
    for (int b = 0; b < 4; ++b) {
      EXPECT_TRUE(std::isnan(host.position[3 * b]));
      EXPECT_FALSE(std::isfinite(host.position[3 * b + 1]));
      EXPECT_FALSE(std::isfinite(host.position[3 * b + 2]));
    }
  }
}

TEST_P(TileOpsTest, HugeDistancesAndEmptyBoxesStayInside) {
  HostTile host(3, 4);
  host.lower = {-1, 0.5F, -1e-30F};
  host.upper = {1, 0.5F, 1e-30F};
  const float huge = std::numeric_limits<float>::max();
  for (int b = 0; b < 3; ++b) {
    host.position[4 * b] = huge;
    host.position[4 * b + 1] = -huge;
    host.position[4 * b + 2] = 1e20F;
    host.position[4 * b + 3] = -1e-38F;
  }
  ops_->Confine(host.tile(), TileOps::Confinement::kReflect,
                host.position.data());
  for (int at = 0; at < 12; ++at) {
    EXPECT_GE(host.position[at], host.lower[at / 4]);
    EXPECT_LE(host.position[at], host.upper[at / 4]);
  }
}

TEST_P(TileOpsTest, ClippingIsToTheNearestFace) {
  HostTile host(2, 4);
  host.lower = {0, -kInfinity};
  host.upper = {1, 1};
  host.position = {-3, 0.5F, 1, 7, -3, 0.5F, 1, 7};
  ops_->Confine(host.tile(), TileOps::Confinement::kClip, host.position.data());
  EXPECT_THAT(host.position, ElementsAre(0, 0.5F, 1, 1, -3, 0.5F, 1, 1));
}

TEST_P(TileOpsTest, EnergyLogRatioKnowsImpossibleProposals) {
  HostTile host(9, 2);
  host.coefficients[0].beta = 2;
  for (int b = 0; b < 9; ++b) {
    host.energy[b] = 3;
    host.proposal_energy[b] = 1;
    host.lower[b] = b == 1 ? 0.5F : -kInfinity;
    host.upper[b] = b == 2 ? -0.5F : kInfinity;
  }
  host.proposal_energy[3] = kNan;
  host.proposal_energy[4] = kInfinity;
  host.proposal[2 * 5 + 1] = kNan;
  host.proposal[2 * 6] = kInfinity;
  host.energy[7] = host.proposal_energy[7] = kInfinity;
  host.lower[8] = host.upper[8] = 0;  // on both faces is inside
  ops_->SetEnergyLogRatio(host.tile());
  const double never = -std::numeric_limits<double>::infinity();
  EXPECT_THAT(host.log_ratio, ElementsAre(4, never, never, never, never, never,
                                          never, never, 2));
}

TEST_P(TileOpsTest, AcceptanceHasTheProbabilityOfTheRatio) {
  constexpr int kRows = 100000;
  HostTile host(kRows, 1);
  for (const double p : {0.001, 0.3, 0.9}) {
    host.log_ratio.assign(kRows, std::log(p));
    ops_->AcceptOrReject(host.tile());
    double sum = 0;
    for (const uint8_t accepted : host.accepted) sum += accepted;
    EXPECT_NEAR(sum / kRows, p, 5 * std::sqrt(p * (1 - p) / kRows));
  }
}

TEST_P(TileOpsTest, AcceptedProposalsReplaceTheState) {
  HostTile host(5, 2);
  Randomize(4, host);
  const std::vector<float> position = host.position;
  const std::vector<float> grad_energy = host.grad_energy;
  const std::vector<double> energy = host.energy;
  const double never = -std::numeric_limits<double>::infinity();
  host.log_ratio = {0, never, std::nan(""), 5, never};
  ops_->AcceptOrReject(host.tile());
  EXPECT_THAT(host.accepted, ElementsAre(1, 0, 0, 1, 0));
  for (int b = 0; b < 5; ++b) {
    const bool accepted = b == 0 || b == 3;
    EXPECT_EQ(host.energy[b], accepted ? host.proposal_energy[b] : energy[b]);
    for (int at = 2 * b; at < 2 * b + 2; ++at) {
      EXPECT_EQ(host.position[at], accepted ? host.proposal[at] : position[at]);
      EXPECT_EQ(host.grad_energy[at],
                accepted ? host.proposal_grad_energy[at] : grad_energy[at]);
    }
  }
}

TEST_P(TileOpsTest, AcceptWithoutGradientsLeavesThem) {
  HostTile host(1, 3);
  Randomize(5, host);
  const std::vector<float> grad_energy = host.grad_energy;
  host.log_ratio = {0};
  host.tile().proposal_grad_energy = nullptr;
  ops_->AcceptOrReject(host.tile());
  EXPECT_EQ(host.position, host.proposal);
  EXPECT_EQ(host.grad_energy, grad_energy);
}

TEST_P(TileOpsTest, FindFiniteLooksAtEveryElement) {
  HostTile host(5, 19);
  host.position[1 * 19 + 18] = kNan;
  host.position[2 * 19] = -kInfinity;
  host.energy[3] = kInfinity;
  std::vector<uint8_t> finite(5, 7);
  ops_->FindFinite(host.tile(), host.position.data(), host.energy.data(),
                   finite.data());
  EXPECT_THAT(finite, ElementsAre(1, 0, 0, 0, 1));
  ops_->FindFinite(host.tile(), host.position.data(), nullptr, finite.data());
  EXPECT_THAT(finite, ElementsAre(1, 0, 0, 1, 1));
}

// All that a tile holds after one of each operation.
std::vector<float> RunAll(const TileOps& ops, HostTile& host) {
  ops.Displace(host.tile(), {.from = host.position.data(),
                             .grad_energy = host.grad_energy.data(),
                             .noise = TileOps::Noise::kOn,
                             .to = host.proposal.data()});
  ops.Confine(host.tile(), TileOps::Confinement::kReflect,
              host.proposal.data());
  ops.SetEnergyLogRatio(host.tile());
  std::vector<float> all = host.proposal;
  for (double& ratio : host.log_ratio) {
    const auto bits = __builtin_bit_cast(uint64_t, ratio);
    all.push_back(__builtin_bit_cast(float, static_cast<uint32_t>(bits)));
    all.push_back(__builtin_bit_cast(float, static_cast<uint32_t>(bits >> 32)));
    ratio /= 10.0 * static_cast<double>(host.tile().dimension);
  }
  ops.AcceptOrReject(host.tile());
  all.insert(all.end(), host.position.begin(), host.position.end());
  return all;
}

TEST_P(TileOpsTest, BitsAreThoseOfTheBaseline) {
  const auto baseline = CreateCpuTileOps(CpuIsa::kBaseline);
  for (const int dimension : {1, 2, 3, 15, 16, 33, 100, 784, 1029}) {
    HostTile a(37, dimension);
    HostTile b(37, dimension);
    Randomize(dimension, a);
    Randomize(dimension, b);
    EXPECT_TRUE(SameBits(RunAll(*ops_, a), RunAll(*baseline, b))) << dimension;
  }
}

}  // namespace
}  // namespace basin
