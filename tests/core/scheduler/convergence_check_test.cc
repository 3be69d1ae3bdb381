// When a request has enough, of traces that are given.

#include "core/scheduler/convergence_check.h"

#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/normal.h"
#include "core/base/philox.h"
#include "core/sampler/diagnostics.h"

namespace basin::internal {
namespace {

constexpr int64_t kDraws = 400;
constexpr int64_t kMaxBytes = int64_t{16} << 20;

// The value of chain c at draw d, from a normal.
using Value = std::function<double(int64_t c, int64_t d, double normal)>;

TraceRecorder Recorded(int64_t chains, const Value& value) {
  TraceRecorder traces(chains, kDraws, 1, kMaxBytes);
  for (int64_t c = 0; c < chains; ++c) {
    for (int64_t d = 0; d < kDraws; ++d) {
      const auto draw = static_cast<uint64_t>(c * kDraws + d);
      const double normal =
          NormalsOf(Philox(7, DrawCounter(0, 0, draw, 0))).value[0];
      const auto x = static_cast<float>(value(c, d, normal));
      traces.Record(c, d, x, &x);
    }
  }
  return traces;
}

// Whether chains of `replicas` rows each, of which `ended` have ended, stop.
bool Stops(const TraceRecorder& traces, const StopOptions& options,
           int64_t chains, int64_t replicas = 1,
           const std::vector<int64_t>& ended = {}) {
  SampleSpec spec;
  spec.stop_when = options;
  spec.warmup = 10;
  spec.keep_every = 2;
  ChainRows rows;
  rows.chains = chains;
  rows.replicas = replicas;
  rows.ended.assign(static_cast<size_t>(rows.rows()), 0);
  for (const int64_t row : ended) rows.ended[static_cast<size_t>(row)] = 1;
  MovingSettings settings;
  ConvergenceCheck check(spec, traces);
  check.Hold(10 + 2 * kDraws, rows, settings);
  return settings.stop;
}

TEST(ConvergenceCheckTest, ChainsHaveToAgree) {
  const auto apart = [](double distance) {
    return Recorded(4, [distance](int64_t c, int64_t, double normal) {
      return normal + distance * static_cast<double>(c);
    });
  };
  EXPECT_TRUE(Stops(apart(0), {.rhat_below = 1.05}, 4));
  EXPECT_FALSE(Stops(apart(2), {.rhat_below = 1.05}, 4));
  EXPECT_TRUE(Stops(apart(0), {.rhat_below = 1.05, .ess_above = 300}, 4));
  // One of both does not do.
  EXPECT_FALSE(Stops(apart(0), {.rhat_below = 1.05, .ess_above = 5000}, 4));
  EXPECT_FALSE(Stops(apart(2), {.rhat_below = 1.05, .ess_above = 1}, 4));
}

// What the last look saw is there for progress, whether it ends the run or not.
TEST(ConvergenceCheckTest, WhatWasSeenIsKept) {
  const TraceRecorder traces =
      Recorded(4, [](int64_t, int64_t, double normal) { return normal; });
  const Diagnostics found = Diagnose(traces.Copy(kDraws, {}));
  SampleSpec spec;
  spec.stop_when = {.ess_above = 1e9};
  spec.keep_every = 1;
  ChainRows rows;
  rows.chains = 4;
  rows.ended.assign(4, 0);
  MovingSettings settings;
  ConvergenceCheck(spec, traces).Hold(kDraws, rows, settings);
  EXPECT_FALSE(settings.stop);
  EXPECT_EQ(settings.max_rhat, found.max_rhat);
  EXPECT_EQ(settings.min_ess, std::min(found.min_bulk_ess, found.min_tail_ess));
  // Nothing is known of too few draws.
  ConvergenceCheck(spec, traces).Hold(3, rows, settings);
  EXPECT_TRUE(std::isnan(settings.max_rhat));
  EXPECT_TRUE(std::isnan(settings.min_ess));
}

// Of slowly changing width: means are known well, quantiles are not.
TEST(ConvergenceCheckTest, BulkAndTailHaveToBeEnough) {
  const TraceRecorder traces =
      Recorded(4, [](int64_t c, int64_t d, double normal) {
        const double phase = static_cast<double>(100 * c + d) / 40;
        return normal * std::exp(2 * std::sin(phase));
      });
  const Diagnostics found = Diagnose(traces.Copy(kDraws, {}));
  ASSERT_LT(2 * found.min_tail_ess, found.min_bulk_ess);
  EXPECT_TRUE(Stops(traces, {.ess_above = 0.9 * found.min_tail_ess}, 4));
  EXPECT_FALSE(Stops(traces, {.ess_above = 1.1 * found.min_tail_ess}, 4));
}

TEST(ConvergenceCheckTest, ChainsThatHaveEndedAreLeftOut) {
  const TraceRecorder traces =
      Recorded(4, [](int64_t c, int64_t, double normal) {
        return c == 1 ? normal + 10 : normal;
      });
  EXPECT_FALSE(Stops(traces, {.rhat_below = 1.05}, 4));
  EXPECT_TRUE(Stops(traces, {.rhat_below = 1.05}, 4, 1, {1}));
  // Chain 1 is seen as its first replica, row 2.
  EXPECT_TRUE(Stops(traces, {.rhat_below = 1.05}, 4, 2, {2}));
  EXPECT_FALSE(Stops(traces, {.rhat_below = 1.05}, 4, 2, {1, 3}));
}

}  // namespace
}  // namespace basin::internal
