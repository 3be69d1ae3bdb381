#ifndef BASIN_CORE_BACKEND_CPU_CHANNELS_LAST_H_
#define BASIN_CORE_BACKEND_CPU_CHANNELS_LAST_H_

#include <absl/status/statusor.h>

#include "core/graph/graph.h"

namespace basin {

// Moves the channels of images to their last axis: [N, C, s..] becomes
// [N, s.., C] wherever convolutions and pools are computed, and in all that
// works element by element on their images, so that a transpose remains only
// where images come from elsewhere or go there. `graph` must have been through
// Simplify(), and goes there again: neighbouring transposes cancel. See
// deploy/docs/adr. Pure; thread-safe.
absl::StatusOr<Graph> ToChannelsLast(const Graph& graph);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_CHANNELS_LAST_H_
