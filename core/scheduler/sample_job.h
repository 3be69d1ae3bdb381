#ifndef BASIN_CORE_SCHEDULER_SAMPLE_JOB_H_
#define BASIN_CORE_SCHEDULER_SAMPLE_JOB_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>

#include "core/base/mutex.h"
#include "core/sampler/transition.h"
#include "core/scheduler/frame_ring.h"
#include "core/scheduler/job.h"
#include "core/scheduler/row_job.h"
#include "core/scheduler/trace_recorder.h"

namespace basin::internal {

class RunQueue;

// What one quantum did to neighbouring chains of a job.
struct ChainTally {
  int64_t chain_steps = 0;
  int64_t proposals = 0;  // warm-up included
  int64_t accepts = 0;
  int64_t kept_proposals = 0;  // after warm-up
  int64_t kept_accepts = 0;
  int64_t energies = 0;   // how many more chains have a known energy
  double energy_sum = 0;  // change of the sum of the known energies
};

// A Sample request: its chains' rows between quanta, and what becomes of
// them. See RowJob and SampleJob for thread safety.
class SampleJobImpl final : public SampleJob, public RowJob {
 public:
  // Bytes that a job holds from its creation until it is destroyed.
  static int64_t HeldBytes(const SampleSpec& spec, int64_t dimension);

  // `spec` is checked, its coefficients are `coefficients`. HeldBytes() are
  // released to `run_queue` at the end.
  SampleJobImpl(SampleSpec spec, const ChainCoefficients& coefficients,
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

  // For the worker that runs the chains concerned; takes no lock.
  const Transition& transition() const { return transition_; }
  const ChainCoefficients& coefficients() const { return coefficients_; }
  const Box& box() const { return spec_.box; }
  uint64_t seed() const { return spec_.seed; }
  int64_t warmup() const { return spec_.warmup; }
  bool wants_gradients() const {
    return spec_.keep == SampleSpec::Keep::kStatesAndGradients;
  }
  // The rows of chains from `chain` on. energies and grad_energies hold the
  // carried values between quanta; grad_energies is null if they are none.
  FrameRing::Rows RowsFrom(int64_t chain);
  // The frame of the state after `done` transitions, or -1.
  int64_t FrameAt(int64_t done) const;
  // How many frames have been filled after `done` transitions.
  int64_t FramesUpTo(int64_t done) const;
  // Fills a chain's rows of a frame. `state` [D], `grad_energy` [D] or null.
  void Keep(int64_t frame, int64_t chain, double energy, const float* state,
            const float* grad_energy);
  // Sets the energy last seen of a chain; NaN for unknown.
  void SetEnergy(int64_t chain, double energy, ChainTally* tally);
  // The chain ends: its rows become NaN.
  void Invalidate(int64_t chain, ChainTally* tally);

  // The worker's reports at the end of a quantum.
  void PostTally(const ChainTally& tally);
  // `chains` chains went from `from` to `to` transitions done.
  void PostFrames(int64_t chains, int64_t from, int64_t to);
  // A chain diverged: after `from` at the quantum's start it has filled the
  // frames up to `to` transitions.
  void PostDivergence(int64_t chain, int64_t from, int64_t to);

 private:
  SampleResult MakeResult(const JobEnd& end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  double MeanEnergy() const;

  SampleSpec spec_;  // constant, but for `initial`, which has become states_
  const int64_t dimension_;
  const Transition& transition_;
  const ChainCoefficients coefficients_;
  const std::shared_ptr<RunQueue> run_queue_;
  const int64_t held_bytes_;

  // Rows of chains: see RowJob.
  std::vector<float> states_;         // [chains, D]
  std::vector<double> energies_;      // [chains], NaN where not known
  std::vector<float> grad_energies_;  // [chains, D], or empty
  TraceRecorder traces_;
  FrameRing frames_;  // thread-safe

  mutable Mutex mu_;
  ChainTally total_ ABSL_GUARDED_BY(mu_);
  std::vector<int64_t> diverged_ ABSL_GUARDED_BY(mu_);
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  SampleResult result_ ABSL_GUARDED_BY(mu_);
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_SAMPLE_JOB_H_
