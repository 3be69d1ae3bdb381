// Requests whose chains cannot act together as they ask.

#include <functional>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/scheduler/ensemble_fixture.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;
using Weights = AnnealingOptions::Weights;

// A spoilt request, and what the refusal says.
struct Refused {
  const char* error;
  std::function<void(SampleSpec&)> spoil;
};

class RefusalTest : public EnsembleTest {
 protected:
  void ExpectRefused(const std::vector<Refused>& cases) {
    const auto scheduler = MakeScheduler(1);
    for (const Refused& c : cases) {
      SampleSpec spec = Spec(TransitionKind::kRandomWalk, 4, 5);
      c.spoil(spec);
      EXPECT_THAT(
          scheduler->Submit(std::move(spec)).status(),
          StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.error)));
    }
  }

  static std::function<void(SampleSpec&)> Ladder(std::vector<double> betas) {
    return [betas](SampleSpec& spec) { SetLadder(betas, &spec); };
  }
};

TEST_F(RefusalTest, LaddersSchedulesAndTuning) {
  ExpectRefused({
      {"tempering.ladder", Ladder({1, 0.5, 0.5})},
      {"tempering.ladder", Ladder({1, 2})},
      {"tempering.ladder[0]: expected 1", Ladder({2, 1})},
      {"swap_every",
       [](SampleSpec& spec) {
         SetLadder({1, 0.5}, &spec);
         spec.tempering.swap_every = 0;
       }},
      {"warmup: expected at least 1",
       [](SampleSpec& spec) { spec.adaptation.step_size = true; }},
      {"adapt: expected a transition",
       [](SampleSpec& spec) {
         spec.transition.kind = TransitionKind::kUla;
         spec.warmup = 10;
         spec.adaptation.step_size = true;
       }},
      {"annealing.schedule[1]: expected more than 0.5",
       [](SampleSpec& spec) {
         spec.warmup = 10;
         spec.annealing.schedule = {0.5, 0.5, 1};
       }},
      {"annealing.schedule: expected 1 as the last",
       [](SampleSpec& spec) {
         spec.warmup = 10;
         spec.annealing.schedule = {0.5, 0.7};
       }},
      {"annealing.schedule: expected at most 2 levels",
       [](SampleSpec& spec) {
         spec.warmup = 2;
         spec.annealing.schedule = {0.5, 0.7, 1};
       }},
  });
}

TEST_F(RefusalTest, WeightsLimitsAndResumption) {
  ExpectRefused({
      {"annealing.weights: expected an exact transition",
       [](SampleSpec& spec) {
         spec.transition.kind = TransitionKind::kUla;
         spec.warmup = 2;
         spec.annealing.schedule = {0.5, 1};
         spec.annealing.weights = Weights::kImportance;
       }},
      {"annealing.islands: expected a divisor",
       [](SampleSpec& spec) {
         spec.warmup = 2;
         spec.annealing.schedule = {0.5, 1};
         spec.annealing.weights = Weights::kPopulation;
         spec.annealing.islands = 3;
       }},
      {"clamp.mask: expected at least one coordinate",
       [](SampleSpec& spec) {
         spec.scale = {0, 0, 0};
       }},
      {"scale: expected 3 values", [](SampleSpec& spec) { spec.scale = {1}; }},
      {"box, coordinate 1: expected lower < upper",
       [](SampleSpec& spec) {
         spec.box_lower = {-9, 1, -9};
         spec.box_upper = {9, 1, 9};
       }},
      {"initial[",
       [](SampleSpec& spec) {
         spec.box_lower = {-9, 8, -9};
         spec.box_upper = {9, 9, 9};
       }},
      {"metric.covariance",
       [](SampleSpec& spec) { spec.covariance_factor.assign(9, 1); }},
      {"stop_when.rhat_below",
       [](SampleSpec& spec) {
         spec.keep_every = 1;
         spec.stop_when.rhat_below = 1;
       }},
      {"keep_every: expected at least 1 with stop_when",
       [](SampleSpec& spec) { spec.stop_when.ess_above = 100; }},
      {"resume.step_sizes",
       [](SampleSpec& spec) {
         spec.resume.step_sizes = {1, 1};
       }},
      {"surrogate",
       [](SampleSpec& spec) {
         spec.transition.kind = TransitionKind::kDelayedAcceptance;
       }},
  });
}

}  // namespace
}  // namespace basin::testing
