#include <cmath>
#include <limits>

#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// The Metropolis-adjusted Langevin algorithm, with U = beta E. The proposal
//
//   x' = x - epsilon grad U(x) + sqrt(2 epsilon) xi,   xi ~ N(0, I),
//
// is accepted, for each chain by itself, with probability
//
//   min(1, exp(U(x) - U(x')) q(x | x') / q(x' | x)),
//   log q(b | a) = -|b - a + epsilon grad U(a)|^2 / (4 epsilon).
//
// A proposal outside the box, where p = 0, is rejected. Exact; best tuned to
// an acceptance of .574.
//
// Roberts and Rosenthal, "Optimal scaling of discrete approximations to
// Langevin diffusions", J. R. Statist. Soc. B 60(1), 1998.
class Mala final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kMala; }
  std::string_view name() const override { return "mala"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool has_acceptance() const override { return true; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    const double epsilon = params.step_size;
    BASIN_RETURN_IF_ERROR(CheckPositive("transition.mala.step_size", epsilon));
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    return ChainCoefficients{
        .drift = static_cast<float>(epsilon * inverse_temperature),
        .noise = static_cast<float>(std::sqrt(2 * epsilon)),
        .clip = std::numeric_limits<float>::infinity(),
        .beta = static_cast<float>(inverse_temperature)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    ops.Displace(tile, {.from = tile.position,
                        .grad_energy = tile.grad_energy,
                        .noise = TileOps::Noise::kOn,
                        .to = tile.proposal});
    BASIN_RETURN_IF_ERROR(energy.DecidingEnergyAndGradient(
        tile.rows, tile.proposal, tile.proposal_energy,
        tile.proposal_grad_energy));
    ops.SetEnergyLogRatio(tile);
    // The way back, and the way there.
    ops.AddMoveLogDensity(tile, {.from = tile.proposal,
                                 .grad_energy = tile.proposal_grad_energy,
                                 .to = tile.position,
                                 .sign = 1,
                                 .log_density = tile.log_ratio});
    ops.AddMoveLogDensity(tile, {.from = tile.position,
                                 .grad_energy = tile.grad_energy,
                                 .to = tile.proposal,
                                 .sign = -1,
                                 .log_density = tile.log_ratio});
    ops.AcceptOrReject(tile);
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& MalaTransition() {
  static const Mala mala;
  return mala;
}

}  // namespace basin::internal
