#ifndef BASIN_CORE_SCHEDULER_SAMPLE_JOB_H_
#define BASIN_CORE_SCHEDULER_SAMPLE_JOB_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>

#include "core/backend/backend.h"
#include "core/base/mutex.h"
#include "core/sampler/transition.h"
#include "core/scheduler/annealing_path.h"
#include "core/scheduler/ensemble.h"
#include "core/scheduler/frame_ring.h"
#include "core/scheduler/job.h"
#include "core/scheduler/population.h"
#include "core/scheduler/row_job.h"
#include "core/scheduler/tempering_swaps.h"
#include "core/scheduler/trace_recorder.h"

namespace basin::internal {

class RunQueue;

// What one quantum did to neighbouring chains of a job.
struct ChainTally {
  int64_t chain_steps = 0;
  int64_t proposals = 0;  // warm-up included
  int64_t accepts = 0;
  int64_t energies = 0;   // how many more chains have a known energy
  double energy_sum = 0;  // change of the sum of the known energies
};

// A Sample request: its chains' rows between quanta, and what becomes of
// them. See RowJob and SampleJob for thread safety. Rows are numbered as in
// ChainRows; those of replica 0 are the chains that the request sees.
class SampleJobImpl final : public SampleJob, public RowJob {
 public:
  // Bytes that a job holds from its creation until it is destroyed.
  static int64_t HeldBytes(const SampleSpec& spec, int64_t dimension);

  // `spec` is checked. `covariance_factor`: that of the spec on the device, or
  // null. HeldBytes() are released to `run_queue` at the end.
  SampleJobImpl(SampleSpec spec, DeviceMemory covariance_factor,
                std::shared_ptr<RunQueue> run_queue);
  ~SampleJobImpl() override;

  // SampleJob:
  std::optional<Frame> TakeFrame() override;
  SampleProgress Progress() const override;
  bool Done() const override;
  SampleResult TakeResult() override;
  void Cancel(absl::Status why) override;

  // RowJob:
  int64_t StepsAllowed(int64_t done) const override;
  void Finish(const JobEnd& end) override;
  int64_t UnseenSteps() const override;

  // For the worker that runs the rows concerned; takes no lock.
  const Transition& transition() const { return transition_; }
  // What a row's transition after `done` ones goes by.
  const ChainCoefficients& CoefficientsOf(int64_t row, int64_t done) const;
  // True if they are not those of the transition before.
  bool ChangesCoefficients(int64_t done) const {
    return path_.levels() > 1 && path_.Starts(done);
  }
  const Box& box() const { return spec_.box; }
  // Per coordinate [D], or empty: see SampleSpec.
  const std::vector<float>& box_lower() const { return spec_.box_lower; }
  const std::vector<float>& box_upper() const { return spec_.box_upper; }
  const std::vector<float>& scale() const { return settings_.scale; }
  const float* covariance_factor() const {
    return reinterpret_cast<const float*>(covariance_factor_.get());
  }
  uint64_t seed() const { return spec_.seed; }
  // Transitions that the chains had made before this request.
  int64_t first_step() const { return spec_.resume.steps; }
  int64_t warmup() const { return spec_.warmup; }
  bool wants_gradients() const {
    return spec_.keep == SampleSpec::Keep::kStatesAndGradients;
  }
  // True if AddAcceptance() wants to be told of transition `done`.
  bool CountsAcceptance(int64_t done) const {
    return tunes_ && done <= spec_.warmup;
  }
  // True if the energy after `done` transitions must be known, whatever the
  // transition carries.
  bool NeedsEnergy(int64_t done) const;
  // True if chains gain weight before the transition after `done` ones,
  // outside of meetings.
  bool GainsWeight(int64_t done) const;
  // True if what is carried must be evaluated anew before that transition.
  bool NeedsValues(int64_t done) const {
    return done == 0 || (path_.has_base() && path_.Starts(done));
  }
  // True if energies are those of an annealing path with a base.
  bool has_base() const { return path_.has_base(); }
  // How far an energy is above the base's; that of a law is -ln p, whatever
  // the temperature is.
  double AboveBase(double energy, double base_energy) const {
    const bool law =
        spec_.annealing.base == AnnealingOptions::Base::kInitialLaw;
    return energy -
           (law ? base_energy / spec_.inverse_temperature : base_energy);
  }

