#include <cmath>

#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Underdamped Langevin dynamics by the splitting BAOAB, with U = beta E. In
// lengths of the scale s, with time step h and friction gamma:
//
//   B  p <- p - h/2 grad U(x)
//   A  x <- x + h/2 p
//   O  p <- c p + sqrt(1 - c^2) xi,   c = exp(-gamma h),  xi ~ N(0, I)
//   A  x <- x + h/2 p
//   B  p <- p - h/2 grad U(x)
//
// The temperature is in U, so momenta are N(0, I) at every temperature; a
// chain's first is drawn from there. In a box, A reflects x at the faces and
// changes the sign of its momentum. The law of x is p up to O(h^2), and without
// any error if E is quadratic (and h below its limit of stability).
//
// Leimkuhler and Matthews, "Rational construction of stochastic numerical
// methods for molecular sampling", Appl. Math. Res. Express 2013(1), 2013.
class Underdamped final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kUnderdamped; }
  std::string_view name() const override { return "underdamped"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool carries_momentum() const override { return true; }
  bool has_acceptance() const override { return false; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kBiased, .order = 2};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    const double h = params.step_size;
    BASIN_RETURN_IF_ERROR(CheckPositive("transition.underdamped.step_size", h));
    BASIN_RETURN_IF_ERROR(CheckPositiveOrZero(
        "transition.underdamped.friction", params.friction, "the default, 1"));
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    const double damping = FrictionOr(params, 1) * h;
    return ChainCoefficients{
        .drift = static_cast<float>(h * inverse_temperature),
        .noise = static_cast<float>(std::sqrt(-std::expm1(-2 * damping))),
        .beta = static_cast<float>(inverse_temperature),
        .move = static_cast<float>(h),
        .persistence = static_cast<float>(std::exp(-damping))};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    const TileOps::MomentumKick half_kick = {.from = tile.momentum,
                                             .grad_energy = tile.grad_energy,
                                             .share = 0.5F,
                                             .to = tile.momentum};
    const TileOps::Flight half_flight = {
        .from = tile.position,
        .momentum = tile.momentum,
        .share = 0.5F,
        .at_faces = TileOps::Confinement::kReflect,
        .to = tile.position};
    ops.StartMomentum(tile);
    ops.Kick(tile, half_kick);
    ops.Fly(tile, half_flight);
    ops.RefreshMomentum(tile, TileOps::Noise::kOn);
    ops.Fly(tile, half_flight);
    BASIN_RETURN_IF_ERROR(energy.EnergyAndGradient(
        tile.rows, tile.position, tile.energy, tile.grad_energy));
    ops.Kick(tile, half_kick);
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& UnderdampedTransition() {
  static const Underdamped underdamped;
  return underdamped;
}

}  // namespace basin::internal
