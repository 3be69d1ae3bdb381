#include "core/scheduler/run_queue.h"

#include <algorithm>
#include <climits>

#include <absl/status/statusor.h>

#include "core/base/check.h"

namespace basin::internal {
namespace {

// Timed waits are cut, so that a deadline of the far future cannot overflow
// the system's clock.
constexpr absl::Duration kMaxWait = absl::Minutes(1);

size_t SizeIndex(const ModelQueue& queue, int tile_size) {
  return std::lower_bound(queue.tile_sizes.begin(), queue.tile_sizes.end(),
                          tile_size) -
         queue.tile_sizes.begin();
}

void ClearWork(Work* work) {
  work->models = {};
  work->queue = nullptr;
  work->segments.clear();
  work->first_waits.clear();
  work->remaining.clear();
  work->rows = 0;
  work->spent = absl::ZeroDuration();
  work->status = absl::OkStatus();
}

}  // namespace

absl::StatusOr<Admission> RunQueue::ConsiderLocked(const Demand& need) const {
  if (refusing_) return absl::UnavailableError("the server is draining");
  const Demand held = {rows_held_, bytes_.load(), work_held_};
  return Admit(options_.limits, held, need, options_.workers);
}

absl::StatusOr<Admission> RunQueue::Consider(const Demand& need) const {
  MutexLock lock(mu_);
  return ConsiderLocked(need);
}

absl::StatusOr<Admission> RunQueue::Reserve(const Demand& need) {
  MutexLock lock(mu_);
  absl::StatusOr<Admission> admission = ConsiderLocked(need);
  if (!admission.ok() || admission->verdict != Admission::Verdict::kAdmit) {
    return admission;
  }
  rows_held_ += need.rows;
  work_held_ += need.work;
  bytes_ += need.bytes;
  ++unfinished_;
  return admission;
}

void RunQueue::ReleaseBytes(int64_t bytes) { bytes_ -= bytes; }

void RunQueue::Start(std::shared_ptr<RowJob> job, JobModels models,
                     const QueueKey& key, const Demand& need) {
  MutexLock lock(mu_);
  auto owned = std::make_unique<JobEntry>();
  JobEntry* entry = owned.get();
  entry->queue = FindQueueLocked(key, models);
  ++entry->queue->jobs;
  entry->submitted = options_.clock->Now();
  entry->work_left = need.work;
  entry->work_per_row_step = need.work / (job->rows() * job->steps_per_row());
  const absl::Time deadline = job->options().deadline;
  if (deadline != absl::InfiniteFuture()) {
    deadlines_.emplace(deadline, entry);
  }
  entry->models = std::move(models);
  entry->job = std::move(job);
  jobs_[entry->job.get()] = std::move(owned);
  PushLocked({entry, 0, entry->job->rows(), 0});
  if (!stop_all_.ok()) StopLocked(entry, stop_all_, false);
  // All: those that wait for a deadline have to wait for an earlier one.
  work_.SignalAll();
}

void RunQueue::Cancel(const RowJob& job, absl::Status why) {
  if (why.ok()) why = absl::CancelledError("cancelled");
  MutexLock lock(mu_);
  const auto it = jobs_.find(&job);
  if (it == jobs_.end()) return;
  StopLocked(it->second.get(), why, false);
  work_.Signal();
}

void RunQueue::Complete(const RowJob& job) {
  MutexLock lock(mu_);
  const auto it = jobs_.find(&job);
  if (it != jobs_.end()) StopLocked(it->second.get(), absl::OkStatus(), false);
  work_.Signal();
}

void RunQueue::Resume(const RowJob& job) {
  MutexLock lock(mu_);
  const auto it = jobs_.find(&job);
  if (it == jobs_.end()) return;
  JobEntry* entry = it->second.get();
  auto kept = entry->parked.begin();
  for (const RowRange& range : entry->parked) {
    if (job.StepsAllowed(range.done) == 0) {
      *kept++ = range;
      continue;
    }
    entry->parked_rows -= range.rows();
    PushLocked(range);
  }
  entry->parked.erase(kept, entry->parked.end());
  if (entry->ready_rows > 0) work_.Signal();
}

RunQueue::Next RunQueue::WaitForWork(Work* work, Ended* ended) {
  MutexLock lock(mu_);
  if (work->queue != nullptr) ReturnLocked(work);
  ClearWork(work);
  while (true) {
    const absl::Time now = options_.clock->Now();
    ExpireLocked(now);
    const bool finish = !finished_.empty();
    if (finish) TakeFinishedLocked(now, ended);
    if (finish || FillLocked(now, work)) {
      // Each wakes the next while there is something left to do.
      if (rows_ready_ > 0 || !finished_.empty()) work_.Signal();
      return finish ? Next::kFinish : Next::kRun;
    }
    if (exiting_ && unfinished_ == 0) {
      work_.SignalAll();
      return Next::kExit;
    }
    IdleLocked(now);
  }
}

void RunQueue::IdleLocked(absl::Time now) {
  if (deadlines_.empty()) {
    work_.Wait(mu_);
  } else {
    work_.WaitFor(mu_, std::min(deadlines_.begin()->first - now, kMaxWait));
  }
}

void RunQueue::FinishedOne() {
  MutexLock lock(mu_);
  if (--unfinished_ > 0) return;
  idle_.SignalAll();
  if (exiting_) work_.SignalAll();
}

bool RunQueue::FillLocked(absl::Time now, Work* work) {
  if (rows_ready_ == 0) return false;
  snapshot_.clear();
  for (const auto& queue : queues_) {
    snapshot_.push_back({queue->key.priority, queue->ready_rows, queue->runtime,
                         queue->last_picked});
  }
  const int picked = PickQueue(snapshot_);
  BASIN_CHECK(picked >= 0);
  ModelQueue* queue = queues_[picked].get();
  queue->last_picked = ++picks_;
  absl::Duration& served = served_[queue->key.priority];
  served = std::max(served, queue->runtime);
  work->queue = queue;
  work->key = queue->key;
  work->models = queue->ready.front().entry->models;
  const int rows = PlanTile(queue->ready_rows, queue->running_rows,
                            options_.workers, queue->tile_sizes);
  TakeRowsLocked(queue, rows, now, work);
  work->tile_size = TileSizeFor(queue->tile_sizes, work->rows);
  const absl::Duration cost =
      CostLocked(*queue, work->tile_size, *work->models.model);
  int64_t least_allowed = INT64_MAX;
  for (const Segment& segment : work->segments) {
    least_allowed =
        std::min(least_allowed, segment.job->StepsAllowed(segment.range.done));
  }
  work->steps = StepsInQuantum(options_.quantum, cost, least_allowed);
  // Charged beforehand, so that the other workers pick other queues; what it
  // really took is settled when the work comes back.
  work->charged = cost * work->steps;
  queue->runtime += work->charged;
  return true;
}

void RunQueue::TakeRowsLocked(ModelQueue* queue, int rows, absl::Time now,
                              Work* work) {
  while (work->rows < rows) {
    RowRange& front = queue->ready.front();
    JobEntry* entry = front.entry;
    RowRange taken = front;
    taken.end = std::min(front.end, front.begin + (rows - work->rows));
    work->segments.push_back({entry->job.get(), taken, work->rows});
    front.begin = taken.end;
    if (front.rows() == 0) queue->ready.PopFront();
    work->rows += static_cast<int>(taken.rows());
    entry->ready_rows -= taken.rows();
    entry->running_rows += taken.rows();
    if (entry->started == absl::InfiniteFuture()) {
      entry->started = now;
      work->first_waits.push_back(now - entry->submitted);
    }
  }
  queue->ready_rows -= work->rows;
  queue->running_rows += work->rows;
  rows_ready_ -= work->rows;
  rows_running_ += work->rows;
}

void RunQueue::ReturnLocked(Work* work) {
  ModelQueue* queue = work->queue;
  queue->runtime += work->spent - work->charged;
  absl::Duration& known =
      queue->cost_per_step[SizeIndex(*queue, work->tile_size)];
  const absl::Duration cost = work->spent / work->steps;
  known = known == absl::ZeroDuration() ? cost : known * 0.75 + cost * 0.25;
  for (const RowRange& range : work->remaining) {
    JobEntry* entry = range.entry;
    if (entry->state != JobEntry::State::kActive) continue;
    rows_held_ += range.rows();
    if (entry->job->StepsAllowed(range.done) > 0) {
      PushLocked(range);
    } else {
      entry->parked.push_back(range);
      entry->parked_rows += range.rows();
    }
  }
  for (const Segment& segment : work->segments) {
    JobEntry* entry = segment.range.entry;
    const int64_t rows = segment.range.rows();
    entry->running_rows -= rows;
    rows_held_ -= rows;
    const absl::Duration done = std::min(
        entry->work_left, entry->work_per_row_step * (rows * work->steps));
    entry->work_left -= done;
    work_held_ -= done;
  }
  queue->running_rows -= work->rows;
  rows_running_ -= work->rows;
  for (const Segment& segment : work->segments) {
    JobEntry* entry = segment.range.entry;
    if (!work->status.ok()) StopLocked(entry, work->status, false);
    FinishIfIdleLocked(entry);
  }
}

void RunQueue::PushLocked(const RowRange& range) {
  ModelQueue* queue = range.entry->queue;
  if (queue->ready_rows == 0) {
    queue->runtime =
        ResumedRuntime(queue->runtime, served_[queue->key.priority]);
  }
  queue->ready.Push(range);
  queue->ready_rows += range.rows();
  range.entry->ready_rows += range.rows();
  rows_ready_ += range.rows();
}

void RunQueue::StopLocked(JobEntry* entry, const absl::Status& status,
                          bool truncated) {
  if (entry->state != JobEntry::State::kActive) return;
  entry->state = JobEntry::State::kStopped;
  entry->status = status;
  entry->truncated = truncated;
  if (entry->ready_rows > 0) {
    entry->queue->ready.Remove(entry);
    entry->queue->ready_rows -= entry->ready_rows;
    rows_ready_ -= entry->ready_rows;
  }
  rows_held_ -= entry->ready_rows + entry->parked_rows;
  entry->ready_rows = 0;
  entry->parked_rows = 0;
  entry->parked.clear();
  FinishIfIdleLocked(entry);
}

void RunQueue::FinishIfIdleLocked(JobEntry* entry) {
  if (entry->state == JobEntry::State::kFinished) return;
  if (entry->ready_rows + entry->running_rows + entry->parked_rows > 0) return;
  entry->state = JobEntry::State::kFinished;
  work_held_ -= entry->work_left;
  deadlines_.erase({entry->job->options().deadline, entry});
  finished_.push_back(entry);
}

void RunQueue::ExpireLocked(absl::Time now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    JobEntry* entry = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    if (entry->job->options().on_deadline == JobOptions::OnDeadline::kPartial) {
      StopLocked(entry, absl::OkStatus(), true);
    } else {
      StopLocked(entry,
                 absl::DeadlineExceededError("the request's deadline passed"),
                 false);
    }
  }
}

