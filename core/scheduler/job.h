#ifndef BASIN_CORE_SCHEDULER_JOB_H_
#define BASIN_CORE_SCHEDULER_JOB_H_

// What clients ask of the scheduler, and how they get their answers. A job is
// a set of rows: the chains of a Sample request or the inputs of a Score
// request.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
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

// What is tuned during warm-up, and only then.
struct AdaptationOptions {
  bool step_size = false;
  bool metric = false;           // SampleSpec::scale, from the pooled chains
  double target_acceptance = 0;  // (0, 1); 0 = the transition's
};

// Parallel tempering: every chain is a ladder of replicas at several inverse
// temperatures, of which neighbours swap states; the first one is the chain
// that the request sees.
struct TemperingOptions {
  static constexpr int64_t kMaxReplicas = 64;

  // Factors of inverse_temperature: the first is 1, strictly decreasing, > 0.
  // Empty = no tempering.
  std::vector<double> ladder;
  int64_t swap_every = 1;    // transitions between swaps
  bool tune_ladder = false;  // during warm-up, to equal swap rates
};

// A path from the law that chains start from to the one they target, along
// the warm-up: p_t(x) proportional to exp(-t b E(x)) where the first is
// uniform, else to p_0(x)^(1 - t) exp(-t b E(x)).
struct AnnealingOptions {
  static constexpr int64_t kMaxLevels = 100'000;

  // t: strictly increasing, > 0, the last is 1. Empty = no annealing.
  std::vector<double> schedule;
  enum class Weights {
    kNone,        // simulated annealing
    kImportance,  // annealed importance sampling: a weight for every chain
    kPopulation,  // sequential Monte Carlo: chains are resampled, too
  };
  Weights weights = Weights::kNone;
  // kPopulation: groups of chains that are resampled among themselves; equal
  // in size. Their spread is what an interval for ln Z comes from.
  int64_t islands = 1;
  // kPopulation: resample when the effective sample size of the weights falls
  // below this share of the chains; (0, 1].
  double resample_below = 0.5;
  enum class Base {
    kUniform,     // chains start uniformly, from a volume of exp(log_volume)
    kInitialLaw,  // they start from the model's initial law, not uniform
    kModel,       // they start from SampleSpec::base: weights are of ln Z / Z_0
  };
  Base base = Base::kUniform;
  double log_volume = 0;
  // kImportance, kUniform: from t = 1, where chains must start as exact
  // samples, back to 0; the weights are those that the way there would have
  // had (Grosse, Ghahramani and Adams 2015).
  enum class Direction { kForward, kReverse };
  Direction direction = Direction::kForward;
};

// Ends a request early. Looked at as kept states accumulate.
struct StopOptions {
  double rhat_below = 0;  // > 1; 0 = not asked
  double ess_above = 0;   // > 0; 0 = not asked. Bulk and tail
  bool any() const { return rhat_below > 0 || ess_above > 0; }
};

// Where earlier transitions of the same chains have left off.
struct ResumePoint {
  int64_t steps = 0;                         // transitions done
  std::vector<float> momenta;                // [rows, D], or empty
  std::vector<double> step_sizes;            // [replicas], or empty
  std::vector<double> inverse_temperatures;  // [replicas], or empty
  std::vector<double> log_weights;           // [chains], or empty
};

