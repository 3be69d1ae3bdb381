// The operations on discrete states: same bits on every instruction set, and
// what they promise of single rows.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/cpu/discrete_ops_cpu.h"
#include "core/backend/discrete_formulas.h"
#include "tests/core/backend/host_tile.h"

namespace basin::testing {
namespace {

TEST(DiscreteFormulasTest, DoublesAreAsTheLibraryHasThem) {
  for (double x = -700; x < 700; x += 0.37) {
    EXPECT_NEAR(ExpOfDouble(x) / std::exp(x), 1, 1e-14) << x;
    const double softplus = x > 30 ? x + std::exp(-x) : std::log1p(std::exp(x));
    // Its logarithm is of a number near 1.
    EXPECT_NEAR(SoftplusOfDouble(x), softplus, 1e-15 * (1 + std::abs(x))) << x;
  }
  EXPECT_EQ(ExpOfDouble(-1e9), 0);
  EXPECT_TRUE(std::isnan(ExpOfDouble(std::nan(""))));
  EXPECT_TRUE(std::isnan(SoftplusOfDouble(std::nan(""))));
}

TEST(DiscreteFormulasTest, BernoulliDrawsAreThoseOfTheLogit) {
  for (const float logit : {-30.0F, -2.0F, 0.0F, 0.5F, 8.0F, 1e30F}) {
    double ones = 0;
    constexpr uint32_t kDraws = 1 << 16;
    for (uint32_t i = 0; i < kDraws; ++i) {
      ones += DrawBernoulli(logit, i << 16);
    }
    EXPECT_NEAR(ones / kDraws, 1 / (1 + std::exp(-double{logit})), 1.0 / kDraws)
        << logit;
  }
  EXPECT_TRUE(std::isnan(DrawBernoulli(std::nanf(""), 0)));
}

// A tile of binary states or of one-hot sites, some coordinates clamped.
class DiscreteTile {
 public:
  static constexpr int kRows = 9;

  DiscreteTile(int64_t sites, int64_t classes)
      : classes_(classes),
        host_(kRows, sites * std::max<int64_t>(classes, 1)),
        scale_(host_.position.size(), 1) {
    ChainTile& tile = host_.tile();
    tile.classes = classes;
    tile.scale = scale_.data();
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    for (float& g : host_.grad_energy) g = 3 * normal(random);
    for (float& g : host_.proposal_grad_energy) g = 3 * normal(random);
    for (double& e : host_.energy) e = normal(random);
    for (double& e : host_.proposal_energy) e = normal(random);
    const int64_t width = std::max<int64_t>(classes, 1);
    for (int64_t at = 0; at < kRows * sites; ++at) {
      const bool clamped = random() % 4 == 0;
      for (int64_t a = 0; clamped && a < width; ++a) scale_[at * width + a] = 0;
      if (classes == 0) {
        host_.position[at] = static_cast<float>(random() % 2);
      } else {
        host_.position[at * width + random() % classes] = 1;
      }
    }
    for (ChainCoefficients& row : host_.coefficients) {
      row = {.drift = 0.5F, .beta = 1.25F, .move = 0.4F, .leaps = 3};
    }
  }

  ChainTile& tile() { return host_.tile(); }
  HostTile& host() { return host_; }
  const std::vector<float>& scale() const { return scale_; }

  // True if x has one value per site, and the start's where it is clamped.
  void ExpectValid(const std::vector<float>& x,
                   const std::vector<float>& start) const {
    const int64_t width = std::max<int64_t>(classes_, 1);
    for (size_t at = 0; at < x.size(); at += static_cast<size_t>(width)) {
      float sum = 0;
      for (int64_t a = 0; a < width; ++a) sum += x[at + a];
      for (int64_t a = 0; a < width; ++a) {
        ASSERT_TRUE(x[at + a] == 0 || x[at + a] == 1);
        if (scale_[at] != 0) continue;
        ASSERT_EQ(x[at + a], start[at + a]);
      }
      ASSERT_TRUE(width == 1 || sum == 1);
    }
  }

