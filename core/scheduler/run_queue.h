#ifndef BASIN_CORE_SCHEDULER_RUN_QUEUE_H_
#define BASIN_CORE_SCHEDULER_RUN_QUEUE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/time/time.h>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/model/energy_model.h"
#include "core/sampler/transition.h"
#include "core/scheduler/policy.h"
#include "core/scheduler/range_fifo.h"
#include "core/scheduler/row_job.h"
#include "core/scheduler/scheduler.h"

namespace basin::internal {

enum class WorkKind { kEnergy, kEnergyAndGradient, kTransition };

// What rows must have in common to share a tile.
struct QueueKey {
  const EnergyModel* model = nullptr;
  WorkKind kind = WorkKind::kEnergy;
  const Transition* transition = nullptr;  // of kTransition
  // Of kTransition: the cheap model in front, or null, and what a step costs
  // in evaluations, so that measured costs are of like steps.
  const EnergyModel* surrogate = nullptr;
  int64_t evaluations = 1;
  // Of kTransition: energies are those of an annealing path from `base`, or
  // from the model's initial law where that is null.
  bool has_base = false;
  const EnergyModel* base = nullptr;
  int priority = 5;

  bool operator==(const QueueKey&) const = default;
};

// Rows of the same key that wait, and what they have cost so far. Guarded by
// the run queue's mutex. It stays when it is empty, for its measured costs and
// its runtime, until its model is gone.
struct ModelQueue {
  QueueKey key;
  std::weak_ptr<const EnergyModel> model;
  std::weak_ptr<const EnergyModel> surrogate;
  std::weak_ptr<const EnergyModel> base;
  std::vector<int> tile_sizes;
  std::vector<absl::Duration> cost_per_step;  // by tile size; 0 = not known
  RangeFifo ready;
  int64_t jobs = 0;
  int64_t ready_rows = 0;
  int64_t running_rows = 0;
  absl::Duration runtime;
  uint64_t last_picked = 0;
};

// What a job evaluates.
struct JobModels {
  std::shared_ptr<const EnergyModel> model;
  std::shared_ptr<const EnergyModel> surrogate;  // or null
  std::shared_ptr<const EnergyModel> base;       // or null
};

// One job's place in the run queue. Guarded by the run queue's mutex.
//
//   waiting/running/parked rows --(the last one leaves)--> finished
//                 | Stop(): ready and parked rows leave at once,
//                 v running ones when their quantum ends
//              stopped --(the last one leaves)--> finished
struct JobEntry {
  enum class State { kActive, kStopped, kFinished };
  State state = State::kActive;
  std::shared_ptr<RowJob> job;
  JobModels models;
  ModelQueue* queue = nullptr;
  absl::Time submitted;
  absl::Time started = absl::InfiniteFuture();  // until the first quantum
  int64_t ready_rows = 0;
  int64_t running_rows = 0;
  int64_t parked_rows = 0;
  std::vector<RowRange> parked;  // wait for their consumer
  absl::Duration work_per_row_step;
  absl::Duration work_left;  // estimated
  absl::Status status;       // how the job ends
  bool truncated = false;
};

// Rows of one job in a tile.
struct Segment {
  RowJob* job = nullptr;
  RowRange range;
  int row = 0;  // the first one's place in the tile
};

// One quantum for one worker.
struct Work {
  JobModels models;
  QueueKey key;
  std::vector<Segment> segments;
  int rows = 0;
  int tile_size = 0;
  int64_t steps = 0;
  // Waiting times of jobs that have their first quantum here.
  std::vector<absl::Duration> first_waits;

  // Filled in by the worker. `remaining`: the rows that want more steps.
  std::vector<RowRange> remaining;
  absl::Duration spent;
  absl::Status status;  // an error ends all jobs in the tile

