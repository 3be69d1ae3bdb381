#ifndef BASIN_CORE_SCHEDULER_SCORE_QUANTUM_H_
#define BASIN_CORE_SCHEDULER_SCORE_QUANTUM_H_

#include <absl/status/status.h>

#include "core/model/energy_function.h"
#include "core/scheduler/run_queue.h"
#include "core/scheduler/scheduler.h"
#include "core/scheduler/tile_memory.h"

namespace basin::internal {

// Evaluates the rows of `work` once and stores their results in their jobs.
// Adds its counts to `quantum`. Runs on a worker's thread, with its memory,
// which has the shape and the context of `work`.
absl::Status RunScoreQuantum(ModelFunction& energy, TileMemory& memory,
                             Work* work, SchedulerObserver::Quantum* quantum);

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_SCORE_QUANTUM_H_
