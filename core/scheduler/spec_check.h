#ifndef BASIN_CORE_SCHEDULER_SPEC_CHECK_H_
#define BASIN_CORE_SCHEDULER_SPEC_CHECK_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/backend/backend.h"
#include "core/sampler/transition.h"
#include "core/scheduler/job.h"
#include "core/scheduler/policy.h"

namespace basin::internal {

// Checks every field of a request. InvalidArgument naming the field, what was
// expected and what came. Pure; thread-safe.
absl::Status CheckSample(const SampleSpec& spec, const Backend& backend);
// The part of CheckSample() that DemandOf() relies on.
absl::Status CheckSampleCounts(const SampleSpec& spec);
absl::Status CheckScore(const ScoreSpec& spec, const Backend& backend);

// What a checked request needs: its rows, its bytes while it is held, and its
// work by the cost that was measured when the model was loaded.
Demand DemandOf(const SampleSpec& spec);
Demand DemandOf(const ScoreSpec& spec);

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_SPEC_CHECK_H_
