#include "core/sampler/adaptation.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/normal.h"
#include "core/base/philox.h"
#include "tests/testing/status_matchers.h"

namespace basin {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using testing::StatusIs;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

double Normal(uint64_t seed, uint64_t draw) {
  return NormalsOf(Philox(seed, DrawCounter(0, 0, draw, 0))).value[0];
}

// The acceptance of HMC in many dimensions, 2 Phi(-step^2 / width).
double Acceptance(double step, double width) {
  return std::erfc(step * step / width / std::sqrt(2.0));
}

// With noise of this deviation at most; where all or none is accepted there is
// none.
double Tune(StepSizeTuner& tuner, double width, int updates, double noise) {
  for (int i = 0; i < updates; ++i) {
    const double mean = Acceptance(tuner.step_size(), width);
    tuner.Update(mean + 4 * mean * (1 - mean) * noise * Normal(1, i));
  }
  return tuner.Final();
}

TEST(TargetAcceptanceTest, AsPublished) {
  EXPECT_EQ(TargetAcceptance(TransitionKind::kHmc, 10), 0.651);
  EXPECT_EQ(TargetAcceptance(TransitionKind::kMala, 1), 0.574);
  EXPECT_EQ(TargetAcceptance(TransitionKind::kRandomWalk, 2), 0.234);
  EXPECT_EQ(TargetAcceptance(TransitionKind::kRandomWalk, 1), 0.44);
  EXPECT_FALSE(TargetAcceptance(TransitionKind::kUla, 1).has_value());
  EXPECT_FALSE(TargetAcceptance(TransitionKind::kJem, 1).has_value());
}

TEST(StepSizeTunerTest, FindsTheTarget) {
  for (const double initial : {1e-6, 1.0, 1e6}) {
    for (const double target : {0.234, 0.574, 0.651, 0.9}) {
      auto tuner = StepSizeTuner::Create(initial, target);
      ASSERT_OK(tuner);
      const double step = Tune(*tuner, 0.01, 400, /*noise=*/0.1);
      EXPECT_NEAR(Acceptance(step, 0.01), target, 0.04)
          << initial << " " << target;
    }
  }
}

TEST(StepSizeTunerTest, FewUpdatesGoFar) {
  for (const double target : {0.234, 0.574, 0.651}) {
    auto tuner = StepSizeTuner::Create(1, target);
    ASSERT_OK(tuner);
    while (tuner->searching()) Tune(*tuner, 7, 1, /*noise=*/0);
    for (int updates = 1; updates <= 10; ++updates) {
      Tune(*tuner, 7, 1, /*noise=*/0);
      EXPECT_NEAR(Acceptance(tuner->Final(), 7), target, 0.2) << updates;
    }
    EXPECT_NEAR(Acceptance(tuner->Final(), 7), target, 0.05);
  }
}

// Nothing is accepted beyond an edge: acceptance falls by 2 and more for each
// unit of log step size.
TEST(StepSizeTunerTest, SettlesAtAnEdge) {
  const auto acceptance = [](double step) {
    return 1 / (1 + std::pow(step / 3, 8));
  };
  for (const double target : {0.234, 0.574, 0.651}) {
    for (const double initial : {0.1, 2.0, 3.7, 90.0}) {
      auto tuner = StepSizeTuner::Create(initial, target);
      ASSERT_OK(tuner);
      while (tuner->searching()) tuner->Update(acceptance(tuner->step_size()));
      for (int i = 0; i < 45; ++i) {
        tuner->Update(acceptance(tuner->step_size()));
      }
      EXPECT_NEAR(acceptance(tuner->Final()), target, 0.05) << initial;
      EXPECT_NEAR(acceptance(tuner->step_size()), target, 0.05) << initial;
    }
  }
}

// Against the recursion as the paper has it (algorithm 5), but for mu.
TEST(StepSizeTunerTest, AveragesAsPublished) {
  auto tuner = StepSizeTuner::Create(0.5, 0.8);
  ASSERT_OK(tuner);
  tuner->Update(0.9);  // doubles
  EXPECT_EQ(tuner->step_size(), 1);
  EXPECT_TRUE(tuner->searching());
  tuner->Update(0.7);  // crosses the target
  EXPECT_EQ(tuner->step_size(), 1);
  EXPECT_FALSE(tuner->searching());
  EXPECT_EQ(tuner->Final(), 1);
  const double mu = std::log(1.0);
  double h_bar = 0;
  double log_bar = 0;
  for (int m = 1; m <= 20; ++m) {
    const double alpha = m % 2 == 0 ? 0.95 : 0.4;
    tuner->Update(alpha);
    h_bar = (1 - 1 / (m + 10.0)) * h_bar + (0.8 - alpha) / (m + 10.0);
    const double log_step = mu - std::sqrt(m) / 0.2 * h_bar;
    log_bar =
        std::pow(m, -0.75) * log_step + (1 - std::pow(m, -0.75)) * log_bar;
    ASSERT_NEAR(std::log(tuner->step_size()), log_step, 1e-12);
    ASSERT_NEAR(std::log(tuner->Final()), log_bar, 1e-12);
  }
}

TEST(StepSizeTunerTest, SearchEnds) {
  auto up = StepSizeTuner::Create(1, 0.5);
  auto down = StepSizeTuner::Create(1, 0.5);
  for (int i = 0; i < 60; ++i) {
    if (up->searching()) up->Update(1);
    if (down->searching()) down->Update(kNaN);
  }
  EXPECT_FALSE(up->searching());
  EXPECT_FALSE(down->searching());
  EXPECT_EQ(up->step_size(), StepSizeTuner::kMaxStepSize);
  EXPECT_EQ(down->step_size(), StepSizeTuner::kMinStepSize);
  // From one end to the other there are more than 50 halvings.
  auto far = StepSizeTuner::Create(1e12, 0.5);
  for (int i = 0; i < 51; ++i) far->Update(0);
  EXPECT_FALSE(far->searching());
  EXPECT_EQ(far->step_size(), 1e12 * 0x1p-50);
}

TEST(StepSizeTunerTest, StaysWithinItsLimits) {
  for (const double acceptance : {kNaN, -3.0, 0.0, 1.0, 1e300}) {
    auto tuner = StepSizeTuner::Create(1, 0.5);
    for (int i = 0; i < 5000; ++i) {
      tuner->Update(acceptance);
      ASSERT_GE(tuner->step_size(), StepSizeTuner::kMinStepSize);
      ASSERT_LE(tuner->step_size(), StepSizeTuner::kMaxStepSize);
    }
    EXPECT_GE(tuner->Final(), StepSizeTuner::kMinStepSize);
    EXPECT_LE(tuner->Final(), StepSizeTuner::kMaxStepSize);
    EXPECT_OK(StepSizeTuner::FromState(tuner->state()));
  }
}

TEST(StepSizeTunerTest, ResumesAndRestarts) {
  auto tuner = StepSizeTuner::Create(0.1, 0.6);
  for (int i = 0; i < 30; ++i) {
    auto resumed = StepSizeTuner::FromState(tuner->state());
    ASSERT_OK(resumed);
    const double step = Tune(*tuner, 1, 10, 0.05);
    EXPECT_EQ(Tune(*resumed, 1, 10, 0.05), step);
    EXPECT_EQ(resumed->step_size(), tuner->step_size());
  }
  tuner->Restart(3);
  const auto fresh = StepSizeTuner::Create(3, 0.6);
  EXPECT_EQ(Tune(*tuner, 1, 50, 0), [&] {
    StepSizeTuner copy = *fresh;
    return Tune(copy, 1, 50, 0);
  }());
  tuner->Restart(kNaN);
  EXPECT_EQ(tuner->step_size(), 1);
}

TEST(StepSizeTunerTest, RefusesWhatIsNoState) {
  EXPECT_THAT(StepSizeTuner::Create(0, 0.5),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("step_size: expected a number from 1e-12")));
  EXPECT_THAT(StepSizeTuner::Create(1, 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("target_acceptance: expected")));
  EXPECT_FALSE(StepSizeTuner::Create(kNaN, 0.5).ok());
  EXPECT_FALSE(StepSizeTuner::Create(1, kNaN).ok());
  const StepSizeTuner::State good = StepSizeTuner::Create(1, 0.5)->state();
  for (auto spoil : std::vector<void (*)(StepSizeTuner::State&)>{
           [](auto& s) { s.center = kNaN; }, [](auto& s) { s.mean_error = 2; },
           [](auto& s) { s.log_averaged = 1e9; },
           [](auto& s) { s.search_rounds = -1; },
           [](auto& s) { s.direction = 2; }, [](auto& s) { s.averaged = -1; },
           [](auto& s) { s.searching = 2; }}) {
    StepSizeTuner::State state = good;
    spoil(state);
    EXPECT_THAT(StepSizeTuner::FromState(state),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("step size tuner")));
  }
}

