#include "core/sampler/leapfrog.h"

#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

// Only the energies of the end points decide.
absl::Status EvaluateProposal(EnergyFunction& energy, const ChainTile& tile,
                              int leaps_left) {
  if (leaps_left > 0) {
    return energy.EnergyAndGradient(tile.rows, tile.proposal,
                                    tile.proposal_energy,
                                    tile.proposal_grad_energy);
  }
  return energy.DecidingEnergyAndGradient(tile.rows, tile.proposal,
                                          tile.proposal_energy,
                                          tile.proposal_grad_energy);
}

}  // namespace

absl::Status Leapfrog(EnergyFunction& energy, const TileOps& ops,
                      const ChainTile& tile) {
  const int longest = ops.LongestStep(tile);
  const float* position = tile.position;
  const float* momentum = tile.momentum;
  const float* grad_energy = tile.grad_energy;
  for (int leap = 0; leap < longest; ++leap) {
    ops.Kick(tile, {.from = momentum,
                    .grad_energy = grad_energy,
                    .share = 0.5F,
                    .to = tile.proposal_momentum,
                    .leap = leap});
    ops.Fly(tile, {.from = position,
                   .momentum = tile.proposal_momentum,
                   .at_faces = TileOps::Confinement::kReflect,
                   .to = tile.proposal,
                   .leap = leap});
    BASIN_RETURN_IF_ERROR(EvaluateProposal(energy, tile, longest - 1 - leap));
    ops.Kick(tile, {.from = tile.proposal_momentum,
                    .grad_energy = tile.proposal_grad_energy,
                    .share = 0.5F,
                    .to = tile.proposal_momentum,
                    .leap = leap});
    position = tile.proposal;
    momentum = tile.proposal_momentum;
    grad_energy = tile.proposal_grad_energy;
  }
  return absl::OkStatus();
}

void SetHamiltonianLogRatio(const TileOps& ops, const ChainTile& tile) {
  ops.SetEnergyLogRatio(tile);
  ops.AddKineticEnergy(tile, tile.momentum, 1, tile.log_ratio);
  ops.AddKineticEnergy(tile, tile.proposal_momentum, -1, tile.log_ratio);
}

}  // namespace basin::internal
