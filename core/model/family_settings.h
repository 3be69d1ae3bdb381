#ifndef BASIN_CORE_MODEL_FAMILY_SETTINGS_H_
#define BASIN_CORE_MODEL_FAMILY_SETTINGS_H_

// The parts of a config.pbtxt that belong to one family. For
// core/model/model_settings.cc.

#include <absl/status/status.h>

#include "core/model/model_config.pb.h"
#include "core/model/model_settings.h"

namespace basin::internal {

// Reads config.family() and the message of that family. InvalidArgument if
// there is one of another family.
absl::Status ReadFamily(const config::ModelConfig& config,
                        ModelSettings* settings);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_FAMILY_SETTINGS_H_