// The ends of the windows; the metric is tuned in all but first and last.
std::vector<int64_t> Ends(int64_t steps) {
  std::vector<int64_t> ends;
  int64_t begin = 0;
  for (const WarmupWindow& window : WarmupWindows(steps)) {
    EXPECT_EQ(window.begin, begin);
    begin = window.end;
    ends.push_back(window.end);
  }
  EXPECT_EQ(begin, steps);
  return ends;
}

TEST(WarmupWindowsTest, AreStans) {
  EXPECT_EQ(Ends(1000),
            (std::vector<int64_t>{75, 100, 150, 250, 450, 950, 1000}));
  EXPECT_EQ(Ends(150), (std::vector<int64_t>{75, 100, 150}));
  EXPECT_EQ(Ends(300), (std::vector<int64_t>{75, 100, 150, 250, 300}));
  EXPECT_EQ(Ends(299), (std::vector<int64_t>{75, 100, 249, 299}));
  EXPECT_EQ(Ends(100), (std::vector<int64_t>{15, 90, 100}));
  EXPECT_EQ(Ends(20), (std::vector<int64_t>{3, 18, 20}));
  EXPECT_EQ(Ends(19), (std::vector<int64_t>{19}));
  EXPECT_EQ(Ends(0), (std::vector<int64_t>{}));
  EXPECT_LT(Ends(std::numeric_limits<int64_t>::max()).size(), 64);
}

