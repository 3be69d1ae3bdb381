#include "core/backend/discrete_ops.h"
#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Heat-bath moves of single sites, also called Glauber dynamics or random-scan
// Gibbs sampling. A free site i is chosen uniformly and drawn from its
// conditional law,
//
//   p(x_i = a | rest) = exp(-beta E(x_i = a)) / sum_b exp(-beta E(x_i = b)),
//
// for which the energies of its other q - 1 classes are evaluated, one after
// another. One step makes `leaps` such moves. Needs no gradient and no
// conditional laws of the model. Exact; never rejects.
//
// Glauber, J. Math. Phys. 4(2), 1963; Geman and Geman, IEEE Trans. PAMI 6(6),
// 1984.
class SiteHeatBath final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kSiteHeatBath; }
  std::string_view name() const override { return "site_heat_bath"; }
  Carried carried() const override { return Carried::kEnergy; }
  bool has_acceptance() const override { return false; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    BASIN_RETURN_IF_ERROR(
        CheckLeaps("transition.site_heat_bath.sites", params.leaps, 1));
    return ChainCoefficients{.beta = static_cast<float>(inverse_temperature),
                             .leaps = LeapsOr(params, 1)};
  }

  // Of binary states; of q classes q - 1 times that.
  int64_t EvaluationsPerStep(const TransitionParams& params) const override {
    return LeapsOr(params, 1);
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    const DiscreteOps& sites = ops.discrete();
    const int moves = ops.LongestStep(tile);
    const int64_t others = tile.classes == 0 ? 1 : tile.classes - 1;
    for (int move = 0; move < moves; ++move) {
      sites.ProposeSite(tile, move, DiscreteOps::SiteClass::kNext);
      for (int candidate = 1; candidate <= others; ++candidate) {
        if (candidate > 1) sites.AdvanceSite(tile, move);
        BASIN_RETURN_IF_ERROR(
            energy.Energy(tile.rows, tile.proposal, tile.proposal_energy));
        sites.DrawCandidate(tile, move, candidate);
      }
    }
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& SiteHeatBathTransition() {
  static const SiteHeatBath site_heat_bath;
  return site_heat_bath;
}

}  // namespace basin::internal
