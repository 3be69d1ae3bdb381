#include "core/sampler/transition.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend/cpu/tile_ops_cpu.h"
#include "tests/core/backend/host_tile.h"
#include "tests/core/sampler/analytic_energies.h"
#include "tests/core/sampler/chain_runner.h"
#include "tests/testing/status_matchers.h"

namespace basin {
namespace {

using ::testing::_;
using ::testing::AllOf;
using testing::ChainRun;
using testing::ContinuousTransitions;
using testing::CorrelatedGaussian;
using testing::FirstChains;
using testing::HarmonicWell;
using ::testing::HasSubstr;
using testing::HostTile;
using testing::NormalStart;
using testing::ParamsOf;
using testing::RowEnergy;
using testing::StatusIs;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// One tile of `rows` chains of a transition, evaluated and ready to step.
class Stepper {
 public:
  Stepper(TransitionKind kind, int rows, RowEnergy& energy,
          double inverse_temperature = 1)
      : host_(rows, energy.dimension()),
        transition_(GetTransition(kind)),
        energy_(energy),
        coefficients_(transition_.Configure(ParamsOf(kind), inverse_temperature)
                          .value()) {
    host_.coefficients.assign(rows, coefficients_);
    for (size_t at = 0; at < host_.position.size(); ++at) {
      host_.position[at] = 0.25F * static_cast<float>(at % 5) - 0.4F;
    }
    Evaluate();
  }

  void Evaluate() {
    EXPECT_OK(energy_.EnergyAndGradient(
        host_.tile().rows, host_.position.data(), host_.energy.data(),
        host_.grad_energy.data()));
  }
  absl::Status Step() { return transition_.Step(energy_, *ops_, host_.tile()); }
  // xi of the next step, [rows, D].
  std::vector<float> Noise() {
    const std::vector<float> zeros(host_.position.size());
    std::vector<float> xi(host_.position.size());
    const std::vector<ChainCoefficients> coefficients = host_.coefficients;
    for (ChainCoefficients& row : host_.coefficients) row.noise = 1;
    ops_->Displace(host_.tile(), {.from = zeros.data(),
                                  .grad_energy = nullptr,
                                  .noise = TileOps::Noise::kOn,
                                  .to = xi.data()});
    host_.coefficients = coefficients;
    host_.tile().coefficients = host_.coefficients.data();
    return xi;
  }
  HostTile& host() { return host_; }

 private:
  HostTile host_;
  const Transition& transition_;
  RowEnergy& energy_;
  const ChainCoefficients coefficients_;
  const std::unique_ptr<const TileOps> ops_ = CreateCpuTileOps(DetectedIsa());
};

TEST(TransitionTest, AreFoundByNameAndKind) {
  const std::vector<std::string> first = {"ula",   "mala", "random_walk",
                                          "igebm", "jem",  "hmc"};
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(AllTransitions()[i]->name(), first[i]);
  }
  for (const Transition* transition : AllTransitions()) {
    EXPECT_EQ(transition->name(), Name(transition->kind()));
    EXPECT_EQ(&GetTransition(transition->kind()), transition);
    ASSERT_OK_AND_ASSIGN(const Transition* const found,
                         FindTransition(transition->name()));
    EXPECT_EQ(found, transition);
  }
  EXPECT_THAT(FindTransition("nuts"),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("one of ula, mala, random_walk, igebm, "
                                       "jem, hmc, underdamped, "),
                             HasSubstr(", got \"nuts\""))));
}

