// The tile operations on tiles with a scale, with faces of the box for each
// coordinate, and with a covariance factor.

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

class TileScaleTest : public TileOpsTest {};

INSTANTIATE_TEST_SUITE_P(AllIsas, TileScaleTest, ::testing::ValuesIn(Isas()),
                         NameOfIsa);

TEST_P(TileScaleTest, DisplaceMeasuresInLengthsOfTheScale) {
  for (const int dimension : {1, 5, 17, 1500}) {
    HostTile host(7, dimension);
    Randomize(dimension, host);
    const std::vector<float> s = MixedScale(dimension);
    host.SetScale(s);
    for (const auto noise : {TileOps::Noise::kOn, TileOps::Noise::kOff}) {
      ops_->Displace(host.tile(), {.from = host.position.data(),
                                   .grad_energy = host.grad_energy.data(),
                                   .noise = noise,
                                   .to = host.proposal.data(),
                                   .purpose = DrawPurpose::kSurrogateNoise,
                                   .leap = 3});
      for (int at = 0; at < 7 * dimension; ++at) {
        const int b = at / dimension;
        const int i = at % dimension;
        const ChainCoefficients& of = host.coefficients[b];
        const double g =
            std::min(std::max(host.grad_energy[at], -of.clip), of.clip);
        double expected = host.position[at] - of.drift * s[i] * s[i] * g;
        if (noise == TileOps::Noise::kOn) {
          expected += of.noise * s[i] *
                      ReferenceNormal(host.seed[b], host.chain[b], host.step[b],
                                      i, 7, 3);
        }
        ASSERT_NEAR(host.proposal[at], expected, 1e-5) << at;
      }
    }
  }
}

// The bytes of a tile with scale 1 are those of one without.
TEST_P(TileScaleTest, UnitScaleChangesNoBits) {
  HostTile plain(9, 333);
  HostTile scaled(9, 333);
  for (HostTile* host : {&plain, &scaled}) {
    Randomize(1, *host);
    if (host == &scaled) {
      host->SetScale(std::vector<float>(333, 1));
      std::vector<float> lower;
      for (int at = 0; at < 9 * 333; ++at)
        lower.push_back(host->lower[at / 333]);
      std::vector<float> upper;
      for (int at = 0; at < 9 * 333; ++at)
        upper.push_back(host->upper[at / 333]);
      host->lower = lower;
      host->upper = upper;
      host->tile().lower = host->lower.data();
      host->tile().upper = host->upper.data();
      host->tile().box_columns = 333;
    }
    for (const float* grad :
         {static_cast<const float*>(nullptr),
          static_cast<const float*>(host->grad_energy.data())}) {
      ops_->Displace(host->tile(), {.from = host->position.data(),
                                    .grad_energy = grad,
                                    .noise = TileOps::Noise::kOn,
                                    .to = host->position.data()});
    }
    ops_->Displace(host->tile(), {.from = host->position.data(),
                                  .grad_energy = host->grad_energy.data(),
                                  .noise = TileOps::Noise::kOff,
                                  .to = host->proposal.data()});
    ops_->Confine(host->tile(), TileOps::Confinement::kReflect,
                  host->proposal.data());
    ops_->SetEnergyLogRatio(host->tile());
    ops_->RefreshMomentum(host->tile(), TileOps::Noise::kOn);
    ops_->Kick(host->tile(), {.from = host->momentum.data(),
                              .grad_energy = host->grad_energy.data(),
                              .share = 0.5F,
                              .to = host->momentum.data()});
    ops_->Fly(host->tile(), {.from = host->proposal.data(),
                             .momentum = host->momentum.data(),
                             .share = 0.5F,
                             .at_faces = TileOps::Confinement::kReflect,
                             .to = host->proposal.data()});
    ops_->Confine(host->tile(), TileOps::Confinement::kClip,
                  host->position.data());
  }
  EXPECT_TRUE(SameBits(plain.position, scaled.position));
  EXPECT_TRUE(SameBits(plain.proposal, scaled.proposal));
  EXPECT_TRUE(SameBits(plain.momentum, scaled.momentum));
  EXPECT_EQ(plain.log_ratio, scaled.log_ratio);
}

