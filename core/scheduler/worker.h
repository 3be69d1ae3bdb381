#ifndef BASIN_CORE_SCHEDULER_WORKER_H_
#define BASIN_CORE_SCHEDULER_WORKER_H_

#include "core/backend/backend.h"
#include "core/base/clock.h"
#include "core/scheduler/interrupt.h"
#include "core/scheduler/run_queue.h"
#include "core/scheduler/scheduler.h"

namespace basin::internal {

// The body of a worker thread: takes quanta from `run_queue`, runs them, and
// finishes jobs, until the run queue shuts down. Long steps end at `stop`. All
// arguments must outlive the call and be thread-safe.
void RunWorker(const Backend& backend, const Clock& clock, const StopTime& stop,
               SchedulerObserver& observer, RunQueue& run_queue);

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_WORKER_H_
