#ifndef BASIN_CORE_SCHEDULER_ROW_JOB_H_
#define BASIN_CORE_SCHEDULER_ROW_JOB_H_

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "core/scheduler/job.h"

namespace basin::internal {

// How a job ended.
struct JobEnd {
  absl::Status status;
  bool truncated = false;
  absl::Duration queued;
  absl::Duration running;
};

// A job as the run queue and the workers see it: rows that want steps. A
// row's data belongs to the worker that runs the row; it is handed on by the
// run queue's mutex. Thread-safe otherwise.
class RowJob {
 public:
  // `steps_per_row`: transitions each row makes; 1 for scoring. `context`:
  // a row for every `rows_per_context` rows, [.., C], or [1, C] for all.
  RowJob(JobOptions options, int64_t rows, int64_t steps_per_row,
         std::vector<float> context, int64_t rows_per_context = 1)
      : options_(std::move(options)),
        rows_(rows),
        steps_per_row_(steps_per_row),
        context_(std::move(context)),
        rows_per_context_(rows_per_context) {}
  virtual ~RowJob() = default;
  RowJob(const RowJob&) = delete;
  RowJob& operator=(const RowJob&) = delete;

  const JobOptions& options() const { return options_; }
  int64_t rows() const { return rows_; }
  int64_t steps_per_row() const { return steps_per_row_; }
  // The context inputs of one row, [C].
  const float* ContextOf(int64_t row, int64_t context_dimension) const {
    const auto one = static_cast<size_t>(context_dimension);
    return context_.data() + (context_.size() == one ? 0
                                                     : row / rows_per_context_ *
                                                           context_dimension);
  }

  // How many more steps a row may make now that has made `done`; 0 if it must
  // wait for the consumer. Only grows while the row waits. Takes no lock.
  // REQUIRES: done < steps_per_row().
  virtual int64_t StepsAllowed(int64_t done) const = 0;

  // Ends the job: no worker touches its rows any more. Called once, by a
  // worker, without locks.
  virtual void Finish(const JobEnd& end) = 0;

  // Steps done so far that no client has seen.
  virtual int64_t UnseenSteps() const = 0;

  // Says that the run queue has ended the job, so that a step of many
  // evaluations need not go on for it. Thread-safe.
  void Abandon() { abandoned_.store(true, std::memory_order_relaxed); }
  bool abandoned() const { return abandoned_.load(std::memory_order_relaxed); }

  // Tells the consumer that there is news. Call without locks held.
  void Notify() const {
    if (options_.listener) options_.listener();
  }

 private:
  const JobOptions options_;
  const int64_t rows_;
  const int64_t steps_per_row_;
  const std::vector<float> context_;
  const int64_t rows_per_context_;
  std::atomic<bool> abandoned_ = false;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_ROW_JOB_H_
