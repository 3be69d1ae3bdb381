#ifndef BASIN_SERVER_ENSEMBLE_REQUEST_H_
#define BASIN_SERVER_ENSEMBLE_REQUEST_H_

// The fields of a SampleRequest that say what holds chains in place and what
// they do together: clamp, metric, box, adapt, tempering, annealing,
// stop_when. Pure functions; thread-safe. A request is trusted in nothing;
// what is checked here is shape and size, the rest is the scheduler's.

#include <cstdint>
#include <vector>

#include <absl/status/status.h>

#include "core/scheduler/job.h"

namespace basin {

namespace v1 {
class SampleRequest;
}  // namespace v1

// Fills in spec.box, box_lower and box_upper, within the model's domain.
absl::Status DecodeBox(const v1::SampleRequest& request, const ModelInfo& model,
                       SampleSpec& spec);

// Fills in spec.scale and spec.covariance_factor from metric and clamp.mask.
// `clamped`: clamp.values, [chains, D] or [1, D], or empty.
absl::Status DecodeClampAndMetric(const v1::SampleRequest& request,
                                  const ModelInfo& model, SampleSpec& spec,
                                  std::vector<float>& clamped);

// Fills in spec.adaptation, tempering, annealing and stop_when, with their
// defaults: a transition without its step size is tuned, and gets a warm-up
// for it. REQUIRES: the rest of `spec` but for initial states is filled in.
absl::Status DecodeEnsemble(const v1::SampleRequest& request,
                            const ModelInfo& model, SampleSpec& spec);

}  // namespace basin

#endif  // BASIN_SERVER_ENSEMBLE_REQUEST_H_