TEST(TransitionTest, DeclareTheirTargets) {
  const auto target = [](TransitionKind kind, TransitionParams params,
                         double beta) {
    return ToString(GetTransition(kind).Target(params, beta));
  };
  EXPECT_EQ(target(TransitionKind::kUla, {}, 1), "biased(1)");
  EXPECT_EQ(target(TransitionKind::kMala, {}, 1), "exact");
  EXPECT_EQ(target(TransitionKind::kRandomWalk, {}, 1), "exact");
  EXPECT_EQ(
      target(TransitionKind::kIgebm, {.step_size = 10, .noise_std = 0.005}, 1),
      "recipe(T=1.25e-06)");
  EXPECT_EQ(
      target(TransitionKind::kJem, {.step_size = 1, .noise_std = 0.01}, 1),
      "recipe(T=5e-05)");
  EXPECT_EQ(
      target(TransitionKind::kJem, {.step_size = 1, .noise_std = 0.01}, 2),
      "recipe(T=2.5e-05)");
  EXPECT_EQ(target(TransitionKind::kHmc, {}, 1), "exact");
  EXPECT_EQ(target(TransitionKind::kUnderdamped, {}, 1), "biased(2)");
  EXPECT_EQ(target(TransitionKind::kUnderdampedMetropolis, {}, 1), "exact");
  EXPECT_EQ(target(TransitionKind::kMinimize, {}, 1), "recipe(T=0)");
  EXPECT_EQ(target(TransitionKind::kDelayedAcceptance, {}, 1), "exact");
}

TEST(TransitionTest, ConfigureScalesDriftByInverseTemperature) {
  const auto configure = [](TransitionKind kind) {
    return GetTransition(kind).Configure(ParamsOf(kind), 3).value();
  };
  EXPECT_FLOAT_EQ(configure(TransitionKind::kUla).drift, 0.3F);
  EXPECT_FLOAT_EQ(configure(TransitionKind::kUla).noise, std::sqrt(0.2F));
  EXPECT_EQ(configure(TransitionKind::kUla).clip, kInfinity);
  EXPECT_EQ(configure(TransitionKind::kUla).beta, 3);
  // Leaps of sqrt(2 epsilon).
  EXPECT_FLOAT_EQ(configure(TransitionKind::kMala).drift, 3 * std::sqrt(0.2F));
  EXPECT_FLOAT_EQ(configure(TransitionKind::kMala).move, std::sqrt(0.2F));
  EXPECT_EQ(configure(TransitionKind::kMala).noise, 1);
  EXPECT_EQ(configure(TransitionKind::kMala).beta, 3);
  EXPECT_EQ(configure(TransitionKind::kRandomWalk).drift, 0);
  EXPECT_EQ(configure(TransitionKind::kRandomWalk).noise, 0.1F);
  EXPECT_EQ(configure(TransitionKind::kRandomWalk).beta, 3);
  for (const auto kind : {TransitionKind::kIgebm, TransitionKind::kJem}) {
    EXPECT_FLOAT_EQ(configure(kind).drift, 0.3F);
    EXPECT_EQ(configure(kind).noise, 0.2F);
  }
  EXPECT_EQ(configure(TransitionKind::kIgebm).clip, 0.5F);
  EXPECT_EQ(configure(TransitionKind::kJem).clip, kInfinity);
  ASSERT_OK_AND_ASSIGN(
      const ChainCoefficients unclipped,
      GetTransition(TransitionKind::kIgebm).Configure({.step_size = 1}, 1));
  EXPECT_EQ(unclipped.clip, kInfinity);
  EXPECT_EQ(unclipped.noise, 0);
}

TEST(TransitionTest, ConfigureNamesTheFieldTheRangeAndTheValue) {
  EXPECT_THAT(
      GetTransition(TransitionKind::kMala).Configure({.step_size = -0.5}, 1),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "transition.mala.step_size: expected a number in "
               "[1e-12, 1e+12], got -0.5"));
  EXPECT_THAT(GetTransition(TransitionKind::kIgebm)
                  .Configure({.step_size = 1, .gradient_clip = -1}, 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "transition.igebm.gradient_clip: expected a number in "
                       "[1e-12, 1e+12] or 0 (no clipping), got -1"));
}

