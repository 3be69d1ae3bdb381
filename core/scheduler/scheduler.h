#ifndef BASIN_CORE_SCHEDULER_SCHEDULER_H_
#define BASIN_CORE_SCHEDULER_SCHEDULER_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/backend/backend.h"
#include "core/base/clock.h"
#include "core/scheduler/job.h"

namespace basin {

// Events that are worth a metric. Called by workers and submitters; must be
// quick and thread-safe. The base class ignores them.
class SchedulerObserver {
 public:
  virtual ~SchedulerObserver() = default;
  struct Quantum {
    const EnergyModel* model;
    std::string_view transition;  // "" for scoring
    int rows;                     // of the tile
    int64_t chain_steps;          // 0 for scoring
    int64_t row_evaluations;      // energies and gradients computed
    int64_t proposals;
    int64_t accepts;
    int64_t divergences;
    absl::Duration duration;
  };
  virtual void OnQuantum(const Quantum&) {}
  virtual void OnFirstQuantum(absl::Duration /*queued*/) {}
  virtual void OnRejected(std::string_view /*reason*/) {}
  // `wasted`: chain-steps of the job that no client will see.
  virtual void OnCancelled(std::string_view /*where*/, int64_t /*wasted*/) {}
};

struct SchedulerOptions {
  int workers = 0;  // 0 = one per core
  absl::Duration quantum = absl::Milliseconds(2);
  // Admission, over all models; beyond it a request is refused at once.
  // Estimated seconds of work by one worker, ready and running.
  absl::Duration max_work = absl::Hours(1);
  int64_t max_bytes = int64_t{2} << 30;  // states and results held
  int64_t max_rows = int64_t{1} << 20;   // ready and running
  const Clock* clock = &Clock::Real();
  SchedulerObserver* observer = nullptr;  // not owned; may be null
};

// What the scheduler is doing now.
struct SchedulerLoad {
  int workers = 0;
  int64_t rows_ready = 0;
  int64_t rows_running = 0;
  int64_t jobs = 0;
  absl::Duration estimated_work;  // by one worker
  int64_t bytes = 0;
};

// Puts the rows of all jobs together into tiles, anew every quantum, and runs
// them on its workers. Thread-safe.
class Scheduler {
 public:
  // Starts the workers. `backend` must outlive the scheduler.
  static std::unique_ptr<Scheduler> Create(const Backend& backend,
                                           const SchedulerOptions& options);
  // Cancels what still runs and joins the workers.
  virtual ~Scheduler() = default;

  // InvalidArgument for a spec that cannot run, naming the field, or that is
  // larger than a bound of admission by itself, naming the bound;
  // ResourceExhausted beyond the bounds of admission, with a hint when to try
  // again; Unavailable after Drain(). Nothing is queued on error.
  virtual absl::StatusOr<std::shared_ptr<SampleJob>> Submit(
      SampleSpec spec) = 0;
  virtual absl::StatusOr<std::shared_ptr<ScoreJob>> Submit(ScoreSpec spec) = 0;

  // What Submit() would say of the bounds of admission now, before the caller
  // has taken the trouble of drawing `spec.initial`. Reserves nothing.
  virtual absl::Status CheckAdmission(const SampleSpec& spec) = 0;

  virtual SchedulerLoad Load() const = 0;

  // Refuses new jobs from now on and waits until the running ones have ended
  // or `timeout` has passed; then cancels the rest with Unavailable.
  virtual void Drain(absl::Duration timeout) = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_SCHEDULER_SCHEDULER_H_
