#include "core/backend/discrete_ops.h"
#include "core/base/status_macros.h"
#include "core/sampler/transition_kinds.h"

namespace basin::internal {
namespace {

// Block Gibbs sampling. The variables of a block are independent given all
// others, so that all are drawn at once, each from its conditional law:
//
//   x_B ~ p(x_B | x_rest) proportional to exp(-beta E(x)).
//
// One step is a sweep over all blocks in order. Blocks are the colours of a
// lattice, the layers of a Boltzmann machine, or the hidden and then the
// visible units of a restricted one. Hidden units are drawn anew in every
// step, from p(h, v) proportional to exp(-E(h, v)): the law of v is that of
// the free energy at beta = 1 alone, see CheckTemperature(). Exact; never
// rejects.
//
// Geman and Geman, IEEE Trans. PAMI 6(6), 1984; for restricted Boltzmann
// machines Hinton, Neural Computation 14(8), 2002.
class Gibbs final : public Transition {
 public:
  TransitionKind kind() const override { return TransitionKind::kGibbs; }
  std::string_view name() const override { return "gibbs"; }
  Carried carried() const override { return Carried::kNothing; }
  bool has_acceptance() const override { return false; }

  DeclaredTarget Target(const TransitionParams& /*params*/,
                        double /*inverse_temperature*/) const override {
    return {.kind = DeclaredTarget::Kind::kExact};
  }

  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& /*params*/,
      double inverse_temperature) const override {
    BASIN_RETURN_IF_ERROR(CheckInverseTemperature(inverse_temperature));
    return ChainCoefficients{.beta = static_cast<float>(inverse_temperature)};
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    if (energy.blocks() == 0) {
      return absl::UnimplementedError("the energy has no conditional laws");
    }
    int64_t quad = 0;
    for (int block = 0; block < energy.blocks(); ++block) {
      BASIN_ASSIGN_OR_RETURN(const BlockLaw law,
                             energy.LawOf(block, tile.rows, tile.position));
      ops.discrete().DrawBlock(tile, law, static_cast<uint32_t>(quad));
      quad += (law.variables + 3) / 4;
    }
    return absl::OkStatus();
  }
};

}  // namespace

const Transition& GibbsTransition() {
  static const Gibbs gibbs;
  return gibbs;
}

}  // namespace basin::internal