TEST(TransitionTest, ConfigureRefusesEveryBadNumber) {
  for (const Transition* transition : ContinuousTransitions()) {
    const TransitionParams good = ParamsOf(transition->kind());
    EXPECT_OK(transition->Configure(good, 1));
    for (const double bad :
         {0.0, -1.0, 1e-40, 1e40, double{kNan}, double{kInfinity}}) {
      TransitionParams params = good;
      params.step_size = bad;
      EXPECT_THAT(
          transition->Configure(params, 1),
          StatusIs(absl::StatusCode::kInvalidArgument,
                   HasSubstr("transition." + std::string(transition->name()) +
                             ".step_size")));
      EXPECT_THAT(transition->Configure(good, bad),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           HasSubstr("inverse_temperature")));
    }
  }
}

TEST(TransitionTest, RecipesRefuseBadNoise) {
  for (const auto kind : {TransitionKind::kIgebm, TransitionKind::kJem}) {
    for (const double bad : {-1.0, double{kNan}, double{kInfinity}}) {
      TransitionParams params = ParamsOf(kind);
      params.noise_std = bad;
      EXPECT_THAT(GetTransition(kind).Configure(params, 1),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           HasSubstr(".noise_std")));
    }
  }
}

TEST(TransitionTest, UlaStepIsItsDefinition) {
  CorrelatedGaussian energy(3, 0.6);
  Stepper stepper(TransitionKind::kUla, 4, energy, /*inverse_temperature=*/2);
  const std::vector<float> x = stepper.host().position;
  const std::vector<float> g = stepper.host().grad_energy;
  const std::vector<float> xi = stepper.Noise();
  ASSERT_OK(stepper.Step());
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(stepper.host().position[i],
                x[i] - 0.1 * 2 * g[i] + std::sqrt(2 * 0.1) * xi[i], 1e-6);
  }
}

TEST(TransitionTest, UlaReflectsIntoTheBox) {
  HarmonicWell energy(1, 0);
  Stepper stepper(TransitionKind::kUla, 500, energy);
  stepper.host().lower.assign(500, -0.5F);
  stepper.host().upper.assign(500, 0.5F);
  stepper.host().position.assign(500, 0.5F);
  const std::vector<float> xi = stepper.Noise();
  ASSERT_OK(stepper.Step());
  for (int b = 0; b < 500; ++b) {
    double expected = 0.5 + std::sqrt(0.2) * xi[b];
    while (std::abs(expected) > 0.5) {
      expected = expected > 0 ? 1 - expected : -1 - expected;
    }
    EXPECT_NEAR(stepper.host().position[b], expected, 1e-5);
  }
}

TEST(TransitionTest, JemStepIsItsDefinition) {
  CorrelatedGaussian energy(3, 0.6);
  Stepper stepper(TransitionKind::kJem, 4, energy, /*inverse_temperature=*/2);
  const std::vector<float> x = stepper.host().position;
  const std::vector<float> g = stepper.host().grad_energy;
  const std::vector<float> xi = stepper.Noise();
  stepper.host().lower.assign(4, -0.5F);
  ASSERT_OK(stepper.Step());
  for (size_t i = 0; i < x.size(); ++i) {
    const double moved = x[i] - 0.1 * 2 * g[i] + 0.2 * xi[i];
    EXPECT_NEAR(stepper.host().position[i], std::max(moved, -0.5), 1e-6);
  }
}

