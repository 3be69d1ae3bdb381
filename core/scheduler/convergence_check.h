#ifndef BASIN_CORE_SCHEDULER_CONVERGENCE_CHECK_H_
#define BASIN_CORE_SCHEDULER_CONVERGENCE_CHECK_H_

#include <cstdint>

#include "core/scheduler/ensemble.h"
#include "core/scheduler/job.h"
#include "core/scheduler/trace_recorder.h"

namespace basin::internal {

// What can be looked at of a request: looking takes time in a quantum.
inline constexpr int64_t kMaxLookBytes = int64_t{4} << 20;

// Ends a request when its kept states say enough: looks at them each time that
// there are a quarter more, so that all looks together cost a few times the
// last one.
class ConvergenceCheck final : public Meeting {
 public:
  // `traces` records the kept states and must outlive this object.
  // REQUIRES: spec.keep_every > 0.
  ConvergenceCheck(const SampleSpec& spec, const TraceRecorder& traces);

  int64_t NextAfter(int64_t done) const override;
  void Hold(int64_t done, ChainRows& rows, MovingSettings& settings) override;

 private:
  const StopOptions options_;
  const int64_t warmup_;
  const int64_t keep_every_;
  const TraceRecorder& traces_;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_CONVERGENCE_CHECK_H_
