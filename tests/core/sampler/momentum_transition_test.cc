// The transitions whose steps are made of several moves, against their
// definitions in plain double precision.

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend/cpu/tile_ops_cpu.h"
#include "core/sampler/transition.h"
#include "tests/core/backend/host_tile.h"
#include "tests/core/backend/tile_testing.h"
#include "tests/core/sampler/analytic_energies.h"
#include "tests/core/sampler/chain_runner.h"
#include "tests/testing/status_matchers.h"

namespace basin {
namespace {

using testing::ChainRun;
using testing::CorrelatedGaussian;
using testing::FirstChains;
using testing::HarmonicWell;
using ::testing::HasSubstr;
using testing::HostTile;
using testing::NormalStart;
using testing::ReferenceNormal;
using testing::RowEnergy;
using testing::StatusIs;

constexpr int kRows = 3;
constexpr int kDimension = 4;
constexpr int kElements = kRows * kDimension;
constexpr double kBeta = 2;
constexpr float kScale[] = {1, 0.5F, 0, 2};

// Counts evaluations.
class CountingGaussian final : public RowEnergy {
 public:
  CountingGaussian() : RowEnergy(kDimension), of_(kDimension, 0.6) {}
  int rows_evaluated = 0;

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    ++rows_evaluated;
    double energy = 0;
    EXPECT_OK(of_.EnergyAndGradient(1, x, &energy, grad_energy));
    return static_cast<float>(energy);
  }

 private:
  CorrelatedGaussian of_;
};

// A tile of a transition at step 0, and the same in double precision.
class MomentumTransitionTest : public ::testing::Test {
 protected:
  MomentumTransitionTest() {
    host_.SetScale({kScale, kScale + kDimension});
    for (int at = 0; at < kElements; ++at) {
      host_.position[at] = 0.25F * static_cast<float>(at % 5) - 0.4F;
    }
    x_.assign(host_.position.begin(), host_.position.end());
    p_.assign(kElements, 0);
    EXPECT_OK(energy_.EnergyAndGradient(kRows, host_.position.data(),
                                        host_.energy.data(),
                                        host_.grad_energy.data()));
    energy_.rows_evaluated = 0;
  }

  void Step(const TransitionParams& params, double beta = kBeta) {
    const Transition& transition = GetTransition(params.kind);
    host_.coefficients.assign(kRows, *transition.Configure(params, beta));
    ASSERT_OK(transition.Step(energy_, *ops_, host_.tile()));
  }

  // The definitions' words, on x_ and p_.
  void Kick(double time) {
    const std::vector<float> x(x_.begin(), x_.end());
    std::vector<double> unused(kRows);
    std::vector<float> grad(kElements);
    CountingGaussian energy;
    ASSERT_OK(
        energy.EnergyAndGradient(kRows, x.data(), unused.data(), grad.data()));
    for (int at = 0; at < kElements; ++at) {
      p_[at] -= time * kBeta * kScale[at % kDimension] * grad[at];
    }
  }
  void Fly(double time) {
    for (int at = 0; at < kElements; ++at) {
      x_[at] += time * kScale[at % kDimension] * p_[at];
    }
  }
  void Refresh(double kept, double noise, uint8_t purpose) {
    for (int at = 0; at < kElements; ++at) {
      const double xi =
          ReferenceNormal(1, at / kDimension, 0, at % kDimension, purpose);
      p_[at] = kScale[at % kDimension] == 0 ? 0 : kept * p_[at] + noise * xi;
    }
  }
  // H = beta E + |p|^2 / 2 of every row.
  std::vector<double> Hamiltonians() {
    const std::vector<float> x(x_.begin(), x_.end());
    std::vector<double> h(kRows);
    CountingGaussian energy;
    EXPECT_OK(energy.Energy(kRows, x.data(), h.data()));
    for (double& value : h) value *= kBeta;
    for (int at = 0; at < kElements; ++at) {
      h[at / kDimension] += p_[at] * p_[at] / 2;
    }
    return h;
  }
  static void ExpectNear(const std::vector<float>& a,
                         const std::vector<double>& b) {
    for (size_t at = 0; at < b.size(); ++at) EXPECT_NEAR(a[at], b[at], 2e-5);
  }
  void ExpectLogRatio(const std::vector<double>& before,
                      const std::vector<double>& after) {
    for (int b = 0; b < kRows; ++b) {
      EXPECT_NEAR(host_.log_ratio[b], before[b] - after[b], 1e-4);
    }
  }

