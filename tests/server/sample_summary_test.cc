#include "server/sample_summary.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "basin/v1/sampler.pb.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Diagnostics kNothing;

ModelInfo ModelOf(int64_t dimension) {
  ModelInfo model;
  model.dimension = dimension;
  return model;
}

std::vector<std::string> Warnings(TransitionKind transition, int64_t dimension,
                                  const SampleResult& result,
                                  const Diagnostics& diagnostics) {
  const ModelInfo model = ModelOf(dimension);
  const AnnealingOptions annealing;
  return SampleWarnings({transition, 64, model, annealing, result},
                        diagnostics);
}

SampleResult Result(double acceptance) {
  SampleResult result;
  result.acceptance = acceptance;
  result.mean_energy = 1;
  return result;
}

TEST(SampleWarnings, GoodRunsHaveNone) {
  EXPECT_THAT(Warnings(TransitionKind::kMala, 2, Result(0.57),
                       {.max_rhat = 1.005, .min_bulk_ess = 500}),
              IsEmpty());
  EXPECT_THAT(Warnings(TransitionKind::kUla, 2, Result(kNaN), kNothing),
              IsEmpty());
}

TEST(SampleWarnings, AcceptanceSaysWhichWay) {
  EXPECT_THAT(
      Warnings(TransitionKind::kMala, 2, Result(0.05), kNothing),
      ElementsAre(HasSubstr("acceptance 0.05 is low: a smaller step_size")));
  EXPECT_THAT(
      Warnings(TransitionKind::kRandomWalk, 2, Result(0.95), kNothing),
      ElementsAre(HasSubstr("acceptance 0.95 is high: a larger step_size")));
  EXPECT_THAT(Warnings(TransitionKind::kRandomWalk, 1, Result(0.7), kNothing),
              IsEmpty());
}

TEST(SampleWarnings, MixingDivergenceAndDeadline) {
  SampleResult result = Result(kNaN);
  result.num_diverged = 3;
  result.truncated = true;
  EXPECT_THAT(Warnings(TransitionKind::kUla, 2, result,
                       {.max_rhat = 1.05, .min_bulk_ess = 10}),
              ElementsAre(HasSubstr("3 of 64 chains diverged"),
                          HasSubstr("R-hat 1.0500 is above 1.01"),
                          HasSubstr("deadline")));
}

TEST(SampleWarnings, WhatHelpsMixingDependsOnTheRun) {
  const auto warning = [](const SampleResult& result) {
    return Warnings(TransitionKind::kGibbs, 2, result, {.max_rhat = 1.5})
        .back();
  };
  SampleResult result = Result(kNaN);
  result.replicas.resize(1);
  EXPECT_THAT(warning(result),
              AllOf(Not(HasSubstr("step_size")), HasSubstr("tempering")));
  // Blocks with hidden units are those of beta = 1.
  ModelInfo rbm = ModelOf(2);
  rbm.has_hidden_units = true;
  const AnnealingOptions annealing;
  EXPECT_THAT(
      SampleWarnings({TransitionKind::kGibbs, 64, rbm, annealing, result},
                     {.max_rhat = 1.5}),
      ElementsAre(Not(HasSubstr("tempering"))));
  result.transition.step_size = 0.1;
  result.replicas.resize(4);
  EXPECT_THAT(warning(result),
              AllOf(HasSubstr("step_size"), Not(HasSubstr("tempering"))));
}

TEST(SampleWarnings, RecipesAreNotExpectedToMix) {
  SampleResult result = Result(kNaN);
  result.target.kind = DeclaredTarget::Kind::kRecipe;
  EXPECT_THAT(Warnings(TransitionKind::kJem, 2, result, {3, 10}), IsEmpty());
}

TEST(SummaryToProto, WhatIsNotDefinedIsAbsent) {
  SampleResult result = Result(kNaN);
  result.mean_energy = kNaN;
  result.diverged_chains = {1, 5};
  result.num_diverged = 2;
  v1::SampleEvent::Summary summary;
  const ModelInfo model = ModelOf(2);
  const AnnealingOptions annealing;
  result.replicas.resize(1);
  SummaryToProto({TransitionKind::kUla, 6, model, annealing, result}, summary);
  EXPECT_FALSE(summary.has_acceptance());
  EXPECT_FALSE(summary.has_mean_energy());
  EXPECT_FALSE(summary.has_rhat());
  EXPECT_FALSE(summary.has_ess());
  EXPECT_EQ(summary.divergences(), 2);
  EXPECT_THAT(summary.diverged_chains(), ElementsAre(1, 5));
}

// The weights of 64 chains along a path, of two sizes.
v1::SampleEvent::Summary WeighedSummary(
    double path_acceptance, double acceptance,
    AnnealingOptions::Direction direction =
        AnnealingOptions::Direction::kForward) {
  SampleResult result = Result(acceptance);
  result.path_acceptance = path_acceptance;
  result.steps = 1;
  result.chain_steps = int64_t{64} * 201;
  for (int i = 0; i < 64; ++i) result.log_weights.push_back(0.1 * (i % 2));
  AnnealingOptions annealing;
  annealing.weights = AnnealingOptions::Weights::kImportance;
  annealing.direction = direction;
  v1::SampleEvent::Summary summary;
  const ModelInfo model = ModelOf(2);
  SummaryToProto(
      {TransitionKind::kUnderdampedMetropolis, 64, model, annealing, result},
      summary);
  return summary;
}

TEST(SummaryToProto, LogZOfFrozenChainsIsNotReliable) {
  const v1::SampleEvent::Summary good = WeighedSummary(0.9, 0.5);
  EXPECT_TRUE(good.log_z().reliable());
  EXPECT_THAT(good.warnings(), IsEmpty());
  EXPECT_TRUE(WeighedSummary(kNaN, kNaN).log_z().reliable());  // Gibbs
  // Along the whole path, or at its end.
  for (const auto& frozen :
       {WeighedSummary(0.001, 0), WeighedSummary(0.4, 0.01)}) {
    EXPECT_GT(frozen.log_z().weight_ess(), 60);
    EXPECT_FALSE(frozen.log_z().reliable());
    EXPECT_THAT(frozen.warnings(),
                ::testing::Contains(HasSubstr("chains hardly moved")));
  }
}

// A path that is gone back ends where the energy is flat, and all is accepted.
TEST(SummaryToProto, AReversePathIsJudgedAlongTheWay) {
  constexpr auto kReverse = AnnealingOptions::Direction::kReverse;
  EXPECT_THAT(WeighedSummary(0.9, 1, kReverse).warnings(), IsEmpty());
  EXPECT_THAT(WeighedSummary(0.2, 1, kReverse).warnings(),
              ElementsAre(HasSubstr("acceptance 0.20 along the path is low")));
}

}  // namespace
}  // namespace basin::testing