// Noise first; the gradient is that of the noisy state, clipped.
TEST(TransitionTest, IgebmStepIsItsDefinition) {
  CorrelatedGaussian energy(3, 0.6);
  Stepper stepper(TransitionKind::kIgebm, 40, energy);
  stepper.host().lower.assign(40, -0.5F);
  stepper.host().upper.assign(40, 0.5F);
  std::vector<float> x = stepper.host().position;
  const std::vector<float> xi = stepper.Noise();
  ASSERT_OK(stepper.Step());
  for (size_t i = 0; i < x.size(); ++i) x[i] += 0.2F * xi[i];
  std::vector<double> e(40);
  std::vector<float> g(x.size());
  ASSERT_OK(energy.EnergyAndGradient(40, x.data(), e.data(), g.data()));
  int clipped = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    clipped += std::abs(g[i]) > 0.5F ? 1 : 0;
    const double moved = x[i] - 0.1 * std::min(std::max(g[i], -0.5F), 0.5F);
    EXPECT_NEAR(stepper.host().position[i],
                std::min(std::max(moved, -0.5), 0.5), 1e-6);
  }
  EXPECT_GT(clipped, 10);
}

TEST(TransitionTest, MalaLogRatioIsItsDefinition) {
  CorrelatedGaussian energy(3, 0.6);
  Stepper stepper(TransitionKind::kMala, 4, energy, /*inverse_temperature=*/2);
  HostTile& host = stepper.host();
  const std::vector<float> x = host.position;
  const std::vector<float> g = host.grad_energy;
  const std::vector<double> e = host.energy;
  ASSERT_OK(stepper.Step());
  const double epsilon = 0.1;
  const double beta = 2;
  for (int b = 0; b < 4; ++b) {
    double back = 0;
    double there = 0;
    for (int i = 3 * b; i < 3 * b + 3; ++i) {
      const double y = host.proposal[i];
      back +=
          std::pow(x[i] - y + epsilon * beta * host.proposal_grad_energy[i], 2);
      there += std::pow(y - x[i] + epsilon * beta * g[i], 2);
    }
    EXPECT_NEAR(host.log_ratio[b],
                beta * (e[b] - host.proposal_energy[b]) +
                    (there - back) / (4 * epsilon),
                1e-5);
  }
}

// In many dimensions some coordinate of every move leaves the box.
TEST(TransitionTest, ExactTransitionsMoveInABoxOfManyDimensions) {
  HarmonicWell energy(784, 0);
  energy.SetSurrogate(std::make_unique<HarmonicWell>(784, 0));
  for (const Transition* transition : ContinuousTransitions()) {
    if (!transition->has_acceptance()) continue;
    Stepper stepper(transition->kind(), 20, energy);
    HostTile& host = stepper.host();
    host.lower.assign(20, -0.5F);
    host.upper.assign(20, 0.7F);
    ASSERT_OK(stepper.Step());
    // The law is flat: nothing but a face could be a reason to reject.
    EXPECT_THAT(host.accepted, ::testing::Each(1)) << transition->name();
    for (const float x : host.position) {
      ASSERT_GE(x, -0.5F);
      ASSERT_LE(x, 0.7F);
    }
  }
}

TEST(TransitionTest, MetropolisStaysInTheBox) {
  HarmonicWell energy(2, 1);
  for (const auto kind : {TransitionKind::kMala, TransitionKind::kRandomWalk}) {
    Stepper stepper(kind, 200, energy);
    HostTile& host = stepper.host();
    host.lower.assign(200, -0.5F);
    host.upper.assign(200, 0.7F);
    for (int step = 0; step < 20; ++step) {
      ASSERT_OK(stepper.Step());
      for (uint64_t& s : host.step) ++s;
      for (const float x : host.position) {
        ASSERT_GE(x, -0.5F);
        ASSERT_LE(x, 0.7F);
      }
    }
  }
}

// Infinite slope at |x| > 1/2, where the energy is NaN.
class HoledEnergy final : public RowEnergy {
 public:
  HoledEnergy() : RowEnergy(1) {}

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    const bool hole = std::abs(*x) > 0.5F;
    *grad_energy = hole ? kInfinity : 0;
    return hole ? kNan : 0;
  }
};

