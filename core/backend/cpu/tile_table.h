#ifndef BASIN_CORE_BACKEND_CPU_TILE_TABLE_H_
#define BASIN_CORE_BACKEND_CPU_TILE_TABLE_H_

#include <cstdint>

#include "core/backend/chain_tile.h"
#include "core/backend/tile_ops.h"

namespace basin {

// The loops behind TileOps, one table per instruction set, see
// core/base/cpu_isa.h. Each function is the TileOps function of its name.
struct TileTable {
  void (*displace)(const ChainTile& tile, const TileOps::Displacement& move);
  void (*confine)(const ChainTile& tile, TileOps::Confinement how, float* x);
  void (*add_move_log_density)(const ChainTile& tile,
                               const TileOps::MoveDensity& move);
  void (*set_energy_log_ratio)(const ChainTile& tile);
  void (*accept_or_reject)(const ChainTile& tile);
  void (*find_finite)(const ChainTile& tile, const float* x,
                      const double* energy, uint8_t* finite);
};

// Defined in core/backend/cpu/tile_ops_isa.cc.
namespace isa_baseline {
extern const TileTable kTileTable;
}
namespace isa_v3 {
extern const TileTable kTileTable;
}
namespace isa_v4 {
extern const TileTable kTileTable;
}

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_TILE_TABLE_H_
