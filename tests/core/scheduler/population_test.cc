// Resampling of rows that are given, so that weights are known and chains can
// end: what the estimates become, and who descends from whom.

#include "core/scheduler/population.h"

#include <cmath>
#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/sampler/resampling.h"
#include "core/scheduler/annealing_path.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"

namespace basin::internal {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;

constexpr double kNever = -INFINITY;

class PopulationTest : public ::testing::Test {
 protected:
  // Levels k / `levels`, of one transition each.
  SampleSpec Spec(int64_t chains, int64_t islands, int64_t levels) const {
    SampleSpec spec =
        testing::MakeSample(testing::MakeFakeModel(*backend_, {}),
                            TransitionKind::kRandomWalk, chains, 1);
    spec.warmup = levels;
    for (int64_t k = 1; k <= levels; ++k) {
      spec.annealing.schedule.push_back(static_cast<double>(k) /
                                        static_cast<double>(levels));
    }
    spec.annealing.weights = AnnealingOptions::Weights::kPopulation;
    spec.annealing.islands = islands;
    spec.annealing.resample_below = 1;
    return spec;
  }

  // Rows whose states are their own numbers.
  static ChainRows RowsOf(SampleSpec& spec) {
    ChainRows rows = MakeRows(spec, GetTransition(spec.transition.kind));
    Number(rows);
    return rows;
  }
  static void Number(ChainRows& rows) {
    for (size_t at = 0; at < rows.states.size(); ++at) {
      rows.states[at] = static_cast<float>(at / 3);
    }
  }
  static std::vector<float> NumbersOf(const ChainRows& rows) {
    std::vector<float> numbers;
    for (size_t at = 0; at < rows.states.size(); at += 3) {
      numbers.push_back(rows.states[at]);
    }
    return numbers;
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  MovingSettings settings_;
};

// The estimate is the mean over all chains that there were, whether or not
// some have ended, before a resampling and after it.
TEST_F(PopulationTest, ChainsThatEndCountAsNothing) {
  SampleSpec spec = Spec(8, 2, 4);
  const AnnealingPath path(spec);
  Population population(spec, path);
  ChainRows rows = RowsOf(spec);
  rows.energies = {1, 2, 3, 4, 5, 6, 7, 8};
  rows.ended[1] = 1;
  population.Hold(1, rows, settings_);
  // A quarter of the way more, from equal weights.
  const double first =
      std::log((std::exp(-0.25) + std::exp(-0.75) + std::exp(-1.0)) / 4);
  EXPECT_NEAR(population.LogZ(rows)[0], first, 1e-12);
  for (int64_t done : {2, 3}) {
    rows.energies = {2, 2, 2, 2, 1, 1, 1, 1};
    rows.ended[2] = done == 3 ? 1 : 0;
    const std::vector<double> before = population.LogZ(rows);
    population.Hold(done, rows, settings_);
    const double lost = done == 3 ? std::log(2.0 / 3) : 0;
    EXPECT_NEAR(population.LogZ(rows)[0], before[0] - 0.5 + lost, 1e-12);
    EXPECT_NEAR(population.LogZ(rows)[1], before[1] - 0.25, 1e-12);
    // Chains' weights say the same.
    const std::vector<double> weights = population.LogWeights(rows);
    EXPECT_EQ(weights[1], kNever);
    for (size_t island = 0; island < 2; ++island) {
      EXPECT_NEAR(
          LogMeanExp(absl::MakeConstSpan(weights).subspan(4 * island, 4)),
          population.LogZ(rows)[island], 1e-12);
    }
  }
}

TEST_F(PopulationTest, OffspringGoesByWeight) {
  constexpr int64_t kLevels = 4000;
  SampleSpec spec = Spec(8, 2, kLevels);
  const AnnealingPath path(spec);
  Population population(spec, path);
  ChainRows rows = RowsOf(spec);
  std::vector<double> offspring(8, 0);
  int64_t islands_differ = 0;
  int64_t levels_differ = 0;
  std::vector<float> before;
  for (int64_t done = 1; done < kLevels; ++done) {
    Number(rows);
    for (size_t row = 0; row < 8; ++row) {
      // Shares of 0.1, 0.2, 0.3 and 0.4.
      rows.energies[row] =
          -std::log(static_cast<double>(row % 4 + 1)) * kLevels;
    }
    population.Hold(done, rows, settings_);
    EXPECT_THAT(rows.log_weights, Each(DoubleNear(0, 0)));
    const std::vector<float> numbers = NumbersOf(rows);
    bool same = true;
    for (size_t row = 0; row < 8; ++row) {
      const auto parent = static_cast<size_t>(numbers[row]);
      ASSERT_EQ(parent / 4, row / 4) << "islands stay apart";
      // What came along.
      EXPECT_EQ(rows.energies[row],
                -std::log(static_cast<double>(parent % 4 + 1)) * kLevels);
      ++offspring[parent];
      if (row < 4 && numbers[row] + 4 != numbers[row + 4]) same = false;
    }
    if (!same) ++islands_differ;
    if (numbers != before) ++levels_differ;
    before = numbers;
  }
  for (size_t row = 0; row < 8; ++row) {
    const double expected = 0.4 * static_cast<double>(row % 4 + 1);
    // Each time the floor or the ceiling of it.
    EXPECT_NEAR(offspring[row] / (kLevels - 1), expected,
                5 * 0.5 / std::sqrt(static_cast<double>(kLevels)));
  }
  EXPECT_GT(islands_differ, kLevels / 10);
  EXPECT_GT(levels_differ, kLevels / 10);
}

// All that is carried goes with a state.
TEST_F(PopulationTest, RowsMoveWhole) {
  SampleSpec spec = Spec(2, 1, 1);
  spec.transition.kind = TransitionKind::kUnderdampedMetropolis;
  ChainRows rows = RowsOf(spec);
  ASSERT_EQ(rows.momenta.size(), 6U);
  ASSERT_EQ(rows.grad_energies.size(), 6U);
  rows.energies = {1, 2};
  rows.momenta = {1, 2, 3, 4, 5, 6};
  rows.grad_energies = {7, 8, 9, 10, 11, 12};
  SwapRows(0, 1, rows);
  EXPECT_EQ(NumbersOf(rows), (std::vector<float>{1, 0}));
  EXPECT_EQ(rows.energies, (std::vector<double>{2, 1}));
  EXPECT_EQ(rows.momenta, (std::vector<float>{4, 5, 6, 1, 2, 3}));
  EXPECT_EQ(rows.grad_energies, (std::vector<float>{10, 11, 12, 7, 8, 9}));
  CopyRow(1, 0, rows);
  EXPECT_EQ(NumbersOf(rows), (std::vector<float>{0, 0}));
  EXPECT_EQ(rows.energies, (std::vector<double>{1, 1}));
  EXPECT_EQ(rows.momenta, (std::vector<float>{1, 2, 3, 1, 2, 3}));
  EXPECT_EQ(rows.grad_energies, (std::vector<float>{7, 8, 9, 7, 8, 9}));
}

}  // namespace
}  // namespace basin::internal