TEST(WarmupWindowsTest, EndWithTheStepSize) {
  for (int64_t steps = 20; steps < 2000; ++steps) {
    Ends(steps);
    const std::vector<WarmupWindow> windows = WarmupWindows(steps);
    int64_t previous = 0;
    for (size_t w = 1; w + 1 < windows.size(); ++w) {
      ASSERT_EQ(windows[w].kind, WarmupWindow::Kind::kStepSizeAndMetric);
      ASSERT_GE(windows[w].end - windows[w].begin, previous) << steps;
      previous = windows[w].end - windows[w].begin;
    }
    ASSERT_EQ(windows.front().kind, WarmupWindow::Kind::kStepSize);
    ASSERT_EQ(windows.back().kind, WarmupWindow::Kind::kStepSize);
  }
}

// n rows of three coordinates with deviations 1e-4, 1, 1e4 around 100.
std::vector<float> Rows(uint64_t seed, int64_t n) {
  std::vector<float> rows;
  for (int64_t i = 0; i < n; ++i) {
    for (int d = 0; d < 3; ++d) {
      rows.push_back(static_cast<float>(
          (d == 0 ? 0 : 100) +
          std::pow(1e4, d - 1) *
              Normal(seed, static_cast<uint64_t>(3 * i + d))));
    }
  }
  return rows;
}

// Two passes, in long double.
std::vector<double> Variances(const std::vector<float>& rows) {
  const size_t n = rows.size() / 3;
  std::vector<double> variances;
  for (size_t d = 0; d < 3; ++d) {
    long double mean = 0;
    for (size_t i = 0; i < n; ++i) mean += rows[3 * i + d] / (1.0L * n);
    long double squares = 0;
    for (size_t i = 0; i < n; ++i) {
      squares += (rows[3 * i + d] - mean) * (rows[3 * i + d] - mean);
    }
    variances.push_back(static_cast<double>(squares / (n - 1)));
  }
  return variances;
}

std::vector<double> Variances(const PooledVariance& pooled) {
  std::vector<double> variances;
  for (const double squares : pooled.state().squares) {
    variances.push_back(squares /
                        static_cast<double>(pooled.state().count - 1));
  }
  return variances;
}

