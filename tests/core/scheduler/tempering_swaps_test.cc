// Swaps of rows that are given: who meets whom and when, and what is counted.

#include "core/scheduler/tempering_swaps.h"

#include <cmath>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"

namespace basin::internal {
namespace {

class TemperingSwapsTest : public ::testing::Test {
 protected:
  // One chain of four replicas.
  SampleSpec Spec() const {
    SampleSpec spec = testing::MakeSample(testing::MakeFakeModel(*backend_, {}),
                                          TransitionKind::kMala, 1, 100);
    spec.tempering.ladder = {1, 0.5, 0.25, 0.125};
    spec.initial.resize(12);
    return spec;
  }

  // Rows whose states are their own numbers, and whose energies do not
  // matter: all swaps are accepted.
  static ChainRows RowsOf(SampleSpec spec) {
    ChainRows rows = MakeRows(spec, GetTransition(spec.transition.kind));
    for (size_t at = 0; at < 12; ++at) {
      rows.states[at] = static_cast<float>(at / 3);
    }
    rows.energies.assign(4, 1);
    return rows;
  }
  static std::vector<int> NumbersOf(const ChainRows& rows) {
    std::vector<int> numbers;
    for (size_t at = 0; at < 12; at += 3) {
      numbers.push_back(static_cast<int>(rows.states[at]));
    }
    return numbers;
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
};

TEST_F(TemperingSwapsTest, EvenAndOddPairsTakeTurns) {
  const SampleSpec spec = Spec();
  const Transition& transition = GetTransition(spec.transition.kind);
  TemperingSwaps swaps(spec, transition);
  MovingSettings settings = MakeSettings(spec, transition);
  ChainRows rows = RowsOf(spec);
  EXPECT_EQ(swaps.NextAfter(0), 1);
  swaps.Hold(1, rows, settings);
  EXPECT_EQ(NumbersOf(rows), (std::vector<int>{0, 2, 1, 3}));
  swaps.Hold(2, rows, settings);
  EXPECT_EQ(NumbersOf(rows), (std::vector<int>{2, 0, 3, 1}));
  swaps.Hold(3, rows, settings);
  EXPECT_EQ(NumbersOf(rows), (std::vector<int>{2, 3, 0, 1}));
}

// A resumed request keeps the chains' own time.
TEST_F(TemperingSwapsTest, TurnsGoOnWhereTheyEnded) {
  SampleSpec spec = Spec();
  spec.tempering.swap_every = 3;
  spec.resume.steps = 7;
  const Transition& transition = GetTransition(spec.transition.kind);
  TemperingSwaps swaps(spec, transition);
  MovingSettings settings = MakeSettings(spec, transition);
  ChainRows rows = RowsOf(spec);
  // At 9, the third time, and 12 of the chains' life.
  ASSERT_EQ(swaps.NextAfter(0), 2);
  swaps.Hold(2, rows, settings);
  EXPECT_EQ(NumbersOf(rows), (std::vector<int>{0, 2, 1, 3}));
  ASSERT_EQ(swaps.NextAfter(2), 5);
  swaps.Hold(5, rows, settings);
  EXPECT_EQ(NumbersOf(rows), (std::vector<int>{2, 0, 3, 1}));
}

// All swaps accepted, the four states go round: each comes to the first
// replica every eighth time.
TEST_F(TemperingSwapsTest, CountsStatesThatComeBack) {
  SampleSpec spec = Spec();
  spec.warmup = 1000;
  spec.steps = 2000;
  const Transition& transition = GetTransition(spec.transition.kind);
  TemperingSwaps swaps(spec, transition);
  MovingSettings settings = MakeSettings(spec, transition);
  ChainRows rows = RowsOf(spec);
  for (int64_t done = 1; done <= 3000; ++done) swaps.Hold(done, rows, settings);
  // Those of warm-up are not counted.
  EXPECT_NEAR(static_cast<double>(swaps.round_trips()), 4 * 2000 / 8, 4);
  for (const double rate : swaps.SwapRates()) EXPECT_EQ(rate, 1);
}

// The one that begins at the last replica has only come half the way then.
TEST_F(TemperingSwapsTest, TripsBeginAtTheFirst) {
  const SampleSpec spec = Spec();
  const Transition& transition = GetTransition(spec.transition.kind);
  TemperingSwaps swaps(spec, transition);
  MovingSettings settings = MakeSettings(spec, transition);
  ChainRows rows = RowsOf(spec);
  bool came = false;
  for (int64_t done = 1; done <= 6; ++done) {
    swaps.Hold(done, rows, settings);
    if (NumbersOf(rows)[0] == 3) came = true;
  }
  EXPECT_TRUE(came);
  EXPECT_EQ(swaps.round_trips(), 0);
}

// A state that never goes further than the second replica makes no trips.
TEST_F(TemperingSwapsTest, TripsGoAllTheWay) {
  const SampleSpec spec = Spec();
  const Transition& transition = GetTransition(spec.transition.kind);
  TemperingSwaps swaps(spec, transition);
  MovingSettings settings = MakeSettings(spec, transition);
  ChainRows rows = RowsOf(spec);
  for (int64_t done = 1; done <= 200; ++done) {
    // The two cold ones lie so low that no hot one takes over.
    const std::vector<int> numbers = NumbersOf(rows);
    for (size_t row = 0; row < 4; ++row) {
      rows.energies[row] = numbers[row] < 2 ? -1e6 : 1e6;
    }
    swaps.Hold(done, rows, settings);
  }
  EXPECT_EQ(swaps.round_trips(), 0);
  const std::vector<double> rates = swaps.SwapRates();
  EXPECT_EQ(rates[0], 1);
  EXPECT_EQ(rates[1], 0);
  EXPECT_EQ(rates[2], 1);
}

// After warm-up rates are of what came after it, and the ladder stands still.
TEST_F(TemperingSwapsTest, WarmUpIsForgotten) {
  SampleSpec spec = Spec();
  spec.warmup = 100;
  spec.tempering.tune_ladder = true;
  const Transition& transition = GetTransition(spec.transition.kind);
  TemperingSwaps swaps(spec, transition);
  MovingSettings settings = MakeSettings(spec, transition);
  ChainRows rows = RowsOf(spec);
  EXPECT_TRUE(std::isnan(swaps.SwapRates()[0]));
  // All swap; then the first two never do, which would move a ladder that is
  // still tuned.
  std::vector<double> ladder;
  for (int64_t done = 1; done <= 400; ++done) {
    rows.energies = {4, 3, 2, 1};
    if (done > 100) rows.energies = {-4000, -3, -2, -1};
    swaps.Hold(done, rows, settings);
    for (size_t k = 0; k < 4; ++k) {
      const ReplicaSettings& replica = settings.replicas[k];
      EXPECT_FLOAT_EQ(replica.coefficients.beta,
                      static_cast<float>(replica.inverse_temperature));
      if (done == 100) ladder.push_back(replica.inverse_temperature);
      if (done <= 100) continue;
      EXPECT_EQ(replica.inverse_temperature, ladder[k]);
    }
  }
  EXPECT_EQ(swaps.SwapRates()[0], 0);
}

}  // namespace
}  // namespace basin::internal
