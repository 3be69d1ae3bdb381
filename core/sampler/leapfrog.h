#ifndef BASIN_CORE_SAMPLER_LEAPFROG_H_
#define BASIN_CORE_SAMPLER_LEAPFROG_H_

#include <absl/status/status.h>

#include "core/backend/chain_tile.h"
#include "core/backend/tile_ops.h"
#include "core/model/energy_function.h"

namespace basin::internal {

// Hamilton's equations of H = beta E(x) + |p|^2 / 2 in lengths of the scale,
// from (position, momentum) to (proposal, proposal_momentum), by as many leaps
// as each row's step is long:
//
//   p <- p - epsilon/2 beta s grad E(x)
//   x <- x + epsilon s p
//   p <- p - epsilon/2 beta s grad E(x)
//
// with drift = epsilon beta and move = epsilon. In a box a coordinate flies as
// between mirrors. The map keeps volume, and is its own inverse if the sign of
// p is changed. One evaluation of the gradient a leap; sets proposal_energy
// and proposal_grad_energy.
//
// Shorter rows wait for the longest with their end points: they are evaluated
// there again, to the same bits.
//
// REQUIRES: grad_energy is that of position.
absl::Status Leapfrog(EnergyFunction& energy, const TileOps& ops,
                      const ChainTile& tile);

// Sets log_ratio to H(position, momentum) - H(proposal, proposal_momentum).
void SetHamiltonianLogRatio(const TileOps& ops, const ChainTile& tile);

}  // namespace basin::internal

#endif  // BASIN_CORE_SAMPLER_LEAPFROG_H_
