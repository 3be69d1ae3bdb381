#include <cmath>

#include "core/base/status_macros.h"
#include "core/sampler/leapfrog.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Underdamped Langevin dynamics with a Metropolis correction: generalised
// Hamiltonian Monte Carlo, with U = beta E. In lengths of the scale s, with
// time step h, friction gamma and L leaps:
//
//   p <- c p + sqrt(1 - c^2) xi,   c = exp(-gamma L h),  xi ~ N(0, I)
//   (x', p') = L leapfrog steps of h from (x, p), see leapfrog.h
//
// With probability min(1, exp(H(x, p) - H(x', p'))), H = U + |p|^2 / 2, the
// chain goes to (x', p'), else to (x, -p). The momentum persists between
// steps: so does its direction, unless the step is rejected; without the
// change of sign the law would be wrong. A chain's first momentum is drawn from
// N(0, I). Exact; rejections must be rare, as each one turns the chain back.
//
// Horowitz, "A generalized guided Monte Carlo algorithm", Phys. Lett. B 268,
// 1991.
class UnderdampedMetropolis final : public Transition {
 public:
  TransitionKind kind() const override {
    return TransitionKind::kUnderdampedMetropolis;
  }
  std::string_view name() const override { return "underdamped_metropolis"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool carries_momentum() const override { return true; }
  bool has_acceptance() const override { return true; }

  int64_t EvaluationsPerStep(const TransitionParams& params) const override {
    return LeapsOr(params, 1);
  }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    const double h = params.step_size;
    BASIN_RETURN_IF_ERROR(
        CheckPositive("transition.underdamped_metropolis.step_size", h));
    BASIN_RETURN_IF_ERROR(
        CheckPositiveOrZero("transition.underdamped_metropolis.friction",
                            params.friction, "the default, 1"));
    BASIN_RETURN_IF_ERROR(
        CheckLeaps("transition.underdamped_metropolis.leaps", params.leaps, 1));
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    const double damping = FrictionOr(params, 1) * h * LeapsOr(params, 1);
    return ChainCoefficients{
        .drift = static_cast<float>(h * inverse_temperature),
        .noise = static_cast<float>(std::sqrt(-std::expm1(-2 * damping))),
        .beta = static_cast<float>(inverse_temperature),
        .move = static_cast<float>(h),
        .persistence = static_cast<float>(std::exp(-damping)),
        .leaps = LeapsOr(params, 1)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    ops.StartMomentum(tile);
    ops.RefreshMomentum(tile, TileOps::Noise::kOn);
    BASIN_RETURN_IF_ERROR(Leapfrog(energy, ops, tile));
    SetHamiltonianLogRatio(ops, tile);
    ops.AcceptOrReject(tile);
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& UnderdampedMetropolisTransition() {
  static const UnderdampedMetropolis underdamped_metropolis;
  return underdamped_metropolis;
}

}  // namespace basin::internal
