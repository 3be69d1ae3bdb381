#include "server/sample_summary.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "basin/v1/sampler.pb.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Diagnostics kNothing;

SampleResult Result(double acceptance) {
  SampleResult result;
  result.acceptance = acceptance;
  result.mean_energy = 1;
  return result;
}

TEST(SampleWarnings, GoodRunsHaveNone) {
  EXPECT_THAT(SampleWarnings(TransitionKind::kMala, 4, 2, Result(0.57),
                             {.max_rhat = 1.005, .min_bulk_ess = 500}),
              IsEmpty());
  EXPECT_THAT(
      SampleWarnings(TransitionKind::kUla, 4, 2, Result(kNaN), kNothing),
      IsEmpty());
}

TEST(SampleWarnings, AcceptanceSaysWhichWay) {
  EXPECT_THAT(
      SampleWarnings(TransitionKind::kMala, 4, 2, Result(0.05), kNothing),
      ElementsAre(HasSubstr("acceptance 0.05 is low: a smaller step_size")));
  EXPECT_THAT(
      SampleWarnings(TransitionKind::kRandomWalk, 4, 2, Result(0.95), kNothing),
      ElementsAre(HasSubstr("acceptance 0.95 is high: a larger step_size")));
  EXPECT_THAT(
      SampleWarnings(TransitionKind::kRandomWalk, 4, 1, Result(0.7), kNothing),
      IsEmpty());
}

TEST(SampleWarnings, MixingDivergenceAndDeadline) {
  SampleResult result = Result(kNaN);
  result.num_diverged = 3;
  result.truncated = true;
  EXPECT_THAT(SampleWarnings(TransitionKind::kUla, 64, 2, result,
                             {.max_rhat = 1.05, .min_bulk_ess = 10}),
              ElementsAre(HasSubstr("3 of 64 chains diverged"),
                          HasSubstr("R-hat 1.050 is above 1.01"),
                          HasSubstr("deadline")));
}

TEST(SampleWarnings, RecipesAreNotExpectedToMix) {
  SampleResult result = Result(kNaN);
  result.target.kind = DeclaredTarget::Kind::kRecipe;
  EXPECT_THAT(SampleWarnings(TransitionKind::kJem, 4, 2, result, {3, 10}),
              IsEmpty());
}

TEST(SummaryToProto, WhatIsNotDefinedIsAbsent) {
  SampleResult result = Result(kNaN);
  result.mean_energy = kNaN;
  result.diverged_chains = {1, 5};
  result.num_diverged = 2;
  v1::SampleEvent::Summary summary;
  ModelInfo model;
  model.dimension = 2;
  result.replicas.resize(1);
  SummaryToProto(TransitionKind::kUla, 6, model, {}, result, summary);
  EXPECT_FALSE(summary.has_acceptance());
  EXPECT_FALSE(summary.has_mean_energy());
  EXPECT_FALSE(summary.has_rhat());
  EXPECT_FALSE(summary.has_ess());
  EXPECT_EQ(summary.divergences(), 2);
  EXPECT_THAT(summary.diverged_chains(), ElementsAre(1, 5));
}

}  // namespace
}  // namespace basin::testing
