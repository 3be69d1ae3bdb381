// What the chains of a request do together, against exact values and against
// the same done in other pieces.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/sampler/diagnostics.h"
#include "tests/core/scheduler/ensemble_fixture.h"
#include "tests/core/scheduler/spin_model.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::SizeIs;

TEST_F(EnsembleTest, EveryReplicaHasItsTemperature) {
  SampleSpec spec = Spec(TransitionKind::kRandomWalk, 600, 80);
  spec.transition.step_size = 0.9;
  SetLadder({1, 0.5, 0.2}, &spec);
  const Sampled got = Run(spec);
  ASSERT_OK(got.result.status);
  ASSERT_THAT(got.result.last_states, SizeIs(600 * 3 * 3));
  for (size_t k = 0; k < 3; ++k) {
    const double beta = spec.tempering.ladder[k];
    const std::vector<float> from(got.result.last_states.begin() + 3 * k,
                                  got.result.last_states.end());
    const Estimate estimate = MeanOf(from, 9, Square);
    EXPECT_NEAR(estimate.mean,
                Integral(8, beta, Square) / Integral(8, beta, One),
                5 * estimate.error)
        << "beta " << beta;
  }
  ASSERT_THAT(got.result.replicas, SizeIs(3));
  EXPECT_GT(got.result.replicas[0].swap_rate, 0.2);
  EXPECT_LT(got.result.replicas[0].swap_rate, 0.95);
  EXPECT_TRUE(std::isnan(got.result.replicas[2].swap_rate));
  EXPECT_GT(got.result.round_trips, 600);
  // Frames are of the first replicas.
  ASSERT_THAT(got.frames, SizeIs(1));
  EXPECT_THAT(got.frames[0].states, SizeIs(600 * 3));
}

TEST_F(EnsembleTest, TunedLadderSwapsEvenly) {
  SampleSpec spec = Spec(TransitionKind::kRandomWalk, 200, 200);
  spec.transition.step_size = 0.9;
  spec.warmup = 300;
  SetLadder({1, 0.9, 0.02}, &spec);
  spec.tempering.tune_ladder = true;
  const SampleResult result = Run(spec).result;
  ASSERT_THAT(result.replicas, SizeIs(3));
  EXPECT_EQ(result.replicas[0].inverse_temperature, 1);
  EXPECT_EQ(result.replicas[2].inverse_temperature, 0.02);
  EXPECT_NEAR(result.replicas[0].swap_rate, result.replicas[1].swap_rate, 0.08);
}

TEST_F(EnsembleTest, StepSizesAreTunedToTheTarget) {
  for (const auto& [kind, target] : {std::pair{TransitionKind::kMala, 0.574},
                                     {TransitionKind::kRandomWalk, 0.234},
                                     {TransitionKind::kHmc, 0.651}}) {
    for (const double start : {1e-5, 30.0}) {
      SampleSpec spec = Spec(kind, 32, 200);
      spec.transition.step_size = start;
      spec.warmup = 300;
      spec.adaptation.step_size = true;
      const SampleResult result = Run(spec).result;
      EXPECT_NEAR(result.acceptance, target, 0.08)
          << Name(kind) << " from " << start;
      EXPECT_EQ(result.transition.step_size, result.replicas[0].step_size);
      EXPECT_NE(result.transition.step_size, start);
    }
  }
}

// Of a random walk, which has moved where it was accepted.
TEST_F(EnsembleTest, AcceptanceIsOfStepsAfterWarmUp) {
  SampleSpec spec = Spec(TransitionKind::kRandomWalk, 7, 8);
  spec.transition.step_size = 1;
  spec.keep_every = 1;
  const Sampled all = Run(spec);
  spec.warmup = 5;
  spec.steps = 3;
  int moves = 0;
  for (size_t frame = 5; frame < 8; ++frame) {
    for (size_t at = 0; at < all.frames[frame].states.size(); at += 3) {
      moves += all.frames[frame].states[at] != all.frames[frame - 1].states[at];
    }
  }
  EXPECT_DOUBLE_EQ(Run(spec).result.acceptance, moves / 21.0);
}

