#ifndef BASIN_CORE_BACKEND_CPU_DISCRETE_OPS_CPU_H_
#define BASIN_CORE_BACKEND_CPU_DISCRETE_OPS_CPU_H_

#include <memory>

#include "core/backend/discrete_ops.h"
#include "core/base/cpu_isa.h"

namespace basin {

// Discrete tile operations in host memory with the instructions of `isa`; all
// sets give the same bits. Thread-safe; owned by the caller.
// REQUIRES: isa <= DetectedIsa().
std::unique_ptr<const DiscreteOps> CreateCpuDiscreteOps(CpuIsa isa);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_DISCRETE_OPS_CPU_H_
