// What sampling and scoring compute, against the same without a scheduler.

#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Keep = SampleSpec::Keep;

SchedulerOptions Workers(int workers) {
  SchedulerOptions options;
  options.workers = workers;
  return options;
}

class SamplingTest
    : public ::testing::TestWithParam<std::tuple<TransitionKind, Keep>> {
 protected:
  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  const std::shared_ptr<const EnergyModel> model_ =
      MakeFakeModel(*backend_, {});
  const std::unique_ptr<Scheduler> scheduler_ =
      Scheduler::Create(*backend_, Workers(2));
};

TEST_P(SamplingTest, FramesAreThoseOfLoneChains) {
  SampleSpec spec = MakeSample(model_, std::get<0>(GetParam()), 5, 11);
  spec.keep = std::get<1>(GetParam());
  spec.warmup = 3;
  spec.box = {-2, 2};
  for (const int64_t keep_every : {0, 1, 4, 11}) {
    spec.keep_every = keep_every;
    const Sampled got = Collect(Start(*scheduler_, spec));
    const std::vector<Frame> want = Expected(spec);
    ASSERT_EQ(got.frames.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(got.frames[i].step, want[i].step);
      EXPECT_EQ(got.frames[i].states, want[i].states);
      EXPECT_EQ(got.frames[i].energies, want[i].energies);
      EXPECT_EQ(got.frames[i].grad_energies, want[i].grad_energies);
    }
    EXPECT_OK(got.result.status);
    EXPECT_EQ(got.result.chain_steps, 5 * 14);
    EXPECT_EQ(got.result.num_diverged, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SamplingTest,
    ::testing::Combine(::testing::Values(TransitionKind::kUla,
                                         TransitionKind::kMala,
                                         TransitionKind::kRandomWalk,
                                         TransitionKind::kIgebm,
                                         TransitionKind::kJem),
                       ::testing::Values(Keep::kEnergies, Keep::kStates,
                                         Keep::kStatesAndGradients)));

class ResultTest : public ::testing::Test {
 protected:
  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  const std::shared_ptr<const EnergyModel> model_ =
      MakeFakeModel(*backend_, {});
  const std::unique_ptr<Scheduler> scheduler_ =
      Scheduler::Create(*backend_, Workers(1));
};

TEST_F(ResultTest, SummaryAgreesWithTheFrames) {
  SampleSpec spec = MakeSample(model_, TransitionKind::kMala, 3, 50);
  spec.transition.step_size = 0.5;
  spec.keep_every = 1;
  const Sampled got = Collect(Start(*scheduler_, spec));
  ASSERT_EQ(got.frames.size(), 50u);
  EXPECT_EQ(got.result.last_states, got.frames.back().states);
  double mean = 0;
  for (const double energy : got.frames.back().energies) mean += energy / 3.0;
  EXPECT_NEAR(got.result.mean_energy, mean, 1e-6);
  // A chain that moved has accepted, one that stood has not.
  int64_t moves = 0;
  std::vector<float> before = spec.initial;
  for (const Frame& frame : got.frames) {
    for (int c = 0; c < 3; ++c) {
      moves += frame.states[3 * c] != before[3 * c] ? 1 : 0;
    }
    before = frame.states;
  }
  EXPECT_GT(moves, 0);
  EXPECT_LT(moves, 150);
  EXPECT_DOUBLE_EQ(got.result.acceptance, static_cast<double>(moves) / 150);
  EXPECT_EQ(got.result.target.kind, DeclaredTarget::Kind::kExact);
  EXPECT_EQ(got.result.traces.chains, 3);
  EXPECT_EQ(got.result.traces.draws, 50);
  EXPECT_EQ(got.result.traces.quantities, 4);
  EXPECT_EQ(got.result.traces.values[0], got.frames[0].energies[0]);
  EXPECT_EQ(got.result.traces.values[4 * 50 + 1], got.frames[0].states[3]);
}

TEST_F(ResultTest, OnlyTheLastStateByDefault) {
  const SampleSpec spec = MakeSample(model_, TransitionKind::kJem, 2, 7);
  const Sampled got = Collect(Start(*scheduler_, spec));
  ASSERT_EQ(got.frames.size(), 1u);
  EXPECT_EQ(got.frames[0].step, 7);
  EXPECT_EQ(got.frames[0].states, got.result.last_states);
  EXPECT_TRUE(std::isnan(got.result.acceptance));
  EXPECT_TRUE(std::isfinite(got.result.mean_energy));
  EXPECT_EQ(got.result.traces.chains, 0);
}

TEST_F(ResultTest, MeanEnergyIsOfTheLastStateEvenIfThatIsNotKept) {
  SampleSpec spec = MakeSample(model_, TransitionKind::kIgebm, 2, 5);
  const double mean = Collect(Start(*scheduler_, spec)).result.mean_energy;
  spec.keep_every = 3;
  const Sampled got = Collect(Start(*scheduler_, spec));
  EXPECT_EQ(got.frames.size(), 1u);
  EXPECT_EQ(got.result.mean_energy, mean);
}

TEST_F(ResultTest, ProgressAfterTheEnd) {
  const Running<SampleJob> running =
      Start(*scheduler_, MakeSample(model_, TransitionKind::kRandomWalk, 4, 9));
  running.AwaitDone();
  const SampleProgress progress = running.job->Progress();
  EXPECT_EQ(progress.chain_steps_done, 36);
  EXPECT_EQ(progress.chain_steps_total, 36);
  const SampleResult result = running.job->TakeResult();
  EXPECT_EQ(progress.acceptance, result.acceptance);
  EXPECT_NEAR(progress.mean_energy, result.mean_energy, 1e-6);
}

TEST_F(ResultTest, ScoresAreTheModelsEnergies) {
  const ScoreSpec spec = MakeScore(model_, 41);
  const ScoreResult got = Collect(Start(*scheduler_, spec));
  ASSERT_OK(got.status);
  ASSERT_EQ(got.energies.size(), 41u);
  EXPECT_TRUE(got.grad_energies.empty());
  for (int row = 0; row < 41; ++row) {
    double want = 0;
    for (int i = 0; i < 3; ++i) {
      const double x = spec.inputs[3 * row + i];
      want += x * x / 2 + x * x * x * x / 10;
    }
    EXPECT_NEAR(got.energies[row], want, 1e-5) << row;
  }
}

TEST_F(ResultTest, ScoresWithGradient) {
  ScoreSpec spec = MakeScore(model_, 33);
  spec.want = ScoreSpec::Want::kEnergyAndGradient;
  const ScoreResult got = Collect(Start(*scheduler_, spec));
  ASSERT_OK(got.status);
  ASSERT_EQ(got.grad_energies.size(), 99u);
  for (int i = 0; i < 99; ++i) {
    const double x = spec.inputs[i];
    EXPECT_NEAR(got.grad_energies[i], x + 0.4 * x * x * x, 1e-5) << i;
  }
}

// Chains from `first` on, every third, start where the energy falls for ever.
SampleSpec WithRunaways(SampleSpec spec, int64_t first) {
  for (int64_t c = first; c < spec.chains; c += 3) spec.initial[3 * c] = 60;
  return spec;
}

TEST_F(ResultTest, ADivergingChainEndsAlone) {
  for (const TransitionKind kind :
       {TransitionKind::kUla, TransitionKind::kJem}) {
    SampleSpec healthy = MakeSample(model_, kind, 7, 40);
    healthy.keep_every = 2;
    healthy.max_pending_bytes = 0;
    const Sampled want = Collect(Start(*scheduler_, healthy));
    const Sampled got = Collect(Start(*scheduler_, WithRunaways(healthy, 1)));
    EXPECT_OK(got.result.status);
    EXPECT_EQ(got.result.num_diverged, 2);
    EXPECT_THAT(got.result.diverged_chains, ElementsAre(1, 4));
    EXPECT_EQ(got.result.traces.chains, 5);
    ASSERT_EQ(got.frames.size(), want.frames.size());
    for (size_t f = 0; f < want.frames.size(); ++f) {
      for (int64_t c = 0; c < 7; ++c) {
        const double energy = got.frames[f].energies[c];
        if (c % 3 != 1) {
          EXPECT_EQ(energy, want.frames[f].energies[c]);
        } else if (f > 10) {
          EXPECT_TRUE(std::isnan(energy));
          EXPECT_TRUE(std::isnan(got.frames[f].states[3 * c]));
        }
      }
    }
    EXPECT_TRUE(std::isnan(got.result.last_states[3]));
  }
}

// MALA would reject every proposal from there, and stand still for ever.
TEST_F(ResultTest, AChainThatStartsWithoutGradientDiverges) {
  SampleSpec spec = MakeSample(model_, TransitionKind::kMala, 3, 40);
  spec.initial[3] = 13;  // chain 1, where the fake energy has a cusp
  const Sampled got = Collect(Start(*scheduler_, spec));
  EXPECT_OK(got.result.status);
  EXPECT_THAT(got.result.diverged_chains, ElementsAre(1));
}

TEST_F(ResultTest, AllChainsDiverge) {
  SampleSpec spec = MakeSample(model_, TransitionKind::kUla, 300, 400'000);
  for (float& x : spec.initial) x = 60;
  spec.keep_every = 4;
  const Sampled got = Collect(Start(*scheduler_, spec));
  EXPECT_OK(got.result.status);
  EXPECT_EQ(got.result.num_diverged, 300);
  ASSERT_EQ(got.result.diverged_chains.size(), 100u);
  EXPECT_EQ(got.result.diverged_chains.back(), 99);
  EXPECT_TRUE(std::isnan(got.result.mean_energy));
  // One frame of nothing but NaN says it all.
  ASSERT_LT(got.frames.size(), 20u);
  EXPECT_TRUE(std::isnan(got.frames.back().energies[0]));
  EXPECT_LT(got.result.chain_steps, 300 * 80);
}

TEST_F(ResultTest, AnErrorOfTheModelEndsTheJobsOfItsTile) {
  FakeModelOptions options;
  options.hook = [](int) { return absl::InternalError("out of order"); };
  const auto broken = MakeFakeModel(*backend_, options);
  const Sampled sampled = Collect(
      Start(*scheduler_, MakeSample(broken, TransitionKind::kUla, 2, 9)));
  EXPECT_THAT(sampled.result.status,
              StatusIs(absl::StatusCode::kInternal, HasSubstr("out of order")));
  const ScoreResult scored = Collect(Start(*scheduler_, MakeScore(broken, 40)));
  EXPECT_THAT(scored.status,
              StatusIs(absl::StatusCode::kInternal, HasSubstr("out of order")));
  EXPECT_TRUE(scored.energies.empty());
  EXPECT_OK(Collect(Start(*scheduler_, MakeScore(model_, 1))).status);
}

}  // namespace
}  // namespace basin::testing