TEST_F(EnsembleTest, MetricIsThatOfTheChains) {
  SampleSpec spec = Spec(TransitionKind::kMala, 64, 10);
  spec.warmup = 400;
  spec.adaptation = {.step_size = true, .metric = true};
  spec.scale = {1, 0, 1};
  const SampleResult result = Run(spec).result;
  const double variance = Integral(8, 1, Square) / Integral(8, 1, One);
  ASSERT_THAT(result.scale, SizeIs(3));
  EXPECT_EQ(result.scale[1], 0) << "clamped";
  for (const int i : {0, 2}) {
    EXPECT_NEAR(result.scale[i] * result.scale[i], variance, 0.15 * variance);
  }
  // What is clamped has stayed.
  for (int c = 0; c < 64; ++c) {
    EXPECT_EQ(result.last_states[3 * c + 1], spec.initial[3 * c + 1]);
  }
}

TEST_F(EnsembleTest, StopsWhenThereIsEnough) {
  SampleSpec spec = Spec(TransitionKind::kMala, 16, 100000);
  spec.transition.step_size = 0.5;
  spec.warmup = 50;
  spec.keep_every = 2;
  spec.stop_when = {.rhat_below = 1.05, .ess_above = 300};
  const Sampled got = Run(spec);
  ASSERT_OK(got.result.status);
  EXPECT_TRUE(got.result.converged);
  EXPECT_FALSE(got.result.truncated);
  EXPECT_LT(got.result.steps, 5000);
  EXPECT_EQ(got.result.steps % 2, 0);
  EXPECT_THAT(got.frames, SizeIs(got.result.steps / 2));
  EXPECT_EQ(got.result.chain_steps, 16 * (50 + got.result.steps));
  const Diagnostics found = Diagnose(got.result.traces);
  EXPECT_LT(found.max_rhat, 1.05);
  EXPECT_GT(found.min_bulk_ess, 300);
  EXPECT_EQ(got.result.last_states, got.frames.back().states);
}

// A request of every kind of meeting, for chains that carry everything.
SampleSpec Together(SampleSpec spec) {
  spec.warmup = 60;
  spec.keep_every = 3;
  spec.adaptation.step_size = true;
  spec.tempering.tune_ladder = true;
  spec.tempering.swap_every = 2;
  return spec;
}

TEST_F(EnsembleTest, SameBytesWhoeverSharesTheTiles) {
  SampleSpec spec =
      Together(Spec(TransitionKind::kUnderdampedMetropolis, 9, 30));
  SetLadder({1, 0.6, 0.3}, &spec);
  const std::string alone = BytesOf(Run(spec, 1));
  EXPECT_EQ(BytesOf(Run(spec, 4)), alone);
  const auto scheduler = MakeScheduler(3);
  SampleSpec other = Spec(TransitionKind::kUnderdampedMetropolis, 7, 200);
  other.seed = 5;
  other.scale = {1, 0.5, 2};
  other.box_lower = {-3, -3, -3};
  other.box_upper = {3, 3, 4};
  const Running<SampleJob> beside = Start(*scheduler, other);
  EXPECT_EQ(BytesOf(Collect(Start(*scheduler, spec))), alone);
  Collect(beside);
}

// The bytes of `frames` from the `first`-th on, with steps counted from there.
std::string Tail(std::vector<Frame> frames, size_t first) {
  Sampled tail;
  for (size_t i = first; i < frames.size(); ++i) {
    frames[i].step -= first == 0 ? 0 : frames[first - 1].step;
    tail.frames.push_back(frames[i]);
  }
  return BytesOf(tail);
}