  HostTile host_{kRows, kDimension};
  CountingGaussian energy_;
  const std::unique_ptr<const TileOps> ops_ = CreateCpuTileOps(DetectedIsa());
  std::vector<double> x_;
  std::vector<double> p_;
};

TEST_F(MomentumTransitionTest, HmcIsItsDefinition) {
  Step({.kind = TransitionKind::kHmc, .step_size = 0.15, .leaps = 5});
  EXPECT_EQ(energy_.rows_evaluated, 5 * kRows);
  Refresh(0, 1, 4);
  const std::vector<double> before = Hamiltonians();
  for (int leap = 0; leap < 5; ++leap) {
    Kick(0.075);
    Fly(0.15);
    Kick(0.075);
  }
  ExpectNear(host_.proposal, x_);
  ExpectNear(host_.proposal_momentum, p_);
  ExpectLogRatio(before, Hamiltonians());
}

TEST_F(MomentumTransitionTest, UnderdampedMetropolisIsItsDefinition) {
  Step({.kind = TransitionKind::kUnderdampedMetropolis,
        .step_size = 0.1,
        .leaps = 3,
        .friction = 2});
  EXPECT_EQ(energy_.rows_evaluated, 3 * kRows);
  Refresh(0, 1, 5);  // the first
  const double c = std::exp(-2 * 3 * 0.1);
  Refresh(c, std::sqrt(1 - c * c), 4);
  const std::vector<double> before = Hamiltonians();
  for (int leap = 0; leap < 3; ++leap) {
    Kick(0.05);
    Fly(0.1);
    Kick(0.05);
  }
  ExpectNear(host_.proposal, x_);
  ExpectLogRatio(before, Hamiltonians());
}

TEST_F(MomentumTransitionTest, UnderdampedIsBaoab) {
  Step({.kind = TransitionKind::kUnderdamped, .step_size = 0.2, .friction = 3});
  EXPECT_EQ(energy_.rows_evaluated, kRows);
  Refresh(0, 1, 5);  // the first
  Kick(0.1);
  Fly(0.1);
  const double c = std::exp(-3 * 0.2);
  Refresh(c, std::sqrt(1 - c * c), 4);
  Fly(0.1);
  Kick(0.1);
  ExpectNear(host_.position, x_);
  ExpectNear(host_.momentum, p_);
}

TEST_F(MomentumTransitionTest, MinimizeIsTheHeavyBallMethod) {
  const TransitionParams params = {
      .kind = TransitionKind::kMinimize, .step_size = 0.2, .momentum = 0.5};
  for (int step = 0; step < 3; ++step) {
    Step(params, 1);
    for (double& p : p_) p *= 0.5;
    Kick(0.2 / kBeta);  // it knows no beta
    Fly(1);
  }
  EXPECT_EQ(energy_.rows_evaluated, 3 * kRows);
  ExpectNear(host_.position, x_);
}

TEST_F(MomentumTransitionTest, AnExactSurrogateIsAlwaysAccepted) {
  energy_.SetSurrogate(std::make_unique<CorrelatedGaussian>(kDimension, 0.6));
  const TransitionParams params = {
      .kind = TransitionKind::kDelayedAcceptance, .step_size = 0.3, .leaps = 6};
  for (int step = 0; step < 20; ++step) {
    Step(params);
    for (uint64_t& done : host_.step) ++done;
    EXPECT_THAT(host_.accepted, ::testing::Each(1));
  }
  EXPECT_EQ(energy_.rows_evaluated, 20 * kRows);
  EXPECT_NE(host_.position[0], static_cast<float>(x_[0]));
}

TEST_F(MomentumTransitionTest, DelayedAcceptanceNeedsASurrogate) {
  EXPECT_THAT(GetTransition(TransitionKind::kDelayedAcceptance)
                  .Step(energy_, *ops_, host_.tile()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("expected a surrogate model")));
}

// On E = 1/2 |x - 2|^2 in the box [-1, 1] the minimum is the corner.
class ShiftedWell final : public RowEnergy {
 public:
  ShiftedWell() : RowEnergy(2) {}

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    grad_energy[0] = x[0] - 2;
    grad_energy[1] = 10 * x[1];
    return 0.5F * (grad_energy[0] * grad_energy[0] + 10 * x[1] * x[1]);
  }
};

