#ifndef BASIN_CORE_SAMPLER_TRANSITION_H_
#define BASIN_CORE_SAMPLER_TRANSITION_H_

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/backend/chain_tile.h"
#include "core/backend/tile_ops.h"
#include "core/model/energy_function.h"
#include "core/model/energy_model.h"

namespace basin {

// What a transition's stationary law is.
struct DeclaredTarget {
  enum class Kind {
    kExact,   // p(x) proportional to exp(-beta E(x))
    kBiased,  // p up to an error of `order` in the step size
    kRecipe,  // a published noisy descent at `effective_temperature`
  };
  Kind kind = Kind::kExact;
  int order = 0;                     // kBiased
  double effective_temperature = 0;  // kRecipe: s^2 / (2 lambda beta)
};

// "exact", "biased(1)", "recipe(T=1.25e-06)".
std::string ToString(const DeclaredTarget& target);

// What of ChainTile holds the present position's values between steps.
enum class Carried { kNothing, kEnergy, kEnergyAndGradient };

// A Markov transition, written once for every device. Stateless and
// immutable; thread-safe.
//
// Each honours the tile's scale s: it is the same transition of x / s, which
// turns a step size epsilon into epsilon s_i^2 in front of a gradient, and
// leaves coordinates with s_i = 0 as they are: what moves then is a sample of
// the law of the others given these.
class Transition {
 public:
  virtual ~Transition() = default;

  virtual TransitionKind kind() const = 0;
  virtual std::string_view name() const = 0;  // "mala", as in the API

  // What the chain is afterwards a sample of.
  // REQUIRES: Configure() accepts the same arguments.
  virtual DeclaredTarget Target(const TransitionParams& params,
                                double inverse_temperature) const = 0;

  // Checks the parameters and turns them into coefficients.
  // InvalidArgument, naming the field, the accepted range and what came.
  virtual absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params, double inverse_temperature) const = 0;

  // REQUIRES of Step(): these hold the present position's values.
  // After Step() they do again.
  virtual Carried carried() const = 0;

  // Whether ChainTile::momentum belongs to a chain's state between steps. It
  // is zero before the first one.
  virtual bool carries_momentum() const { return false; }

  // Whether Step() needs ChainTile::momentum and proposal_momentum at all.
  virtual bool uses_momentum() const { return carries_momentum(); }

  // What one step costs, in evaluations of the energy or its gradient.
  virtual int64_t EvaluationsPerStep(const TransitionParams& /*params*/) const {
    return 1;
  }

  // True if the transition proposes and may reject.
  virtual bool has_acceptance() const = 0;

  // Moves every chain of the tile once; does not change ChainTile::step.
  virtual absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                            ChainTile& tile) const = 0;
};

// The transition of a kind; never destroyed. REQUIRES: it is one of
// AllTransitions().
const Transition& GetTransition(TransitionKind kind);

// All of them.
absl::Span<const Transition* const> AllTransitions();

// By its API name. NotFound lists the names there are.
absl::StatusOr<const Transition*> FindTransition(std::string_view name);

}  // namespace basin

#endif  // BASIN_CORE_SAMPLER_TRANSITION_H_
