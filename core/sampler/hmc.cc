#include "core/base/status_macros.h"
#include "core/sampler/leapfrog.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Hamiltonian Monte Carlo, with U = beta E and the mass matrix diag(1 / s^2).
// In lengths of the scale s:
//
//   p ~ N(0, I)
//   (x', p') = L leapfrog steps of epsilon from (x, p), see leapfrog.h
//
// x' is accepted, for each chain by itself, with probability
// min(1, exp(H(x, p) - H(x', p'))), H = U + |p|^2 / 2. In a box the trajectory
// is reflected at the faces. Exact; best tuned to an acceptance of .651.
//
// With jitter j, L is drawn for each step uniformly from
// [ceil((1 - j) leaps), leaps], so that no period of the motion can match the
// length. All chains of a request draw the same, as in ChEES-HMC, and none
// waits for another.
//
// Neal, "MCMC using Hamiltonian dynamics", Handbook of MCMC, 2011
// (arXiv 1206.1901); Beskos et al., "Optimal tuning of the hybrid Monte Carlo
// algorithm", Bernoulli 19(5A), 2013; Hoffman, Radul and Sountsov, "An
// adaptive-MCMC scheme for setting trajectory lengths in HMC", AISTATS 2021.
class Hmc final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kHmc; }
  std::string_view name() const override { return "hmc"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool uses_momentum() const override { return true; }
  bool has_acceptance() const override { return true; }

  int64_t EvaluationsPerStep(const TransitionParams& params) const override {
    return LeapsOr(params, kDefaultLeaps);
  }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    const double epsilon = params.step_size;
    BASIN_RETURN_IF_ERROR(CheckPositive("transition.hmc.step_size", epsilon));
    BASIN_RETURN_IF_ERROR(
        CheckLeaps("transition.hmc.leaps", params.leaps, kDefaultLeaps));
    BASIN_RETURN_IF_ERROR(
        CheckShare("transition.hmc.jitter", params.jitter, "[0, 1]"));
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    return ChainCoefficients{
        .drift = static_cast<float>(epsilon * inverse_temperature),
        .noise = 1,
        .beta = static_cast<float>(inverse_temperature),
        .move = static_cast<float>(epsilon),
        .jitter = static_cast<float>(params.jitter),
        .leaps = LeapsOr(params, kDefaultLeaps)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    ops.RefreshMomentum(tile, TileOps::Noise::kOn);
    BASIN_RETURN_IF_ERROR(Leapfrog(energy, ops, tile));
    SetHamiltonianLogRatio(ops, tile);
    ops.AcceptOrReject(tile);
    return absl::OkStatus();
  }

 private:
  static constexpr int kDefaultLeaps = 16;
};

}  // namespace

const Transition& HmcTransition() {
  static const Hmc hmc;
  return hmc;
}

}  // namespace basin::internal