TEST(TransitionTest, MetropolisRejectsProposalsWithoutEnergy) {
  HoledEnergy energy;
  for (const auto kind : {TransitionKind::kMala, TransitionKind::kRandomWalk}) {
    Stepper stepper(kind, 300, energy);
    HostTile& host = stepper.host();
    host.position.assign(300, 0.4F);
    stepper.Evaluate();
    ASSERT_OK(stepper.Step());
    int moved = 0;
    for (const float x : host.position) {
      ASSERT_LE(std::abs(x), 0.5F);
      moved += x != 0.4F ? 1 : 0;
    }
    EXPECT_GT(moved, 50);
    EXPECT_LT(moved, 295);
  }
}

TEST(TransitionTest, DivergedChainsDisturbNobody) {
  CorrelatedGaussian energy(5, 0.5);
  energy.SetSurrogate(std::make_unique<CorrelatedGaussian>(5, 0.3));
  for (const Transition* transition : ContinuousTransitions()) {
    Stepper clean(transition->kind(), 4, energy);
    Stepper stained(transition->kind(), 4, energy);
    for (int i = 10; i < 15; ++i) stained.host().position[i] = kNan;
    stained.Evaluate();
    for (int step = 0; step < 3; ++step) {
      ASSERT_OK(clean.Step());
      ASSERT_OK(stained.Step());
    }
    for (int i = 0; i < 20; ++i) {
      if (i / 5 == 2) {
        EXPECT_TRUE(std::isnan(stained.host().position[i]));
      } else {
        EXPECT_EQ(stained.host().position[i], clean.host().position[i]);
      }
    }
  }
}

TEST(TransitionTest, CarriedValuesAreThoseOfThePosition) {
  CorrelatedGaussian energy(6, 0.5);
  energy.SetSurrogate(std::make_unique<CorrelatedGaussian>(6, 0.3));
  for (const Transition* transition : ContinuousTransitions()) {
    if (transition->carried() == Carried::kNothing) continue;
    ChainRun run;
    run.params = ParamsOf(transition->kind());
    run.box = {-1, 2};
    run.steps = 8;
    run.chains = FirstChains(50);
    run.start = NormalStart(6, 0, 0.3F);
    run.on_step = [&](const ChainTile& tile) {
      std::vector<double> e(tile.rows);
      std::vector<float> g(tile.rows * 6);
      ASSERT_OK(energy.EnergyAndGradient(tile.rows, tile.position, e.data(),
                                         g.data()));
      EXPECT_EQ(std::memcmp(e.data(), tile.energy, 8 * e.size()), 0);
      if (transition->carried() == Carried::kEnergyAndGradient) {
        EXPECT_EQ(std::memcmp(g.data(), tile.grad_energy, 4 * g.size()), 0);
      }
    };
    RunChains(*transition, energy, run);
  }
}

class FailingEnergy final : public EnergyFunction {
 public:
  absl::Status Energy(int, const float*, double*) override {
    return absl::InternalError("device lost");
  }
  absl::Status EnergyAndGradient(int, const float*, double*, float*) override {
    return absl::InternalError("device lost");
  }
};

TEST(TransitionTest, EvaluationErrorsComeThrough) {
  FailingEnergy energy;
  const auto ops = CreateCpuTileOps(DetectedIsa());
  for (const Transition* transition : ContinuousTransitions()) {
    HostTile host(2, 3);
    if (transition->kind() == TransitionKind::kDelayedAcceptance) continue;
    EXPECT_THAT(transition->Step(energy, *ops, host.tile()),
                StatusIs(absl::StatusCode::kInternal, "device lost"));
  }
}

TEST(TransitionTest, OnlyMetropolisHasAcceptance) {
  for (const Transition* transition : ContinuousTransitions()) {
    const bool exact =
        transition->Target(ParamsOf(transition->kind()), 1).kind ==
        DeclaredTarget::Kind::kExact;
    EXPECT_EQ(transition->has_acceptance(), exact) << transition->name();
  }
}

}  // namespace
}  // namespace basin