// Nothing moves a coordinate of scale 0, whatever its gradient and place.
TEST_P(TileScaleTest, ClampedCoordinatesStay) {
  HostTile host(3, 40);
  Randomize(2, host);
  std::vector<float> s = MixedScale(40);
  host.SetScale(s);
  host.SetBox(std::vector<float>(40, -0.1F), std::vector<float>(40, 0.1F));
  for (int b = 0; b < 3; ++b) {
    host.position[40 * b + 1] = -0.0F;
    host.position[40 * b + 4] = 9;  // outside
    host.grad_energy[40 * b + 7] = kNan;
    host.grad_energy[40 * b + 10] = kInfinity;
  }
  const std::vector<float> x = host.position;
  host.step = {0, 0, 5};
  ops_->StartMomentum(host.tile());
  ops_->RefreshMomentum(host.tile(), TileOps::Noise::kOn);
  ops_->Kick(host.tile(), {.from = host.momentum.data(),
                           .grad_energy = host.grad_energy.data(),
                           .to = host.momentum.data()});
  for (const auto how :
       {TileOps::Confinement::kReflect, TileOps::Confinement::kClip}) {
    ops_->Fly(host.tile(), {.from = host.position.data(),
                            .momentum = host.momentum.data(),
                            .at_faces = how,
                            .to = host.position.data()});
    for (const auto noise : {TileOps::Noise::kOn, TileOps::Noise::kOff}) {
      ops_->Displace(host.tile(), {.from = host.position.data(),
                                   .grad_energy = host.grad_energy.data(),
                                   .noise = noise,
                                   .to = host.position.data()});
    }
    ops_->Confine(host.tile(), how, host.position.data());
  }
  for (int at = 0; at < 120; ++at) {
    if (s[at % 40] == 0) {
      EXPECT_EQ(__builtin_bit_cast(uint32_t, host.position[at]),
                __builtin_bit_cast(uint32_t, x[at]));
      EXPECT_EQ(host.momentum[at], 0);
    } else {
      EXPECT_NE(host.position[at], x[at]);
      EXPECT_LE(std::abs(host.position[at]), 0.1F);
    }
  }
}

TEST_P(TileScaleTest, EachCoordinateHasItsFaces) {
  HostTile host(2, 4);
  host.SetBox({0, -kInfinity, 0, -1}, {1, 1, kInfinity, 1});
  host.position = {-0.25F, -5, -3, 4.5F, 1.25F, 2, 9, -2};
  std::vector<float> clipped = host.position;
  ops_->Confine(host.tile(), TileOps::Confinement::kReflect,
                host.position.data());
  EXPECT_THAT(host.position, ElementsAre(0.25F, -5, 3, 0.5F, 0.75F, 0, 9, 0));
  ops_->Confine(host.tile(), TileOps::Confinement::kClip, clipped.data());
  EXPECT_THAT(clipped, ElementsAre(0, -5, 0, 1, 1, 1, 9, -1));
}

TEST_P(TileScaleTest, ProposalsAreOutsideByTheirOwnFaces) {
  HostTile host(5, 3);
  host.SetBox({0, 1, 0}, {1, 2, 1});
  host.SetScale({1, 1, 0});
  host.proposal = {0.5F, 1.5F, 0.5F,  //
                   1.5F, 1.5F, 0.5F,  // outside
                   0.5F, 0.5F, 0.5F,  // outside
                   0.5F, 1.5F, 7,     // clamped there
                   0.5F, 1.5F, kNan};
  ops_->SetEnergyLogRatio(host.tile());
  EXPECT_THAT(host.log_ratio,
              ElementsAre(0, -kInfinity, -kInfinity, 0, -kInfinity));
}

TEST_P(TileScaleTest, FactorsCorrelateTheNoise) {
  for (const int dimension : {1, 3, 16, 37}) {
    HostTile host(3, dimension);
    Randomize(dimension, host);
    std::vector<float> triangle(dimension * dimension, kNan);
    for (int i = 0; i < dimension; ++i) {
      for (int j = 0; j <= i; ++j) {
        triangle[i * dimension + j] = 0.1F * static_cast<float>(i - 2 * j + 1);
      }
    }
    host.SetFactor(triangle);
    host.factor[1] = nullptr;
    std::vector<float> s(dimension, 1);
    if (dimension > 2) s[2] = 0;
    host.SetScale(s);
    ops_->Displace(host.tile(), {.from = host.position.data(),
                                 .grad_energy = nullptr,
                                 .noise = TileOps::Noise::kOn,
                                 .to = host.proposal.data()});
    for (int b = 0; b < 3; ++b) {
      for (int i = 0; i < dimension; ++i) {
        const int at = b * dimension + i;
        const auto xi = [&](int j) {
          return ReferenceNormal(host.seed[b], host.chain[b], host.step[b], j);
        };
        double noise = b == 1 ? xi(i) : 0;
        for (int j = 0; b != 1 && j <= i; ++j) {
          noise += triangle[i * dimension + j] * xi(j);
        }
        const double expected =
            host.position[at] + host.coefficients[b].noise * s[i] * noise;
        EXPECT_NEAR(host.proposal[at], expected, 1e-4) << at;
      }
    }
  }
}

// Reflected moves with correlations are not symmetric.
TEST_P(TileScaleTest, RowsWithAFactorAreNotReflected) {
  HostTile host(2, 1);
  const std::vector<float> triangle = {1};
  host.SetFactor(triangle);
  host.factor[1] = nullptr;
  host.lower.assign(2, 0);
  host.upper.assign(2, 1);
  host.proposal = {1.25F, 1.25F};
  ops_->Confine(host.tile(), TileOps::Confinement::kReflect,
                host.proposal.data());
  EXPECT_THAT(host.proposal, ElementsAre(1.25F, 0.75F));
  ops_->SetEnergyLogRatio(host.tile());
  EXPECT_EQ(host.log_ratio[0], -kInfinity);
}

}  // namespace
}  // namespace basin
