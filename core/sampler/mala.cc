#include <cmath>

#include "core/base/status_macros.h"
#include "core/sampler/leapfrog.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// The Metropolis-adjusted Langevin algorithm, with U = beta E, as what it is:
// one leap of Hamiltonian Monte Carlo. In lengths of the scale s, with
// h = sqrt(2 epsilon):
//
//   p ~ N(0, I)
//   (x', p') = a leapfrog step of h from (x, p), see leapfrog.h
//
// x' is accepted, for each chain by itself, with probability
// min(1, exp(H(x, p) - H(x', p'))), H = U + |p|^2 / 2. Without a box this is
//
//   x' = x - epsilon grad U(x) + sqrt(2 epsilon) p
//   min(1, exp(U(x) - U(x')) q(x | x') / q(x' | x)),
//   log q(b | a) = -|b - a + epsilon grad U(a)|^2 / (4 epsilon),
//
// the algorithm as it is mostly written. In a box the leap is reflected at the
// faces, and stays exact: the map keeps volume and is its own inverse, while
// q of a reflected proposal would be a sum over its images. Best tuned to an
// acceptance of .574.
//
// Roberts and Rosenthal, "Optimal scaling of discrete approximations to
// Langevin diffusions", J. R. Statist. Soc. B 60(1), 1998; Neal, "MCMC using
// Hamiltonian dynamics", Handbook of MCMC, 2011, 5.2 (arXiv 1206.1901).
class Mala final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kMala; }
  std::string_view name() const override { return "mala"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool uses_momentum() const override { return true; }
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
    const double h = std::sqrt(2 * epsilon);
    return ChainCoefficients{
        .drift = static_cast<float>(h * inverse_temperature),
        .noise = 1,
        .beta = static_cast<float>(inverse_temperature),
        .move = static_cast<float>(h)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    ops.RefreshMomentum(tile, TileOps::Noise::kOn);
    BASIN_RETURN_IF_ERROR(Leapfrog(energy, ops, tile));
    SetHamiltonianLogRatio(ops, tile);
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
