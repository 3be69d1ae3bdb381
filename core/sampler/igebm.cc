#include <limits>

#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// The sampler of IGEBM, a noisy descent. Each step, in this order:
//
//   x <- x + s xi,   xi ~ N(0, I)
//   g  = grad E(x), each component clipped to +-gradient_clip
//   x <- x - lambda beta g
//   x <- x clipped into the box
//
// Published with s = .005, lambda = 10, gradient_clip = .01, beta = 1 and the
// box [0, 1]. On E = k/2 x^2, unclipped, the stationary variance is
// s^2 (1 - lambda k)^2 / (1 - (1 - lambda k)^2).
//
// Du and Mordatch, "Implicit generation and modeling with energy based
// models", NeurIPS 2019 (arXiv 1903.08689).
class Igebm final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kIgebm; }
  std::string_view name() const override { return "igebm"; }
  // The gradient it needs is that of the noisy state.
  Carried carried() const override { return Carried::kNothing; }
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
        CheckPositive("transition.igebm.step_size", params.step_size));
    BASIN_RETURN_IF_ERROR(CheckPositiveOrZero("transition.igebm.noise_std",
                                              params.noise_std, "no noise"));
    BASIN_RETURN_IF_ERROR(CheckPositiveOrZero(
        "transition.igebm.gradient_clip", params.gradient_clip, "no clipping"));
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    return ChainCoefficients{
        .drift = static_cast<float>(params.step_size * inverse_temperature),
        .noise = static_cast<float>(params.noise_std),
        .clip = params.gradient_clip == 0
                    ? std::numeric_limits<float>::infinity()
                    : static_cast<float>(params.gradient_clip),
        .beta = static_cast<float>(inverse_temperature)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    ops.Displace(tile, {.from = tile.position,
                        .grad_energy = nullptr,
                        .noise = TileOps::Noise::kOn,
                        .to = tile.position});
    BASIN_RETURN_IF_ERROR(energy.EnergyAndGradient(
        tile.rows, tile.position, tile.energy, tile.grad_energy));
    ops.Displace(tile, {.from = tile.position,
                        .grad_energy = tile.grad_energy,
                        .noise = TileOps::Noise::kOff,
                        .to = tile.position});
    ops.Confine(tile, TileOps::Confinement::kClip, tile.position);
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& IgebmTransition() {
  static const Igebm igebm;
  return igebm;
}

}  // namespace basin::internal
