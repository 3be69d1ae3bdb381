#include "core/backend/discrete_ops.h"
#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// The discrete Langevin proposal with a Metropolis correction (DMALA), with
// f = -beta E and step size alpha. Every free site is drawn anew, each by
// itself, from
//
//   q_i(x_i' | x) = softmax over x_i' of
//       1/2 (grad f)_i . (x_i' - x_i) - |x_i' - x_i|^2 / (2 alpha),
//
// where another class of a one-hot site is a squared length of 2 away; x' is
// accepted with probability min(1, exp(f(x') - f(x)) q(x | x') / q(x' | x)),
// q the product over the sites. Many sites may move in one step; the larger
// alpha, the more. Exact.
//
// Zhang, Liu and Liu, "A Langevin-like sampler for discrete distributions",
// ICML 2022 (arXiv 2206.09914).
class DiscreteLangevin final : public Transition {
 public:
  TransitionKind kind() const override {
    return TransitionKind::kDiscreteLangevin;
  }
  std::string_view name() const override { return "discrete_langevin"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool has_acceptance() const override { return true; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    const double alpha = params.step_size;
    BASIN_RETURN_IF_ERROR(
        CheckPositive("transition.discrete_langevin.step_size", alpha));
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    return ChainCoefficients{
        .drift = static_cast<float>(inverse_temperature / 2),
        .beta = static_cast<float>(inverse_temperature),
        .move = static_cast<float>(1 / (2 * alpha))};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    const DiscreteOps& sites = ops.discrete();
    sites.ProposeAllSites(tile);
    BASIN_RETURN_IF_ERROR(energy.DecidingEnergyAndGradient(
        tile.rows, tile.proposal, tile.proposal_energy,
        tile.proposal_grad_energy));
    ops.SetEnergyLogRatio(tile);
    // The way back, and the way there.
    sites.AddAllSitesLogProbability(tile,
                                    {.from = tile.proposal,
                                     .grad_energy = tile.proposal_grad_energy,
                                     .to = tile.position,
                                     .sign = 1,
                                     .log_density = tile.log_ratio});
    sites.AddAllSitesLogProbability(tile, {.from = tile.position,
                                           .grad_energy = tile.grad_energy,
                                           .to = tile.proposal,
                                           .sign = -1,
                                           .log_density = tile.log_ratio});
    ops.AcceptOrReject(tile);
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& DiscreteLangevinTransition() {
  static const DiscreteLangevin discrete_langevin;
  return discrete_langevin;
}

}  // namespace basin::internal
