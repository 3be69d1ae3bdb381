#ifndef BASIN_CORE_SCHEDULER_POLICY_H_
#define BASIN_CORE_SCHEDULER_POLICY_H_

// What the scheduler decides, apart from how it is carried out: pure functions
// of snapshots. Thread-safe, allocate nothing.

#include <cstdint>
#include <string_view>

#include <absl/time/time.h>
#include <absl/types/span.h>

namespace basin::internal {

// One queue: rows of one model version, kind of work and priority.
struct QueueState {
  int priority = 5;          // 1 first
  int64_t ready_rows = 0;    // in the queue
  absl::Duration runtime;    // device time it was charged for
  uint64_t last_picked = 0;  // number of the pick that chose it last
};

// The queue to serve next: of those with ready rows the one of the best
// priority, then of the least runtime, then the one that was picked longest
// ago. -1 if no queue has ready rows.
int PickQueue(absl::Span<const QueueState> queues);

// The runtime that a queue without ready rows goes on with when it gets some.
// `served`: the largest runtime that a queue of its priority was picked with.
// So device time that a queue did not ask for is no credit, and it waits for
// nobody who did not ask before either.
absl::Duration ResumedRuntime(absl::Duration own, absl::Duration served);

// How many rows the next tile of a queue takes: its ready and running rows
// divided over the workers, brought to a tile size where that wastes little,
// and no more than are ready or than the largest tile holds. At least 1.
// REQUIRES: ready_rows >= 1, workers >= 1, `tile_sizes` ascending, not empty.
int PlanTile(int64_t ready_rows, int64_t running_rows, int workers,
             absl::Span<const int> tile_sizes);

// How many transitions a tile makes before its rows go back: those that fit
// into `quantum`, at least 1, at most `least_allowed`, the least number that
// one of its rows may make. A tile of unknown cost (0) makes one.
// REQUIRES: least_allowed >= 1.
int64_t StepsInQuantum(absl::Duration quantum, absl::Duration cost_per_step,
                       int64_t least_allowed);

// What is held, wanted or allowed, for admission.
struct Demand {
  int64_t rows = 0;
  int64_t bytes = 0;
  absl::Duration work;  // estimated, by one worker
};

struct Admission {
  enum class Verdict {
    kAdmit,
    kRetry,  // after `retry_after` there is probably room
    kNever,  // larger than the limit by itself
  };
  Verdict verdict = Verdict::kAdmit;
  std::string_view reason;     // "rows", "bytes" or "work"; "" if admitted
  absl::Duration retry_after;  // whole seconds, at least one; kRetry only
};

// Whether a request that needs `need` may join what is `held`. The hint
// assumes that what is held drains evenly while the workers do its work.
Admission Admit(const Demand& limits, const Demand& held, const Demand& need,
                int workers);

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_POLICY_H_
