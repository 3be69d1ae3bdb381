#include <cmath>
#include <limits>

#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// The unadjusted Langevin algorithm, with U = beta E:
//
//   x' = x - epsilon grad U(x) + sqrt(2 epsilon) xi,   xi ~ N(0, I),
//
// reflected at the faces of the box. Its stationary law is p up to O(epsilon);
// on N(0, 1) the variance is 1 / (1 - epsilon / 2).
//
// Roberts and Tweedie, "Exponential convergence of Langevin distributions and
// their discrete approximations", Bernoulli 2(4), 1996.
class Ula final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kUla; }
  std::string_view name() const override { return "ula"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool has_acceptance() const override { return false; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kBiased, .order = 1};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    const double epsilon = params.step_size;
    BASIN_RETURN_IF_ERROR(CheckPositive("transition.ula.step_size", epsilon));
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
                        .to = tile.position});
    ops.Confine(tile, TileOps::Confinement::kReflect, tile.position);
    return energy.EnergyAndGradient(tile.rows, tile.position, tile.energy,
                                    tile.grad_energy);
  }
};

}  // namespace

const Transition& UlaTransition() {
  static const Ula ula;
  return ula;
}

}  // namespace basin::internal
