#include "core/backend/discrete_ops.h"
#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Gibbs-with-gradients, with f = -beta E. What changing one site would do to f
// is estimated from the gradient,
//
//   binary       d_i  = -(2 x_i - 1) (grad f)_i
//   categorical  d_ij = (grad f)_ij - x_i . (grad f)_i,  j not x_i's class,
//
// and a change c of a free site is proposed with probability
//
//   q(c | x) = softmax(d / 2)_c,
//
// and accepted with probability min(1, exp(f(x') - f(x)) q(x | x') /
// q(x' | x)). The gradient at x' serves the way back, and is kept if x' is
// accepted. Exact, whatever the energy does between the states.
//
// Grathwohl et al., "Oops I took a gradient: scalable sampling for discrete
// distributions", ICML 2021 (arXiv 2102.04509).
class GibbsWithGradients final : public Transition {
 public:
  TransitionKind kind() const override {
    return TransitionKind::kGibbsWithGradients;
  }
  std::string_view name() const override { return "gibbs_with_gradients"; }
  Carried carried() const override { return Carried::kEnergyAndGradient; }
  bool has_acceptance() const override { return true; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& /*params*/,
      double inverse_temperature) const override {
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    return ChainCoefficients{
        .drift = static_cast<float>(inverse_temperature / 2),
        .beta = static_cast<float>(inverse_temperature)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    const DiscreteOps& sites = ops.discrete();
    sites.ProposeByGradient(tile);
    BASIN_RETURN_IF_ERROR(energy.DecidingEnergyAndGradient(
        tile.rows, tile.proposal, tile.proposal_energy,
        tile.proposal_grad_energy));
    ops.SetEnergyLogRatio(tile);
    // The way back, and the way there.
    sites.AddSiteLogProbability(tile, {.from = tile.proposal,
                                       .grad_energy = tile.proposal_grad_energy,
                                       .to = tile.position,
                                       .sign = 1,
                                       .log_density = tile.log_ratio});
    sites.AddSiteLogProbability(tile, {.from = tile.position,
                                       .grad_energy = tile.grad_energy,
                                       .to = tile.proposal,
                                       .sign = -1,
                                       .log_density = tile.log_ratio});
    ops.AcceptOrReject(tile);
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& GibbsWithGradientsTransition() {
  static const GibbsWithGradients gibbs_with_gradients;
  return gibbs_with_gradients;
}

}  // namespace basin::internal