void RunQueue::TakeFinishedLocked(absl::Time now, Ended* ended) {
  JobEntry* entry = finished_.back();
  finished_.pop_back();
  ended->started = entry->started != absl::InfiniteFuture();
  const absl::Time started = ended->started ? entry->started : now;
  ended->end = {entry->status, entry->truncated, started - entry->submitted,
                now - started};
  ended->job = std::move(entry->job);
  // The last reference may be this one: let it go without the mutex.
  ended->models = std::move(entry->models);
  --entry->queue->jobs;
  jobs_.erase(ended->job.get());
}

ModelQueue* RunQueue::FindQueueLocked(const QueueKey& key,
                                      const JobModels& models) {
  std::erase_if(queues_, [](const std::unique_ptr<ModelQueue>& queue) {
    const auto gone = [](const EnergyModel* model, const auto& held) {
      return model != nullptr && held.expired();
    };
    return queue->jobs == 0 && (gone(queue->key.model, queue->model) ||
                                gone(queue->key.surrogate, queue->surrogate) ||
                                gone(queue->key.base, queue->base));
  });
  for (const auto& queue : queues_) {
    if (queue->key == key) return queue.get();
  }
  queues_.push_back(std::make_unique<ModelQueue>());
  ModelQueue* queue = queues_.back().get();
  queue->key = key;
  queue->model = models.model;
  queue->surrogate = models.surrogate;
  queue->base = models.base;
  int max_rows = INT_MAX;
  for (const auto& other : {models.surrogate, models.base}) {
    if (other == nullptr) continue;
    max_rows = std::min(max_rows, other->tile_sizes().back());
  }
  for (const int size : models.model->tile_sizes()) {
    if (queue->tile_sizes.empty() || size <= max_rows) {
      queue->tile_sizes.push_back(size);
    }
  }
  queue->cost_per_step.resize(queue->tile_sizes.size());
  return queue;
}