  // Set by the run queue, for itself.
  ModelQueue* queue = nullptr;
  absl::Duration charged;
};

// A job that has ended.
struct Ended {
  std::shared_ptr<RowJob> job;
  JobModels models;
  JobEnd end;
  bool started = false;
};

// All rows that wait, run or are parked, under one mutex: the mechanism
// around core/scheduler/policy.h. Thread-safe.
class RunQueue {
 public:
  struct Options {
    int workers = 1;
    absl::Duration quantum;
    Demand limits;
    const Clock* clock = nullptr;
  };
  explicit RunQueue(const Options& options) : options_(options) {}

  // Takes `need` out of the bounds of admission, or says why not. Follow it
  // up with Start(). Unavailable after Drain() or Shutdown().
  absl::StatusOr<Admission> Reserve(const Demand& need);
  // What Reserve() would say now.
  absl::StatusOr<Admission> Consider(const Demand& need) const;
  // Queues all rows of a job that has been reserved for.
  void Start(std::shared_ptr<RowJob> job, JobModels models, const QueueKey& key,
             const Demand& need);
  // The rest of a reservation is released as rows finish; the bytes are when
  // the job is destroyed.
  void ReleaseBytes(int64_t bytes);

  // Ends a job; no effect if it has ended.
  void Cancel(const RowJob& job, absl::Status why);
  // Ends a job well before its last step: it has what it wanted.
  void Complete(const RowJob& job);
  // Rows of `job` that waited for its consumer may be able to go on.
  void Resume(const RowJob& job);

  // For workers. Takes back `work`, if it holds any, and blocks until there
  // is something to do: a quantum in `work`, or a job to finish in `ended`;
  // after finishing it, call FinishedOne().
  enum class Next { kRun, kFinish, kExit };
  Next WaitForWork(Work* work, Ended* ended);
  void FinishedOne();

  SchedulerLoad Load() const;
  void Drain(absl::Duration timeout);
  // Cancels all jobs; workers exit when they have finished them.
  void Shutdown();

 private:
  absl::StatusOr<Admission> ConsiderLocked(const Demand& need) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReturnLocked(Work* work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool FillLocked(absl::Time now, Work* work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeRowsLocked(ModelQueue* queue, int rows, absl::Time now, Work* work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PushLocked(const RowRange& range) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StopLocked(JobEntry* entry, const absl::Status& status, bool truncated)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StopAllLocked(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FinishIfIdleLocked(JobEntry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ExpireLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeFinishedLocked(absl::Time now, Ended* ended)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void IdleLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  ModelQueue* FindQueueLocked(const QueueKey& key, const JobModels& models)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Duration CostLocked(const ModelQueue& queue, int tile_size,
                            const EnergyModel& model) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;

  std::atomic<int64_t> bytes_{0};

  mutable Mutex mu_;
  CondVar work_;  // something for WaitForWork()
  CondVar idle_;  // unfinished_ became 0
  std::vector<std::unique_ptr<ModelQueue>> queues_ ABSL_GUARDED_BY(mu_);
  std::vector<QueueState> snapshot_ ABSL_GUARDED_BY(mu_);  // of queues_
  // By priority, 1 to 9: see ResumedRuntime().
  std::array<absl::Duration, 10> served_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<const RowJob*, std::unique_ptr<JobEntry>> jobs_
      ABSL_GUARDED_BY(mu_);
  std::set<std::pair<absl::Time, JobEntry*>> deadlines_ ABSL_GUARDED_BY(mu_);
  std::vector<JobEntry*> finished_ ABSL_GUARDED_BY(mu_);
  int64_t unfinished_ ABSL_GUARDED_BY(mu_) = 0;  // jobs, reserved ones too
  int64_t rows_held_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t rows_ready_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t rows_running_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration work_held_ ABSL_GUARDED_BY(mu_);
  uint64_t picks_ ABSL_GUARDED_BY(mu_) = 0;
  bool refusing_ ABSL_GUARDED_BY(mu_) = false;
  bool exiting_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status stop_all_ ABSL_GUARDED_BY(mu_);  // an error: ends every job
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_RUN_QUEUE_H_
