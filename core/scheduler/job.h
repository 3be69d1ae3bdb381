#ifndef BASIN_CORE_SCHEDULER_JOB_H_
#define BASIN_CORE_SCHEDULER_JOB_H_

// What clients ask of the scheduler, and how they get their answers. A job is
// a set of rows: the chains of a Sample request or the inputs of a Score
// request.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "core/model/energy_model.h"
#include "core/sampler/diagnostics.h"
#include "core/sampler/transition.h"

namespace basin {

// Called by workers without locks held when a job has something new: frames,
// progress, or its end. Calls may come from several threads and after the
// consumer has seen the end; it must be quick and not call back into the job.
using JobListener = std::function<void()>;

// What all jobs have.
struct JobOptions {
  int priority = 5;                              // 1 (first) to 9
  absl::Time deadline = absl::InfiniteFuture();  // then the job ends
  enum class OnDeadline { kFail, kPartial };
  OnDeadline on_deadline = OnDeadline::kFail;  // kPartial: sampling only
  JobListener listener;                        // may be empty
};

struct SampleSpec {
  std::shared_ptr<const EnergyModel> model;
  TransitionParams transition;
  double inverse_temperature = 1;
  Box box;  // where the chains live
  int64_t chains = 1;
  int64_t warmup = 0;      // transitions whose states are discarded
  int64_t steps = 0;       // transitions after warm-up
  int64_t keep_every = 0;  // keep every k-th state; 0 = only the last
  uint64_t seed = 0;
  // Starting states, [chains, D]. The caller has drawn or checked them.
  std::vector<float> initial;
  // The model's context inputs, [chains, C], or [1, C] for all chains.
  std::vector<float> context;
  enum class Keep { kEnergies, kStates, kStatesAndGradients };
  Keep keep = Keep::kStates;
  // Bytes of finished frames that may wait for the consumer before chains
  // pause; at least two frames always may.
  int64_t max_pending_bytes = int64_t{8} << 20;
  JobOptions options;
};

// The states of all chains at one kept step. Rows of chains that diverged
// before it hold NaN.
struct Frame {
  int64_t step = 0;                  // transitions after warm-up, 1-based
  std::vector<float> states;         // [chains, D], or empty
  std::vector<double> energies;      // [chains]
  std::vector<float> grad_energies;  // [chains, D], or empty
};

struct SampleProgress {
  int64_t chain_steps_done = 0;  // over all chains, warm-up included
  int64_t chain_steps_total = 0;
  double acceptance = 0;   // so far; NaN if the transition has none
  double mean_energy = 0;  // of the chains as last seen; NaN before
};

struct SampleResult {
  absl::Status status;     // OK, or why the job ended early
  bool truncated = false;  // ended early with kPartial
  DeclaredTarget target;
  int64_t chain_steps = 0;  // done, warm-up included
  double acceptance = 0;    // after warm-up; NaN if there is none
  double mean_energy = 0;   // of the last states; NaN if all diverged
  std::vector<int64_t>
      diverged_chains;  // chain indices, ascending, the first 100
  int64_t num_diverged = 0;
  // Traces of the energy and of up to 15 coordinates, evenly spaced, for
  // Diagnose(); empty if fewer than 4 states were kept.
  ChainTraces traces;
  // The chains' last states, [chains, D]; for writing back to a replay buffer.
  std::vector<float> last_states;
  absl::Duration queued;   // from submission to the first quantum
  absl::Duration running;  // from then to the end
};

// A running Sample request. Thread-safe. Dropping the last reference does not
// end the job: Cancel() does.
class SampleJob {
 public:
  virtual ~SampleJob() = default;

  // The next frame that all chains have reached, in order of steps; none if
  // it is not there yet. Taking it lets paused chains go on.
  virtual std::optional<Frame> TakeFrame() = 0;
  virtual SampleProgress Progress() const = 0;
  // True when no more frames will come; those not yet taken still can be.
  virtual bool Done() const = 0;
  // REQUIRES: Done(). Moves the vectors out: call once.
  virtual SampleResult TakeResult() = 0;
  // Ends the job with `why` within one quantum. No effect after its end.
  virtual void Cancel(absl::Status why) = 0;
};

struct ScoreSpec {
  std::shared_ptr<const EnergyModel> model;
  std::vector<float> inputs;   // [rows, D]
  std::vector<float> context;  // as in SampleSpec, [rows, C] or [1, C]
  int64_t rows = 0;
  enum class Want { kEnergy, kEnergyAndGradient };
  Want want = Want::kEnergy;
  bool want_class_energies = false;  // needs a model with classes
  JobOptions options;
};

struct ScoreResult {
  absl::Status status;
  std::vector<double> energies;       // [rows]; NaN or infinite as computed
  std::vector<float> grad_energies;   // [rows, D], or empty
  std::vector<float> class_energies;  // [rows, K], or empty
  absl::Duration queued;
  absl::Duration running;
};

// A running Score request. Thread-safe.
class ScoreJob {
 public:
  virtual ~ScoreJob() = default;
  virtual bool Done() const = 0;
  // REQUIRES: Done(). Moves the vectors out: call once.
  virtual ScoreResult TakeResult() = 0;
  virtual void Cancel(absl::Status why) = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_SCHEDULER_JOB_H_