  // The rows from `row` on. energies and grad_energies hold the carried
  // values between quanta; null where there are none.
  struct Rows {
    float* states = nullptr;
    double* energies = nullptr;
    float* grad_energies = nullptr;
    float* momenta = nullptr;
  };
  Rows RowsFrom(int64_t row);
  // Whether a row is a chain that the request sees.
  bool IsSeen(int64_t row) const { return row % rows_.replicas == 0; }
  // The frame of the state after `done` transitions, or -1.
  int64_t FrameAt(int64_t done) const;
  // How many frames have been filled after `done` transitions.
  int64_t FramesUpTo(int64_t done) const;
  // Fills a row's place in a frame, if the request sees the row. `state` [D],
  // `grad_energy` [D] or null.
  void Keep(int64_t frame, int64_t row, double energy, const float* state,
            const float* grad_energy);
  // Sets the energy last seen of a row; NaN for unknown.
  void SetEnergy(int64_t row, double energy, ChainTally* tally);
  // The row gains weight for the level that it enters after `done`.
  void AddLogWeight(int64_t row, int64_t done, double energy);
  // A row's proposal of transition `done`, accepted or not.
  void CountProposal(int64_t row, int64_t done, uint8_t accepted);
  // The same, for tuning.
  void AddAcceptance(int64_t row, double log_ratio);
  // The row ends: it becomes NaN.
  void Invalidate(int64_t row, ChainTally* tally);

  // The worker's reports at the end of a quantum.
  void PostTally(const ChainTally& tally);
  // `chains` seen rows went from `from` to `to` transitions done.
  void PostFrames(int64_t chains, int64_t from, int64_t to);
  // A row diverged: after `from` at the quantum's start it has filled the
  // frames up to `to` transitions.
  void PostDivergence(int64_t row, int64_t from, int64_t to);
  // Of the rows that a worker moved, `going` are at `done` transitions now,
  // and `ended` have ended. The worker that brings the last ones to a meeting
  // holds it here, while no other touches the rows.
  void PostArrivals(int64_t going, int64_t ended, int64_t done);

 private:
  void AddMeetings();
  void HoldMeeting(int64_t done);
  void PlanMeetings(int64_t done);
  void UpdateProgress();
  SampleResult MakeResult(const JobEnd& end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DescribeEnsemble(SampleResult* result) const;
  void DescribeResume(const JobEnd& end, SampleResult* result);
  double MeanEnergy(int64_t replica) const;
  int64_t ChainOf(int64_t row) const { return row / rows_.replicas; }

  SampleSpec spec_;  // constant, but for what has been moved to rows_
  const Transition& transition_;
  const AnnealingPath path_;
  const bool tunes_;
  const std::shared_ptr<RunQueue> run_queue_;
  const int64_t held_bytes_;
  const DeviceMemory covariance_factor_;
  std::vector<ChainCoefficients> level_coefficients_;  // by level of path_

  ChainRows rows_;  // see RowJob
  TraceRecorder traces_;
  FrameRing frames_;  // thread-safe

  // Read by whoever runs rows; written in meetings, while nobody does.
  MovingSettings settings_;
  std::vector<std::unique_ptr<Meeting>> meetings_;
  std::vector<int64_t> next_;               // NextAfter() of each
  const TemperingSwaps* swaps_ = nullptr;   // of meetings_, or null
  const Population* population_ = nullptr;  // of meetings_, or null
  int64_t stopped_at_ = -1;  // transitions, where StopOptions held
  // The transition count of the next meeting; Meeting::kNever.
  std::atomic<int64_t> meeting_at_{Meeting::kNever};
  std::atomic<bool> meeting_needs_energies_{false};

  mutable Mutex mu_;
  int64_t arrived_ ABSL_GUARDED_BY(mu_) = 0;     // rows, at meeting_at_
  int64_t ended_rows_ ABSL_GUARDED_BY(mu_) = 0;  // rows
  ChainTally total_ ABSL_GUARDED_BY(mu_);
  double max_rhat_ ABSL_GUARDED_BY(mu_) = MovingSettings().max_rhat;
  double min_ess_ ABSL_GUARDED_BY(mu_) = MovingSettings().min_ess;
  std::vector<int64_t> diverged_ ABSL_GUARDED_BY(mu_);  // chains
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  SampleResult result_ ABSL_GUARDED_BY(mu_);
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_SAMPLE_JOB_H_
