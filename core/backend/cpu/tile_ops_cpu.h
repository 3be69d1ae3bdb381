#ifndef BASIN_CORE_BACKEND_CPU_TILE_OPS_CPU_H_
#define BASIN_CORE_BACKEND_CPU_TILE_OPS_CPU_H_

#include <memory>

#include "core/backend/tile_ops.h"
#include "core/base/cpu_isa.h"

namespace basin {

// Tile operations in host memory with the instructions of `isa`; all sets give
// the same bits. Thread-safe; owned by the caller.
// REQUIRES: isa <= DetectedIsa().
std::unique_ptr<const TileOps> CreateCpuTileOps(CpuIsa isa);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_TILE_OPS_CPU_H_
