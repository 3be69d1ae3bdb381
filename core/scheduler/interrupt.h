#ifndef BASIN_CORE_SCHEDULER_INTERRUPT_H_
#define BASIN_CORE_SCHEDULER_INTERRUPT_H_

#include <atomic>
#include <cstdint>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <absl/types/span.h>

#include "core/base/clock.h"
#include "core/scheduler/run_queue.h"

namespace basin::internal {

// When all jobs end, whatever they still want. Thread-safe.
class StopTime {
 public:
  // The earliest of all that were set counts.
  void SetBy(absl::Time time);
  bool HasCome(absl::Time now) const {
    return absl::ToUnixNanos(now) >= nanoseconds_.load();
  }

 private:
  std::atomic<int64_t> nanoseconds_{INT64_MAX};
};

// Whether the quantum that runs is still wanted: asked before each evaluation
// of a step that has many. It is not once all jobs in the tile have ended; one
// that goes on keeps the others' steps running. Used by one worker; what it
// refers to must outlive it.
class Interrupt {
 public:
  Interrupt(const Clock& clock, const StopTime& stop,
            absl::Span<const Segment> segments)
      : clock_(clock), stop_(stop), segments_(segments) {}

  // An error ends the quantum, and with it every job of the tile that the run
  // queue has not ended yet: it is what the run queue would say of these.
  absl::Status Check() const;

 private:
  const Clock& clock_;
  const StopTime& stop_;
  const absl::Span<const Segment> segments_;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_INTERRUPT_H_