absl::Duration RunQueue::CostLocked(const ModelQueue& queue, int tile_size,
                                    const EnergyModel& model) const {
  const absl::Duration known = queue.cost_per_step[SizeIndex(queue, tile_size)];
  if (known > absl::ZeroDuration()) return known;
  return absl::Seconds(model.evaluation_seconds()) * queue.key.evaluations;
}

SchedulerLoad RunQueue::Load() const {
  MutexLock lock(mu_);
  SchedulerLoad load;
  load.workers = options_.workers;
  load.rows_ready = rows_ready_;
  load.rows_running = rows_running_;
  load.jobs = unfinished_;
  load.estimated_work = work_held_;
  load.bytes = bytes_.load();
  return load;
}

void RunQueue::StopAllLocked(const absl::Status& status) {
  refusing_ = true;
  stop_all_ = status;
  for (const auto& [job, entry] : jobs_) {
    StopLocked(entry.get(), status, false);
  }
  work_.SignalAll();
}

void RunQueue::Drain(absl::Duration timeout) {
  MutexLock lock(mu_);
  refusing_ = true;
  const absl::Time deadline = options_.clock->Now() + timeout;
  while (unfinished_ > 0) {
    const absl::Duration left = deadline - options_.clock->Now();
    if (left <= absl::ZeroDuration()) break;
    idle_.WaitFor(mu_, std::min(left, kMaxWait));
  }
  if (unfinished_ == 0) return;
  StopAllLocked(absl::UnavailableError("the server is shutting down"));
  while (unfinished_ > 0) idle_.Wait(mu_);
}

void RunQueue::Shutdown() {
  MutexLock lock(mu_);
  exiting_ = true;
  StopAllLocked(absl::CancelledError("the scheduler is shutting down"));
}

}  // namespace basin::internal
