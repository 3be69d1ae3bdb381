#include <limits>

#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Random-walk Metropolis, with U = beta E. The proposal
//
//   x' = x + sigma xi,   xi ~ N(0, I),
//
// reflected at the faces of the box, which keeps it symmetric, is accepted for
// each chain by itself with probability min(1, exp(U(x) - U(x'))). Needs no
// gradient. Exact; best tuned to an acceptance of .234, or .44 in one
// dimension.
//
// Metropolis et al., J. Chem. Phys. 21(6), 1953; Roberts, Gelman and Gilks,
// "Weak convergence and optimal scaling of random walk Metropolis algorithms",
// Ann. Appl. Probab. 7(1), 1997.
class RandomWalk final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kRandomWalk; }
  std::string_view name() const override { return "random_walk"; }
  Carried carried() const override { return Carried::kEnergy; }
  bool has_acceptance() const override { return true; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    BASIN_RETURN_IF_ERROR(
        CheckPositive("transition.random_walk.step_size", params.step_size));
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    return ChainCoefficients{.drift = 0,
                             .noise = static_cast<float>(params.step_size),
                             .clip = std::numeric_limits<float>::infinity(),
                             .beta = static_cast<float>(inverse_temperature)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    ops.Displace(tile, {.from = tile.position,
                        .grad_energy = nullptr,
                        .noise = TileOps::Noise::kOn,
                        .to = tile.proposal});
    ops.Confine(tile, TileOps::Confinement::kReflect, tile.proposal);
    BASIN_RETURN_IF_ERROR(
        energy.Energy(tile.rows, tile.proposal, tile.proposal_energy));
    ops.SetEnergyLogRatio(tile);
    // Accepting must not copy gradients, which are not computed here.
    ChainTile without_gradient = tile;
    without_gradient.grad_energy = nullptr;
    ops.AcceptOrReject(without_gradient);
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& RandomWalkTransition() {
  static const RandomWalk random_walk;
  return random_walk;
}

}  // namespace basin::internal
