#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Descent of the gradient with momentum, the heavy-ball method: sampling at
// temperature 0. In lengths of the scale s, with step size epsilon and momentum
// mu:
//
//   p <- mu p - epsilon grad E(x)
//   x <- x + p
//
// from p = 0. What leaves the box stops at its face. On E = k/2 x^2 it
// converges for epsilon k < 2 (1 + mu), fastest with mu = (1 - sqrt(epsilon
// k))^2. There is no noise and no temperature: chains end where E is lowest
// nearby.
//
// Polyak, "Some methods of speeding up the convergence of iteration methods",
// USSR Comput. Math. Math. Phys. 4(5), 1964.
class Minimize final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kMinimize; }
  std::string_view name() const override { return "minimize"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool carries_momentum() const override { return true; }
  bool has_acceptance() const override { return false; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kRecipe, .effective_temperature = 0};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    BASIN_RETURN_IF_ERROR(
        CheckPositive("transition.minimize.step_size", params.step_size));
    BASIN_RETURN_IF_ERROR(
        CheckShare("transition.minimize.momentum", params.momentum, "[0, 1)"));
    if (inverse_temperature != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "inverse_temperature: expected 1, as minimize has no temperature, "
          "got ",
          inverse_temperature));
    }
    return ChainCoefficients{
        .drift = static_cast<float>(params.step_size),
        .move = 1,
        .persistence = static_cast<float>(params.momentum)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    ops.RefreshMomentum(tile, TileOps::Noise::kOff);
    ops.Kick(tile, {.from = tile.momentum,
                    .grad_energy = tile.grad_energy,
                    .to = tile.momentum});
    ops.Fly(tile, {.from = tile.position,
                   .momentum = tile.momentum,
                   .at_faces = TileOps::Confinement::kClip,
                   .to = tile.position});
    return energy.EnergyAndGradient(tile.rows, tile.position, tile.energy,
                                    tile.grad_energy);
  }
};

}  // namespace

const Transition& MinimizeTransition() {
  static const Minimize minimize;
  return minimize;
}

}  // namespace basin::internal
