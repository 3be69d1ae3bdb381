#include "core/scheduler/interrupt.h"

#include <algorithm>

namespace basin::internal {

void StopTime::SetBy(absl::Time time) {
  const int64_t set = absl::ToUnixNanos(time);
  int64_t known = nanoseconds_.load();
  while (set < known && !nanoseconds_.compare_exchange_weak(known, set)) {
  }
}

absl::Status Interrupt::Check() const {
  const absl::Time now = clock_.Now();
  if (stop_.HasCome(now)) {
    return absl::UnavailableError("the server is shutting down");
  }
  // A job that is to end with what it has at its deadline is left to the run
  // queue, which alone can end it so.
  const auto has_ended = [now](const Segment& segment) {
    const JobOptions& options = segment.job->options();
    return segment.job->abandoned() ||
           (options.on_deadline == JobOptions::OnDeadline::kFail &&
            options.deadline <= now);
  };
  if (!std::all_of(segments_.begin(), segments_.end(), has_ended)) {
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError("the request's deadline passed");
}

}  // namespace basin::internal