MATCHER_P(RelativelyNear, tolerance, "") {
  return std::abs(std::get<0>(arg) / std::get<1>(arg) - 1) <= tolerance;
}

TEST(PooledVarianceTest, AgreesWithTwoPasses) {
  const std::vector<float> rows = Rows(1, 1000);
  PooledVariance pooled(3);
  pooled.Add(rows);
  EXPECT_EQ(pooled.state().count, 1000);
  EXPECT_THAT(Variances(pooled),
              Pointwise(RelativelyNear(1e-10), Variances(rows)));
}

TEST(PooledVarianceTest, PartsMergeToTheWhole) {
  const std::vector<float> rows = Rows(2, 700);
  const absl::Span<const float> all(rows);
  PooledVariance first(3);
  PooledVariance second(3);
  first.Add(all.first(3 * 100));
  first.Add(all.subspan(3 * 100, 3 * 150));
  second.Add(all.subspan(3 * 250));
  first.Merge(second);
  first.Merge(PooledVariance(3));
  PooledVariance empty(3);
  empty.Merge(first);
  EXPECT_EQ(empty.state().count, 700);
  EXPECT_THAT(Variances(empty),
              Pointwise(RelativelyNear(1e-10), Variances(rows)));
}

TEST(PooledVarianceTest, ScalesOfAnySizeAreFound) {
  PooledVariance pooled(3);
  pooled.Add(Rows(3, 2000));
  const std::vector<float> expected = {1e-4F, 1, 1e4F};
  EXPECT_THAT(pooled.Scale(), Pointwise(RelativelyNear(0.06), expected));
}

TEST(PooledVarianceTest, FewRowsAreDrawnTogether) {
  // Variances 2 and 200 of 2 rows; their geometric mean is 20.
  PooledVariance pooled(2);
  pooled.Add({1, 10, 3, 30});
  const double share = 2.0 / 7;
  EXPECT_THAT(pooled.Scale(), Pointwise(RelativelyNear(1e-6),
                                        {std::sqrt(20 * std::pow(0.1, share)),
                                         std::sqrt(20 * std::pow(10, share))}));
}

TEST(PooledVarianceTest, WhatNeverMovedIsMeasuredByTheSmallest) {
  PooledVariance pooled(3);
  for (int i = 0; i < 10000; ++i) {
    const auto x = static_cast<float>(Normal(4, i));
    pooled.Add({x, 7, 100 * x});
  }
  const std::vector<float> scale = pooled.Scale();
  EXPECT_EQ(scale[1], scale[0]);
  EXPECT_THAT(PooledVariance(4).Scale(), Each(1));
  PooledVariance still(2);
  still.Add({1, 2, 1, 2});
  EXPECT_THAT(still.Scale(), Each(1));
}

TEST(PooledVarianceTest, LostRowsAreLeftOut) {
  PooledVariance pooled(2);
  pooled.Add({1, 10, static_cast<float>(kNaN), 0, 0, kInfinity, 3, 30});
  EXPECT_EQ(pooled.state().count, 2);
  EXPECT_THAT(Variances(pooled), Pointwise(DoubleNear(1e-12), {2.0, 200.0}));
}

TEST(PooledVarianceTest, ResumesFromItsState) {
  PooledVariance pooled(3);
  pooled.Add(Rows(5, 10));
  auto resumed = PooledVariance::FromState(pooled.state(), 3);
  ASSERT_OK(resumed);
  pooled.Add(Rows(6, 10));
  resumed->Add(Rows(6, 10));
  EXPECT_EQ(resumed->Scale(), pooled.Scale());
  EXPECT_THAT(PooledVariance::FromState(pooled.state(), 4),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected 4 coordinates, got 3 means")));
  PooledVariance::State bad = pooled.state();
  bad.squares[1] = -1;
  EXPECT_FALSE(PooledVariance::FromState(bad, 3).ok());
  bad.squares[1] = kNaN;
  EXPECT_FALSE(PooledVariance::FromState(bad, 3).ok());
  bad = pooled.state();
  bad.count = -1;
  EXPECT_FALSE(PooledVariance::FromState(bad, 3).ok());
}

}  // namespace
}  // namespace basin
