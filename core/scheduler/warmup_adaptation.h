#ifndef BASIN_CORE_SCHEDULER_WARMUP_ADAPTATION_H_
#define BASIN_CORE_SCHEDULER_WARMUP_ADAPTATION_H_

#include <cstdint>
#include <vector>

#include "core/sampler/adaptation.h"
#include "core/sampler/transition.h"
#include "core/scheduler/ensemble.h"
#include "core/scheduler/job.h"

namespace basin::internal {

// Tunes step sizes, one for each replica, and the diagonal metric during
// warm-up, from all chains of the request together. After it nothing changes
// any more, so that the chains kept are Markov chains.
class WarmupAdaptation final : public Meeting {
 public:
  // Of `spec`, whose adaptation asks for something and whose
  // transition.step_size is where tuning starts. REQUIRES: `transition` has
  // acceptance.
  WarmupAdaptation(const SampleSpec& spec, const Transition& transition);

  int64_t NextAfter(int64_t done) const override;
  void Hold(int64_t done, ChainRows& rows, MovingSettings& settings) override;

 private:
  const WarmupWindow& WindowOf(int64_t done) const;
  // Transitions between meetings.
  int64_t RoundOf(const WarmupWindow& window) const;
  void TuneSteps(int64_t done, ChainRows& rows, MovingSettings& settings);
  void GatherStates(const ChainRows& rows);
  void SetMetric(MovingSettings& settings);

  const Transition& transition_;
  const AdaptationOptions options_;
  const int64_t warmup_;
  const std::vector<WarmupWindow> windows_;
  std::vector<StepSizeTuner> tuners_;  // [replicas], or empty
  PooledVariance variance_;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_WARMUP_ADAPTATION_H_
