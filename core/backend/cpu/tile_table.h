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
  void (*set_energy_log_ratio)(const ChainTile& tile);
  void (*add_energy_log_ratio)(const ChainTile& tile, const double* from_energy,
                               const double* to_energy);
  void (*accept_or_reject)(const ChainTile& tile,
                           const TileOps::Decision& decision);
  void (*set_law_energy)(const ChainTile& tile,
                         const TileOps::SeparableLaw& law, const float* x,
                         double* energy, float* grad_energy);
  void (*blend)(const ChainTile& tile, const TileOps::Blending& blending);
  void (*find_finite)(const ChainTile& tile, const float* x,
                      const double* energy, uint8_t* finite);
};

struct MomentumTable {
  void (*start_momentum)(const ChainTile& tile);
  void (*refresh_momentum)(const ChainTile& tile, TileOps::Noise noise);
  void (*kick)(const ChainTile& tile, const TileOps::MomentumKick& kick);
  void (*fly)(const ChainTile& tile, const TileOps::Flight& flight);
  void (*add_kinetic_energy)(const ChainTile& tile, const float* momentum,
                             double sign, double* log_density);
  int (*longest_step)(const ChainTile& tile);
};

// Defined in core/backend/cpu/tile_ops_isa.cc and momentum_isa.cc.
namespace isa_baseline {
extern const TileTable kTileTable;
extern const MomentumTable kMomentumTable;
}  // namespace isa_baseline
namespace isa_v3 {
extern const TileTable kTileTable;
extern const MomentumTable kMomentumTable;
}  // namespace isa_v3
namespace isa_v4 {
extern const TileTable kTileTable;
extern const MomentumTable kMomentumTable;
}  // namespace isa_v4

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_TILE_TABLE_H_
