#include "core/backend/discrete_ops.h"
#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Metropolis moves of single sites. A free site is chosen uniformly and gets
// another class, each of the q - 1 others alike (a binary one is flipped); x'
// is accepted with probability
//
//   min(1, exp(-beta (E(x') - E(x)))).
//
// One step makes `leaps` such moves. Needs no gradient and no conditional
// laws. Exact.
//
// Metropolis et al., J. Chem. Phys. 21(6), 1953.
class SiteMetropolis final : public Transition {
 public:
  TransitionKind kind() const override {
    return TransitionKind::kSiteMetropolis;
  }
  std::string_view name() const override { return "site_metropolis"; }
  Carried carried() const override { return Carried::kEnergy; }
  bool has_acceptance() const override { return true; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    BASIN_RETURN_IF_ERROR(
        CheckLeaps("transition.site_metropolis.sites", params.leaps, 1));
    return ChainCoefficients{.beta = static_cast<float>(inverse_temperature),
                             .leaps = LeapsOr(params, 1)};
  }

  int64_t EvaluationsPerStep(const TransitionParams& params) const override {
    return LeapsOr(params, 1);
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    // Accepting must not copy gradients, which are not computed here.
    ChainTile without_gradient = tile;
    without_gradient.grad_energy = nullptr;
    const int moves = ops.LongestStep(tile);
    for (int move = 0; move < moves; ++move) {
      ops.discrete().ProposeSite(tile, move, DiscreteOps::SiteClass::kUniform);
      BASIN_RETURN_IF_ERROR(
          energy.Energy(tile.rows, tile.proposal, tile.proposal_energy));
      ops.SetEnergyLogRatio(tile);
      ops.AcceptOrReject(without_gradient, {.leap = move});
    }
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& SiteMetropolisTransition() {
  static const SiteMetropolis site_metropolis;
  return site_metropolis;
}

}  // namespace basin::internal