struct SampleSpec {
  std::shared_ptr<const EnergyModel> model;
  // The cheap model of kDelayedAcceptance, of the same dimension.
  std::shared_ptr<const EnergyModel> surrogate;
  // Where AnnealingOptions::Base::kModel begins, of the same domain.
  std::shared_ptr<const EnergyModel> base;
  TransitionParams transition;
  double inverse_temperature = 1;
  Box box;  // where the chains live
  // The same for each coordinate, [D] both; empty = box.
  std::vector<float> box_lower;
  std::vector<float> box_upper;
  // See ChainTile::scale, [D]: 0 = clamped; empty = 1.
  std::vector<float> scale;
  // Of kRandomWalk: lower triangle of a Cholesky factor of the proposal's
  // covariance, [D, D]; empty = none.
  std::vector<float> covariance_factor;
  AdaptationOptions adaptation;
  TemperingOptions tempering;
  AnnealingOptions annealing;
  StopOptions stop_when;
  ResumePoint resume;
  int64_t chains = 1;
  int64_t warmup = 0;      // transitions whose states are discarded
  int64_t steps = 0;       // transitions after warm-up
  int64_t keep_every = 0;  // keep every k-th state; 0 = only the last
  uint64_t seed = 0;
  // Starting states, [rows, D], a row for each replica of each chain: chain c's
  // are c * replicas() + k. The caller has drawn or checked them.
  std::vector<float> initial;
  // The model's context inputs, [chains, C], or [1, C] for all chains.
  std::vector<float> context;
  enum class Keep { kEnergies, kStates, kStatesAndGradients };
  Keep keep = Keep::kStates;
  // Bytes of finished frames that may wait for the consumer before chains
  // pause; at least two frames always may.
  int64_t max_pending_bytes = int64_t{8} << 20;
  JobOptions options;

  // Rows that each chain has.
  int64_t replicas() const {
    return std::max<int64_t>(1, static_cast<int64_t>(tempering.ladder.size()));
  }
  int64_t rows() const { return chains * replicas(); }
  // Where coordinate i lives.
  Box box_of(size_t i) const {
    return box_lower.empty() ? box : Box{box_lower[i], box_upper[i]};
  }
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
  // As SampleSpec::stop_when last saw them; NaN before, and without it.
  double max_rhat = std::numeric_limits<double>::quiet_NaN();
  double min_ess = std::numeric_limits<double>::quiet_NaN();  // bulk and tail
};

struct SampleResult {
  absl::Status status;     // OK, or why the job ended early
  bool truncated = false;  // ended early with kPartial
  DeclaredTarget target;
  int64_t chain_steps = 0;  // done, warm-up included
  double acceptance = 0;    // after warm-up; NaN if there is none
  // The same with the warm-up: along an annealing path.
  double path_acceptance = std::numeric_limits<double>::quiet_NaN();
  double mean_energy = 0;  // of the last states; NaN if all diverged
  std::vector<int64_t>
      diverged_chains;  // chain indices, ascending, the first 100
  int64_t num_diverged = 0;
  // Traces of the energy and of up to 15 coordinates, evenly spaced, for
  // Diagnose(); empty if fewer than 4 states were kept.
  ChainTraces traces;
  // The chains' last states, [chains, D]; for writing back to a replay buffer.
  std::vector<float> last_states;
  // Why it ended before its last step.
  bool converged = false;  // StopOptions held
  int64_t steps = 0;       // transitions per chain after warm-up
  bool tuned = false;      // by adaptation
  // What adaptation came to; the parameters used, without it.
  TransitionParams transition;
  std::vector<float> scale;  // [D], or empty
  struct Replica {
    double inverse_temperature = 0;
    double step_size = 0;
    double acceptance = 0;   // after warm-up; NaN if there is none
    double mean_energy = 0;  // of the last states; NaN if all diverged
    double swap_rate = 0;    // with the next replica, after warm-up; NaN
  };
  std::vector<Replica> replicas;     // one without tempering
  int64_t round_trips = 0;           // of states through the whole ladder
  std::vector<double> log_weights;   // [chains], or empty
  std::vector<double> island_log_z;  // [islands], of kPopulation, or empty
  // To go on from; empty unless the request ran to its end. last_states are
  // those of all rows then.
  ResumePoint resume;
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
  std::vector<double> energies;        // [rows]; NaN or infinite as computed
  std::vector<float> grad_energies;    // [rows, D], or empty
  std::vector<double> class_energies;  // [rows, K], or empty
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
