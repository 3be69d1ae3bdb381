#include <limits>

#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// The sampler of JEM, a noisy descent:
//
//   x' = x - lambda beta grad E(x) + s xi,   xi ~ N(0, I).
//
// Published with lambda = 1, s = .01, beta = 1 and without a box; where the
// box has bounds, x' is clipped into it. On E = k/2 x^2 the stationary
// variance is s^2 / (1 - (1 - lambda k)^2).
//
// Grathwohl et al., "Your classifier is secretly an energy based model and you
// should treat it like one", ICLR 2020 (arXiv 1912.03263).
class Jem final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kJem; }
  std::string_view name() const override { return "jem"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool has_acceptance() const override { return false; }

  DeclaredTarget Target(const TransitionParams& params,
                        double inverse_temperature) const override {
    const double s = params.noise_std;
    return {.kind = DeclaredTarget::Kind::kRecipe,
            .effective_temperature =
                s * s / (2 * params.step_size * inverse_temperature)};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    BASIN_RETURN_IF_ERROR(
        CheckPositive("transition.jem.step_size", params.step_size));
    BASIN_RETURN_IF_ERROR(CheckPositiveOrZero("transition.jem.noise_std",
                                              params.noise_std, "no noise"));
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    return ChainCoefficients{
        .drift = static_cast<float>(params.step_size * inverse_temperature),
        .noise = static_cast<float>(params.noise_std),
        .clip = std::numeric_limits<float>::infinity(),
        .beta = static_cast<float>(inverse_temperature)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    ops.Displace(tile, {.from = tile.position,
                        .grad_energy = tile.grad_energy,
                        .noise = TileOps::Noise::kOn,
                        .to = tile.position});
    ops.Confine(tile, TileOps::Confinement::kClip, tile.position);
    return energy.EnergyAndGradient(tile.rows, tile.position, tile.energy,
                                    tile.grad_energy);
  }
};

}  // namespace

const Transition& JemTransition() {
  static const Jem jem;
  return jem;
}

}  // namespace basin::internal
