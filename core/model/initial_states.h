#ifndef BASIN_CORE_MODEL_INITIAL_STATES_H_
#define BASIN_CORE_MODEL_INITIAL_STATES_H_

#include <cstdint>

#include <absl/types/span.h>

#include "core/model/model_info.h"

namespace basin {

// Draws the starting state of one chain, [D], from `law`. Depends on seed and
// chain index alone.
void DrawInitialState(const InitialLaw& law, uint64_t seed, uint64_t chain,
                      absl::Span<float> state);

}  // namespace basin

#endif  // BASIN_CORE_MODEL_INITIAL_STATES_H_
