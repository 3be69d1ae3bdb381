#ifndef BASIN_CORE_BACKEND_CPU_DISCRETE_TABLE_H_
#define BASIN_CORE_BACKEND_CPU_DISCRETE_TABLE_H_

#include <cstdint>

#include "core/backend/chain_tile.h"
#include "core/backend/discrete_ops.h"

namespace basin {

// The loops behind DiscreteOps, one table of each kind per instruction set,
// see core/base/cpu_isa.h. Each function is the DiscreteOps function of its
// name.
struct BlockTable {
  void (*evaluate_field)(const BlockLaw& law, int rows, int64_t dimension,
                         float* parameter);
  void (*draw_block)(const ChainTile& tile, const BlockLaw& law,
                     uint32_t first_quad);
};

struct SiteTable {
  void (*propose_site)(const ChainTile& tile, int move,
                       DiscreteOps::SiteClass how);
  void (*advance_site)(const ChainTile& tile, int move);
  void (*draw_candidate)(const ChainTile& tile, int move, int candidate);
};

struct GradientTable {
  void (*propose_by_gradient)(const ChainTile& tile);
  void (*add_site_log_probability)(const ChainTile& tile,
                                   const DiscreteOps::MoveDensity& move);
  void (*propose_all_sites)(const ChainTile& tile);
  void (*add_all_sites_log_probability)(const ChainTile& tile,
                                        const DiscreteOps::MoveDensity& move);
};

// Defined in core/backend/cpu/discrete_{block,site,gradient}_isa.cc.
namespace isa_baseline {
extern const BlockTable kBlockTable;
extern const SiteTable kSiteTable;
extern const GradientTable kGradientTable;
}  // namespace isa_baseline
namespace isa_v3 {
extern const BlockTable kBlockTable;
extern const SiteTable kSiteTable;
extern const GradientTable kGradientTable;
}  // namespace isa_v3
namespace isa_v4 {
extern const BlockTable kBlockTable;
extern const SiteTable kSiteTable;
extern const GradientTable kGradientTable;
}  // namespace isa_v4

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_DISCRETE_TABLE_H_
