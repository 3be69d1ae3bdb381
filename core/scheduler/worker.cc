#include "core/scheduler/worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include <absl/status/statusor.h>

#include "core/base/status_macros.h"
#include "core/scheduler/function_cache.h"
#include "core/scheduler/sample_quantum.h"
#include "core/scheduler/score_quantum.h"
#include "core/scheduler/tile_memory.h"

namespace basin::internal {
namespace {

// Evaluations of a step that can be interrupted; shorter ones end soon, and
// would be asked for little.
constexpr int64_t kLongStep = 8;

// What one worker thread owns. Not thread-safe.
class Worker {
 public:
  Worker(const Backend& backend, const Clock& clock, const StopTime& stop,
         SchedulerObserver& observer)
      : clock_(clock),
        stop_(stop),
        observer_(observer),
        memory_(backend),
        functions_(backend) {}

  // Runs a quantum and tells everyone concerned.
  void Run(Work* work) {
    for (const absl::Duration wait : work->first_waits) {
      observer_.OnFirstQuantum(wait);
    }
    const absl::Time start = clock_.Now();
    SchedulerObserver::Quantum quantum{};
    work->status = Compute(work, &quantum);
    work->spent = clock_.Now() - start;
    quantum.model = work->models.model.get();
    quantum.rows = work->rows;
    quantum.duration = work->spent;
    observer_.OnQuantum(quantum);
    const RowJob* told = nullptr;
    for (const Segment& segment : work->segments) {
      if (segment.job != told) segment.job->Notify();
      told = segment.job;
    }
  }

  // Ends a job.
  void Finish(Ended* ended) {
    // Before anyone hears of the end: an idle model can be unloaded then.
    ended->models = {};
    ended->job->Finish(ended->end);
    if (!ended->end.status.ok() || ended->end.truncated) {
      observer_.OnCancelled(ended->started ? "running" : "queued",
                            ended->job->UnseenSteps());
    }
    ended->job->Notify();
    ended->job.reset();
  }

 private:
  absl::Status Compute(Work* work, SchedulerObserver::Quantum* quantum) {
    const EnergyModel& model = *work->models.model;
    const ModelInfo& info = model.info();
    BASIN_ASSIGN_OR_RETURN(ModelFunction * function,
                           functions_.Get(work->models.model, work->tile_size));
    int capacity = work->tile_size;
    SampleQuantum::Functions functions = {.energy = function};
    BASIN_ASSIGN_OR_RETURN(
        functions.surrogate,
        BindBeside(work->models.surrogate, work->rows, &capacity));
    BASIN_ASSIGN_OR_RETURN(
        functions.base, BindBeside(work->models.base, work->rows, &capacity));
    const bool moves = work->key.kind == WorkKind::kTransition;
    BASIN_RETURN_IF_ERROR(memory_.Shape(
        work->rows, capacity, info,
        moves ? SampleQuantum::PartsOf(*work) : ChainTileBuffer::Parts{}));
    UploadContext(*work, info.context_dimension);
    function->SetContext(memory_.context());
    if (moves) {
      const Interrupt interrupt(clock_, stop_, work->segments);
      if (work->key.evaluations >= kLongStep) functions.interrupt = &interrupt;
      return sampling_.Run(functions, memory_, work, quantum);
    }
    return RunScoreQuantum(*function, memory_, work, quantum);
  }

  // `model` for `rows` rows with the defaults of its other inputs; null for
  // none. Makes `capacity` at least what its plan needs.
  absl::StatusOr<ModelFunction*> BindBeside(
      const std::shared_ptr<const EnergyModel>& model, int rows,
      int* capacity) {
    if (model == nullptr) return nullptr;
    const int size = TileSizeFor(model->tile_sizes(), rows);
    *capacity = std::max(*capacity, size);
    BASIN_ASSIGN_OR_RETURN(ModelFunction * function,
                           functions_.Get(model, size));
    function->SetContext(nullptr);
    return function;
  }

  void UploadContext(const Work& work, int64_t context_dimension) {
    if (context_dimension == 0) return;
    for (const Segment& segment : work.segments) {
      for (int64_t i = 0; i < segment.range.rows(); ++i) {
        memory_.backend().CopyToDevice(
            memory_.context() + (segment.row + i) * context_dimension,
            segment.job->ContextOf(segment.range.begin + i, context_dimension),
            context_dimension * sizeof(float));
      }
    }
  }

  const Clock& clock_;
  const StopTime& stop_;
  SchedulerObserver& observer_;
  TileMemory memory_;
  FunctionCache functions_;
  SampleQuantum sampling_;
};

// A worker is busy for whole quanta; a thread that answers a client has
// microseconds of work. Where both want a core, the latter goes first. On
// Linux a thread has a nice value of its own. Failure costs latency only.
void StandBackForServing() {
  constexpr int kNice = 5;
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
}

}  // namespace

void RunWorker(const Backend& backend, const Clock& clock, const StopTime& stop,
               SchedulerObserver& observer, RunQueue& run_queue) {
  StandBackForServing();
  backend.PrepareWorkerThread();
  Worker worker(backend, clock, stop, observer);
  Work work;
  Ended ended;
  while (true) {
    switch (run_queue.WaitForWork(&work, &ended)) {
      case RunQueue::Next::kRun:
        worker.Run(&work);
        break;
      case RunQueue::Next::kFinish:
        worker.Finish(&ended);
        run_queue.FinishedOne();
        break;
      case RunQueue::Next::kExit:
        return;
    }
  }
}

}  // namespace basin::internal
