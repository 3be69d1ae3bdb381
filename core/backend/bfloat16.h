#ifndef BASIN_CORE_BACKEND_BFLOAT16_H_
#define BASIN_CORE_BACKEND_BFLOAT16_H_

// How devices compute Precision::kBFloat16.

#include <string>

#include "core/backend/backend.h"

namespace basin {

// In words, for people who ask how a model of this precision is computed on
// `device`; empty where its processor multiplies bfloat16 fast.
std::string BFloat16Note(const DeviceInfo& device);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_BFLOAT16_H_