TEST(MinimizeTest, ConvergesAlsoAtTheBoundary) {
  for (const float upper : {1.0F, 100.0F}) {
    ShiftedWell energy;
    ChainRun run;
    run.params = {
        .kind = TransitionKind::kMinimize, .step_size = 0.1, .momentum = 0.5};
    run.box = {-1, upper};
    run.steps = 300;
    run.chains = FirstChains(20);
    run.start = NormalStart(2, 0, 0.3F);
    const std::vector<float> states = testing::RunChains(
        GetTransition(TransitionKind::kMinimize), energy, run);
    for (int c = 0; c < 20; ++c) {
      EXPECT_NEAR(states[2 * c], std::min(upper, 2.0F), 1e-6);
      EXPECT_NEAR(states[2 * c + 1], 0, 1e-6);
    }
  }
}

// Where the gradient is NaN, no trajectory goes on.
TEST(HmcTest, TrajectoriesThatAreNotFiniteAreRejected) {
  class Hole final : public RowEnergy {
   public:
    Hole() : RowEnergy(1) {}

   protected:
    float EvaluateRow(const float* x, float* grad_energy) override {
      const bool hole = *x > 0.2F;
      *grad_energy = hole ? std::numeric_limits<float>::quiet_NaN() : 0;
      return 0;
    }
  };
  Hole energy;
  ChainRun run;
  run.params = {.kind = TransitionKind::kHmc, .step_size = 0.1, .leaps = 5};
  run.steps = 50;
  run.chains = FirstChains(200);
  run.start = NormalStart(1, 0, 0);
  for (const float x :
       testing::RunChains(GetTransition(TransitionKind::kHmc), energy, run)) {
    EXPECT_LE(x, 0.2F);
    EXPECT_NE(x, 0);
  }
}

absl::Status ConfigureError(const TransitionParams& params, double beta = 1) {
  return GetTransition(params.kind).Configure(params, beta).status();
}

TEST(ConfigureTest, ErrorsNameTheFieldTheRangeAndTheValue) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(
      ConfigureError(
          {.kind = TransitionKind::kHmc, .step_size = 1, .leaps = 1025}),
      StatusIs(kInvalid,
               "transition.hmc.leaps: expected a whole number in "
               "[1, 1024] or 0 (the default, 16), got 1025"));
  EXPECT_THAT(
      ConfigureError(
          {.kind = TransitionKind::kHmc, .step_size = 1, .jitter = 1.5}),
      StatusIs(kInvalid,
               "transition.hmc.jitter: expected a number in [0, 1], "
               "got 1.5"));
  EXPECT_THAT(ConfigureError({.kind = TransitionKind::kUnderdamped,
                              .step_size = 1,
                              .friction = -1}),
              StatusIs(kInvalid,
                       "transition.underdamped.friction: expected a number in "
                       "[1e-12, 1e+12] or 0 (the default, 1), got -1"));
  EXPECT_THAT(
      ConfigureError(
          {.kind = TransitionKind::kMinimize, .step_size = 1, .momentum = 1}),
      StatusIs(kInvalid,
               "transition.minimize.momentum: expected a number in "
               "[0, 1), got 1"));
  EXPECT_THAT(
      ConfigureError({.kind = TransitionKind::kMinimize, .step_size = 1}, 2),
      StatusIs(kInvalid,
               "inverse_temperature: expected 1, as minimize has no "
               "temperature, got 2"));
  for (const auto kind : {TransitionKind::kUnderdampedMetropolis,
                          TransitionKind::kDelayedAcceptance}) {
    EXPECT_THAT(
        ConfigureError({.kind = kind, .step_size = 1, .leaps = -1}),
        StatusIs(kInvalid,
                 HasSubstr("transition." + std::string(Name(kind)) +
                           ".leaps: expected a whole number in [1, 1024]")));
  }
}

TEST(ConfigureTest, ZeroMeansTheDefault) {
  const auto configure = [](const TransitionParams& params) {
    return *GetTransition(params.kind).Configure(params, 1);
  };
  EXPECT_EQ(configure({.kind = TransitionKind::kHmc, .step_size = 0.5}).leaps,
            16);
  EXPECT_FLOAT_EQ(
      configure({.kind = TransitionKind::kUnderdamped, .step_size = 0.5})
          .persistence,
      std::exp(-0.5F));
  EXPECT_EQ(
      configure({.kind = TransitionKind::kDelayedAcceptance, .step_size = 0.5})
          .leaps,
      4);
  EXPECT_EQ(GetTransition(TransitionKind::kHmc).EvaluationsPerStep({}), 16);
  EXPECT_EQ(
      GetTransition(TransitionKind::kHmc).EvaluationsPerStep({.leaps = 3}), 3);
  EXPECT_EQ(GetTransition(TransitionKind::kMala).EvaluationsPerStep({}), 1);
}

}  // namespace
}  // namespace basin
