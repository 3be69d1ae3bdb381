#ifndef BASIN_CORE_MODEL_DOMAIN_SETTINGS_H_
#define BASIN_CORE_MODEL_DOMAIN_SETTINGS_H_

// The domain and the initial law of a config.pbtxt. For
// core/model/model_settings.cc, which declares CompleteDomain() and
// CompleteInitial() for all.

#include <optional>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/model/model_config.pb.h"
#include "core/model/model_settings.h"

namespace basin::internal {

// Sets settings->domain, if there is one.
absl::Status ReadDomain(const config::ModelConfig& config,
                        ModelSettings* settings);

// The law that is said, if any.
absl::StatusOr<std::optional<InitialLaw>> ReadInitial(
    const config::Initial& config);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_DOMAIN_SETTINGS_H_