 private:
  const int64_t classes_;
  HostTile host_;
  std::vector<float> scale_;
};

struct Size {
  int64_t sites;
  int64_t classes;
};

class DiscreteOpsTest : public ::testing::TestWithParam<Size> {
 protected:
  // What every operation leaves behind, on `isa`.
  static std::vector<double> Trace(CpuIsa isa) {
    const auto ops = CreateCpuDiscreteOps(isa);
    const auto [sites, classes] = GetParam();
    DiscreteTile one(sites, classes);
    const std::vector<float> start = one.host().position;
    const ChainTile& tile = one.tile();
    std::vector<double> trace;
    const auto keep = [&](const auto& values) {
      trace.insert(trace.end(), values.begin(), values.end());
    };
    const auto keep_proposal = [&] {
      one.ExpectValid(one.host().proposal, start);
      keep(one.host().proposal);
    };
    ops->ProposeByGradient(tile);
    keep_proposal();
    const DiscreteOps::MoveDensity move = {.from = tile.position,
                                           .grad_energy = tile.grad_energy,
                                           .to = tile.proposal,
                                           .sign = 1,
                                           .log_density = tile.log_ratio};
    ops->AddSiteLogProbability(tile, move);
    ops->ProposeAllSites(tile);
    keep_proposal();
    ops->AddAllSitesLogProbability(tile, move);
    keep(one.host().log_ratio);
    ops->ProposeSite(tile, 1, DiscreteOps::SiteClass::kUniform);
    keep_proposal();
    ops->ProposeSite(tile, 2, DiscreteOps::SiteClass::kNext);
    ops->DrawCandidate(tile, 2, 1);
    ops->AdvanceSite(tile, 2);
    keep_proposal();
    keep(one.host().log_ratio);
    keep(one.host().position);
    one.ExpectValid(one.host().position, start);
    const int64_t width = std::max<int64_t>(classes, 1);
    const std::vector<float> parameter(
        one.host().grad_energy.begin(),
        one.host().grad_energy.begin() + DiscreteTile::kRows * sites * width);
    BlockLaw law;
    law.kind = classes == 0 ? BlockLaw::Kind::kBernoulli
                            : BlockLaw::Kind::kCategorical;
    law.variables = sites;
    law.classes = classes;
    law.parameter = parameter.data();
    ops->DrawBlock(tile, law, 17);
    keep(one.host().position);
    one.ExpectValid(one.host().position, start);
    return trace;
  }
};

INSTANTIATE_TEST_SUITE_P(Sizes, DiscreteOpsTest,
                         ::testing::Values(Size{1, 0}, Size{7, 0},
                                           Size{2500, 0}, Size{1, 3},
                                           Size{33, 4}, Size{3, 700}),
                         [](const auto& info) {
                           return "sites" + std::to_string(info.param.sites) +
                                  "_classes" +
                                  std::to_string(info.param.classes);
                         });

TEST_P(DiscreteOpsTest, SameBitsWithEveryInstructionSet) {
  const std::vector<double> detected = Trace(DetectedIsa());
  for (const CpuIsa isa : {CpuIsa::kBaseline, CpuIsa::kV3}) {
    if (isa > DetectedIsa()) continue;
    const std::vector<double> other = Trace(isa);
    ASSERT_EQ(other.size(), detected.size());
    EXPECT_EQ(std::memcmp(other.data(), detected.data(),
                          detected.size() * sizeof(double)),
              0);
  }
}

// Rows that make fewer moves, and rows without free sites, stay.
TEST_P(DiscreteOpsTest, RowsWithoutAMoveStay) {
  const auto ops = CreateCpuDiscreteOps(DetectedIsa());
  DiscreteTile one(GetParam().sites, GetParam().classes);
  const std::vector<float> start = one.host().position;
  const std::vector<double> energy = one.host().energy;
  ops->ProposeSite(one.tile(), 3, DiscreteOps::SiteClass::kUniform);
  EXPECT_EQ(one.host().proposal, start);
  ops->AdvanceSite(one.tile(), 3);
  EXPECT_EQ(one.host().proposal, start);
  ops->DrawCandidate(one.tile(), 3, 1);
  EXPECT_EQ(one.host().position, start);
  EXPECT_EQ(one.host().energy, energy);
  const std::vector<float> nothing(start.size());
  std::vector<float> clamped = nothing;
  one.tile().scale = clamped.data();
  ops->ProposeSite(one.tile(), 0, DiscreteOps::SiteClass::kUniform);
  EXPECT_EQ(one.host().proposal, start);
  ops->ProposeByGradient(one.tile());
  EXPECT_EQ(one.host().proposal, start);
  ops->ProposeAllSites(one.tile());
  EXPECT_EQ(one.host().proposal, start);
  one.host().log_ratio.assign(DiscreteTile::kRows, 0.5);
  const DiscreteOps::MoveDensity move = {.from = one.tile().position,
                                         .grad_energy = one.tile().grad_energy,
                                         .to = one.tile().proposal,
                                         .sign = 1,
                                         .log_density = one.tile().log_ratio};
  ops->AddSiteLogProbability(one.tile(), move);
  ops->AddAllSitesLogProbability(one.tile(), move);
  EXPECT_EQ(one.host().log_ratio,
            std::vector<double>(DiscreteTile::kRows, 0.5));
}

// A gradient that is no number makes a proposal that cannot be accepted.
TEST_P(DiscreteOpsTest, GradientsThatAreNotFiniteAreSeen) {
  const auto ops = CreateCpuDiscreteOps(DetectedIsa());
  DiscreteTile one(GetParam().sites, GetParam().classes);
  const std::vector<float> free(one.scale().size(), 1);
  std::vector<float> scale = free;
  one.tile().scale = scale.data();
  const std::vector<float> start = one.host().position;
  one.host().grad_energy.assign(start.size(), std::nanf(""));
  for (const bool all : {false, true}) {
    all ? ops->ProposeAllSites(one.tile()) : ops->ProposeByGradient(one.tile());
    const DiscreteOps::MoveDensity move = {
        .from = one.tile().position,
        .grad_energy = one.tile().grad_energy,
        .to = one.tile().proposal,
        .sign = -1,
        .log_density = one.tile().log_ratio};
    one.host().log_ratio.assign(DiscreteTile::kRows, 0);
    if (all) {
      ops->AddAllSitesLogProbability(one.tile(), move);
    } else {
      ops->AddSiteLogProbability(one.tile(), move);
    }
    for (int b = 0; b < DiscreteTile::kRows; ++b) {
      const size_t d = start.size() / DiscreteTile::kRows;
      const bool moved = std::memcmp(&one.host().proposal[b * d], &start[b * d],
                                     d * sizeof(float)) != 0;
      EXPECT_TRUE(!(moved || all) || std::isnan(one.host().log_ratio[b]));
    }
  }
}

}  // namespace
}  // namespace basin::testing
