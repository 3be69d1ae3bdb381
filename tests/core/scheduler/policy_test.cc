#include "core/scheduler/policy.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace basin::internal {
namespace {

constexpr absl::Duration Ms(int64_t n) { return absl::Milliseconds(n); }
constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

TEST(PickQueueTest, Table) {
  const struct {
    const char* what;
    std::vector<QueueState> queues;
    int want;
  } kCases[] = {
      {"no queue", {}, -1},
      {"none is ready", {{5, 0, Ms(1), 1}, {1, 0, Ms(0), 0}}, -1},
      {"the only ready one", {{5, 0, Ms(0), 0}, {9, 3, Ms(9), 0}}, 1},
      {"priority before share", {{5, 1, Ms(0), 0}, {4, 1, Ms(99), 7}}, 1},
      {"least runtime", {{5, 1, Ms(3), 0}, {5, 1, Ms(2), 0}}, 1},
      {"not the one with more rows", {{5, 1, Ms(2), 0}, {5, 99, Ms(3), 0}}, 0},
      {"longest not picked", {{5, 1, Ms(2), 8}, {5, 1, Ms(2), 3}}, 1},
  };
  for (const auto& c : kCases) EXPECT_EQ(PickQueue(c.queues), c.want) << c.what;
}

TEST(PickQueueTest, SharesDeviceTimeEqually) {
  // Quanta of the first take three times as long.
  std::vector<QueueState> queues = {{5, 1, Ms(0), 0}, {5, 1, Ms(0), 0}};
  const absl::Duration kCost[] = {Ms(6), Ms(2)};
  int picks[] = {0, 0};
  for (uint64_t i = 1; i <= 400; ++i) {
    const int picked = PickQueue(queues);
    ++picks[picked];
    queues[picked].runtime += kCost[picked];
    queues[picked].last_picked = i;
  }
  EXPECT_EQ(picks[0], 100);
  EXPECT_EQ(picks[1], 300);
}

TEST(ResumedRuntimeTest, NeitherCreditNorForgetting) {
  EXPECT_EQ(ResumedRuntime(Ms(2), Ms(50)), Ms(50));
  EXPECT_EQ(ResumedRuntime(Ms(70), Ms(50)), Ms(70));
}

TEST(PlanTileTest, Table) {
  const std::vector<int> kSizes = {1, 2, 4, 8, 16, 32, 64};
  const std::vector<int> kSteep = {1, 16, 64};
  const struct {
    int64_t ready, running;
    int workers;
    const std::vector<int>& sizes;
    int want;
  } kCases[] = {
      {64, 0, 2, kSizes, 32},   // 64 chains on 2 workers: 2 tiles of 32
      {32, 32, 2, kSizes, 32},  // ... also when one of them runs
      {64, 0, 1, kSizes, 64},        {1, 0, 2, kSizes, 1},
      {2, 0, 2, kSizes, 1},          {3, 0, 2, kSizes, 2},
      {1000, 0, 2, kSizes, 64},  // the largest tile
      {66, 0, 2, kSizes, 32},    // 33 rows would waste half of a 64-row plan
      {100, 0, 2, kSizes, 50},   // 50 fill one well enough
      {5, 100, 2, kSizes, 5},    // no more than are ready
      {12, 0, 1, kSteep, 12},        {11, 0, 1, kSteep, 1},
      {40, 0, 1, kSteep, 16},        {7, 0, 4, {8}, 2},
      {kHuge, kHuge, 3, kSizes, 64},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(PlanTile(c.ready, c.running, c.workers, c.sizes), c.want)
        << c.ready << " ready, " << c.running << " running, " << c.workers
        << " workers";
  }
}

TEST(StepsInQuantumTest, Table) {
  const struct {
    absl::Duration quantum, cost;
    int64_t least_allowed, want;
  } kCases[] = {
      {Ms(2), absl::Microseconds(100), 1000, 20},
      {Ms(2), absl::Microseconds(300), 1000, 6},
      {Ms(2), absl::Microseconds(100), 7, 7},
      {Ms(2), Ms(50), 1000, 1},                // at least one
      {Ms(2), absl::ZeroDuration(), 1000, 1},  // not known
      {absl::Hours(1), absl::Nanoseconds(1), kHuge, 1 << 16},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(StepsInQuantum(c.quantum, c.cost, c.least_allowed), c.want)
        << c.cost << " each, at most " << c.least_allowed;
  }
}

TEST(AdmitTest, Table) {
  using Verdict = Admission::Verdict;
  const Demand kLimits = {100, 1000, absl::Seconds(60)};
  const struct {
    Demand held, need;
    Verdict verdict;
    std::string reason;
    absl::Duration retry_after;
  } kCases[] = {
      {{}, {100, 1000, absl::Seconds(60)}, Verdict::kAdmit, "", {}},
      {{90, 0, {}}, {10, 0, {}}, Verdict::kAdmit, "", {}},
      {{}, {101, 0, {}}, Verdict::kNever, "rows", {}},
      {{}, {1, kHuge, {}}, Verdict::kNever, "bytes", {}},
      {{}, {1, 1, absl::Seconds(61)}, Verdict::kNever, "work", {}},
      // A tenth of 40 s of work on 2 workers has to go.
      {{100, 0, absl::Seconds(40)},
       {10, 0, {}},
       Verdict::kRetry,
       "rows",
       absl::Seconds(2)},
      {{1, 1000, absl::Seconds(40)},
       {1, 500, {}},
       Verdict::kRetry,
       "bytes",
       absl::Seconds(10)},
      {{1, 1, absl::Seconds(50)},
       {1, 1, absl::Seconds(20)},
       Verdict::kRetry,
       "work",
       absl::Seconds(5)},
      {{100, 0, {}}, {1, 0, {}}, Verdict::kRetry, "rows", absl::Seconds(1)},
  };
  for (const auto& c : kCases) {
    const Admission got = Admit(kLimits, c.held, c.need, 2);
    EXPECT_EQ(got.verdict, c.verdict) << c.reason;
    EXPECT_EQ(got.reason, c.reason);
    EXPECT_EQ(got.retry_after, c.retry_after) << c.reason;
  }
}

}  // namespace
}  // namespace basin::internal