// What goes on where `first` has ended.
SampleSpec Continued(const SampleSpec& spec, const SampleResult& first,
                     int64_t steps) {
  SampleSpec rest = spec;
  rest.initial = first.last_states;
  rest.scale = first.scale;
  rest.transition = first.transition;
  rest.resume = first.resume;
  rest.adaptation = {};
  rest.tempering.tune_ladder = false;
  rest.warmup = 0;
  rest.steps = steps;
  return rest;
}

class ResumeTest : public EnsembleTest,
                   public ::testing::WithParamInterface<TransitionKind> {};

TEST_P(ResumeTest, PartsHaveTheBytesOfTheWhole) {
  for (const bool tempered : {false, true}) {
    // Temperature 0 has no ladder.
    if (tempered && GetParam() == TransitionKind::kMinimize) continue;
    SampleSpec whole =
        MakeSample(MakeModelFor(GetParam(), *backend_), GetParam(), 5, 36);
    if (whole.model->info().domain.kind == DomainKind::kContinuous) {
      whole.box = {-3, 3};
    }
    whole.keep_every = 3;
    whole.warmup = 10;
    if (tempered) {
      whole.tempering.swap_every = 2;
      SetLadder({1, 0.4}, &whole);
    }
    const Sampled all = Run(whole);
    ASSERT_OK(all.result.status);
    SampleSpec begin = whole;
    begin.steps = 21;
    const Sampled first = Run(begin);
    ASSERT_GT(first.result.resume.steps, 0);
    const Sampled second = Run(Continued(whole, first.result, 15));
    EXPECT_EQ(Tail(second.frames, 0), Tail(all.frames, 7))
        << "tempered: " << tempered;
    EXPECT_EQ(second.result.last_states, all.result.last_states);
    EXPECT_EQ(second.result.resume.steps, all.result.resume.steps);
    EXPECT_EQ(second.result.resume.momenta, all.result.resume.momenta);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ResumeTest, ::testing::ValuesIn(AllKinds()),
                         [](const auto& info) {
                           return std::string(Name(info.param));
                         });

TEST_F(EnsembleTest, ResumesAfterTuning) {
  SampleSpec whole = Together(Spec(TransitionKind::kMala, 6, 24));
  SetLadder({1, 0.5, 0.25}, &whole);
  whole.adaptation.metric = true;
  whole.inverse_temperature = 0.7;
  const Sampled all = Run(whole);
  SampleSpec begin = whole;
  begin.steps = 9;
  const Sampled first = Run(begin);
  const Sampled second = Run(Continued(whole, first.result, 15));
  EXPECT_EQ(Tail(second.frames, 0), Tail(all.frames, 3));
  EXPECT_EQ(second.result.last_states, all.result.last_states);
}

TEST_F(EnsembleTest, EndsWhenAllSeenReplicasHaveDiverged) {
  SampleSpec spec = Spec(TransitionKind::kUla, 1, 10000);
  spec.keep_every = 1;
  spec.max_pending_bytes = 1;
  SetLadder({1, 0.5}, &spec);
  spec.initial[0] = 60;
  spec.transition.step_size = 0.5;
  const Sampled got = Run(spec);
  EXPECT_OK(got.result.status);
  EXPECT_EQ(got.result.num_diverged, 1);
}

TEST_F(EnsembleTest, ReplicasThatDivergeStopNobody) {
  SampleSpec spec = Spec(TransitionKind::kUla, 4, 40);
  SetLadder({1, 0.5}, &spec);
  // From beyond 50 the energy falls without end: replica 1 of chain 1, all of
  // chain 2.
  for (const int row : {3, 4, 5}) spec.initial[3 * row] = 60;
  spec.transition.step_size = 0.5;
  const Sampled got = Run(spec);
  ASSERT_OK(got.result.status);
  EXPECT_THAT(got.result.diverged_chains, ::testing::Contains(2));
  EXPECT_EQ(got.result.resume.steps, 0) << "nothing to go on from";
  EXPECT_TRUE(std::isfinite(got.result.last_states[0]));
}

}  // namespace
}  // namespace basin::testing
