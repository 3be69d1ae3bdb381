#ifndef BASIN_CORE_SCHEDULER_ENSEMBLE_CHECK_H_
#define BASIN_CORE_SCHEDULER_ENSEMBLE_CHECK_H_

#include <absl/status/status.h>

#include "core/scheduler/job.h"

namespace basin::internal {

// The part of CheckSample() that is about how chains move and what they do
// together: parameters of the transition at every temperature, scale and box,
// surrogate, adaptation, tempering, annealing, early stop, resumption.
// REQUIRES: CheckSampleCounts() accepts the request.
absl::Status CheckEnsemble(const SampleSpec& spec);

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_ENSEMBLE_CHECK_H_
