#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Delayed acceptance with a cheap energy E~ in front of the exact one, the
// surrogate transition method; U = beta E, U~ = beta E~. From y = x, `leaps`
// times random-walk Metropolis in the cheap energy:
//
//   z = y + sigma s xi, reflected at the faces of the box,   xi ~ N(0, I)
//   y <- z with probability min(1, exp(U~(y) - U~(z)))
//
// then one decision of the exact one: x' = y with probability
//
//   min(1, exp(U(x) - U(y)) / exp(U~(x) - U~(y))),
//
// as the moves in front are reversible for exp(-U~). Exact whatever E~ is; as
// good as E~ is close to E. One evaluation of E, leaps + 2 of E~. With one
// leap it is the algorithm of Christen and Fox.
//
// Liu, "Monte Carlo Strategies in Scientific Computing", 2001, 9.4.3; Christen
// and Fox, "Markov chain Monte Carlo using an approximation", J. Comput. Graph.
// Statist. 14(4), 2005.
class DelayedAcceptance final : public Transition {
 public:
  TransitionKind kind() const override {
    return TransitionKind::kDelayedAcceptance;
  }
  std::string_view name() const override { return "delayed_acceptance"; }
  Carried carried() const override { return Carried::kEnergy; }
  bool has_acceptance() const override { return true; }

  // As if both energies cost the same.
  int64_t EvaluationsPerStep(const TransitionParams& params) const override {
    return 3 + LeapsOr(params, kDefaultLeaps);
  }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    BASIN_RETURN_IF_ERROR(CheckPositive(
        "transition.delayed_acceptance.step_size", params.step_size));
    BASIN_RETURN_IF_ERROR(CheckLeaps("transition.delayed_acceptance.leaps",
                                     params.leaps, kDefaultLeaps));
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    return ChainCoefficients{.noise = static_cast<float>(params.step_size),
                             .beta = static_cast<float>(inverse_temperature),
                             .leaps = LeapsOr(params, kDefaultLeaps)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    EnergyFunction* const surrogate = energy.surrogate();
    if (surrogate == nullptr) {
      return absl::FailedPreconditionError(
          "transition.delayed_acceptance: expected a surrogate model, got "
          "none");
    }
    // From here on, `proposal` is y. Accepting must not copy gradients, which
    // are not computed here.
    ChainTile exact = tile;
    exact.grad_energy = nullptr;
    BASIN_RETURN_IF_ERROR(MoveInSurrogate(*surrogate, ops, exact));
    BASIN_RETURN_IF_ERROR(
        energy.Energy(tile.rows, tile.proposal, tile.proposal_energy));
    BASIN_RETURN_IF_ERROR(surrogate->Energy(tile.rows, tile.position,
                                            tile.surrogate_proposal_energy));
    ops.SetEnergyLogRatio(exact);
    ops.AddEnergyLogRatio(exact, tile.surrogate_proposal_energy,
                          tile.surrogate_energy);
    ops.AcceptOrReject(exact);
    return absl::OkStatus();
  }

 private:
  static constexpr int kDefaultLeaps = 4;

  // Sets proposal to y and surrogate_energy to E~(y). The gradient of the
  // proposal, which has none here, is the room for z.
  static absl::Status MoveInSurrogate(EnergyFunction& surrogate,
                                      const TileOps& ops,
                                      const ChainTile& exact) {
    ChainTile cheap = exact;
    cheap.position = exact.proposal;
    cheap.energy = exact.surrogate_energy;
    cheap.proposal = exact.proposal_grad_energy;
    cheap.proposal_energy = exact.surrogate_proposal_energy;
    ops.Displace(cheap, {.from = exact.position,
                         .grad_energy = nullptr,
                         .noise = TileOps::Noise::kOff,
                         .to = cheap.position});
    BASIN_RETURN_IF_ERROR(
        surrogate.Energy(cheap.rows, cheap.position, cheap.energy));
    const int longest = ops.LongestStep(cheap);
    for (int leap = 0; leap < longest; ++leap) {
      ops.Displace(cheap, {.from = cheap.position,
                           .grad_energy = nullptr,
                           .noise = TileOps::Noise::kOn,
                           .to = cheap.proposal,
                           .purpose = DrawPurpose::kSurrogateNoise,
                           .leap = leap});
      ops.Confine(cheap, TileOps::Confinement::kReflect, cheap.proposal);
      BASIN_RETURN_IF_ERROR(
          surrogate.Energy(cheap.rows, cheap.proposal, cheap.proposal_energy));
      ops.SetEnergyLogRatio(cheap);
      ops.AcceptOrReject(
          cheap, {.purpose = DrawPurpose::kSurrogateAccept, .leap = leap});
    }
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& DelayedAcceptanceTransition() {
  static const DelayedAcceptance delayed_acceptance;
  return delayed_acceptance;
}

}  // namespace basin::internal
