#ifndef BASIN_CORE_MODEL_INITIAL_MIXTURE_H_
#define BASIN_CORE_MODEL_INITIAL_MIXTURE_H_

// The initial law `mixture` of a config.pbtxt. For domain_settings.cc.

#include <cstdint>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/model/model_config.pb.h"
#include "core/model/model_info.h"

namespace basin::internal {

// Weights, means and covariances that make a law.
absl::StatusOr<InitialLaw> ReadInitialMixture(
    const config::Initial::Mixture& config);

// That it is one of this many coordinates, with all means in `box`.
absl::Status CheckInitialMixture(const MixtureLaw& law, const Box& box,
                                 int64_t dimension);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_INITIAL_MIXTURE_H_
