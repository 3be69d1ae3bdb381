#ifndef BASIN_TESTS_STATISTICAL_DISCRETE_CHECKS_H_
#define BASIN_TESTS_STATISTICAL_DISCRETE_CHECKS_H_

// Judges transitions on binary and categorical models, and Gibbs sampling on
// any, against sums over all states. The same functions judge the transitions
// of core/sampler and the mutants of the tests.
//
// Transition matrices are written down from the definitions, in double, with
// energies and gradients of the reference evaluator. Frequencies are held to
// them within 7 standard errors + .003, means over independent chains to 5
// standard errors; see false_alarms.h.

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/sampler/transition.h"
#include "tests/core/model/family_fixture.h"

namespace basin::testing {

// A model of any family, served and opened.
struct DiscreteModel {
  std::string config;
  std::string weights;  // model.safetensors, may be empty
  std::shared_ptr<const EnergyModel> served;
  std::shared_ptr<const internal::OpenedModel> opened;

  int64_t dimension() const { return served->info().dimension; }
  int64_t classes() const { return served->info().domain.classes; }
};
// Ends the process on errors.
DiscreteModel MakeModel(const std::string& config,
                        const std::string& weights = "");

inline constexpr uint64_t kDiscreteSeed = 7;

// Chains 0, 1, ... of a seed.
struct DiscreteRun {
  uint64_t seed = kDiscreteSeed;
  TransitionParams params;
  double inverse_temperature = 1;
  std::vector<uint64_t> chains;
  int64_t steps = 1;
  // [D]; 0 where a coordinate is clamped. Empty = none is.
  std::vector<float> scale;
  float lower = -1e30F;
  float upper = 1e30F;
  // The starting state [D] of a chain.
  std::function<std::vector<float>(uint64_t chain)> start;
  // Called after every step; may be empty.
  std::function<void(const ChainTile& tile)> on_step;
};

// Runs the chains as a worker would; returns the last states [chains, D].
// Ends the process on errors. `tile_rows` = 0: of the largest tile size.
std::vector<float> RunDiscrete(const Transition& transition,
                               const DiscreteModel& model,
                               const DiscreteRun& run, int tile_rows = 0);

// All states of a binary or categorical model, [n, D].
std::vector<float> AllStates(const DiscreteModel& model);

// p(x) over `states` [n, D], proportional to exp(-beta E(x)).
std::vector<double> ExactLaw(const DiscreteModel& model,
                             const std::vector<float>& states, double beta);

// A function of the state [D] and its exact mean.
struct DiscreteObservable {
  std::string name;
  double expected = 0;
  std::function<double(const float* x)> value;
};

// The same, summed over all states; those that `allows` accepts, if it is not
// empty.
DiscreteObservable Summed(const DiscreteModel& model, double beta,
                          const std::string& name,
                          const std::function<double(const float* x)>& value,
                          const std::function<bool(const float* x)>& allows);

struct LawCase {
  std::string name;
  const DiscreteModel* model = nullptr;
  DiscreteRun run;  // but for chains, steps and on_step
  int chains = 1024;
  int64_t burn_in = 100;
  int64_t steps = 100;  // after it
  std::vector<DiscreteObservable> observables;
};

struct DiscreteVerdict {
  bool passed = true;
  double worst = 0;  // deviation over its bound
  std::string worst_of;
  int gates = 0;
};
// Judges averages over time of independent chains, [chains, observables].
DiscreteVerdict JudgeMeans(const std::string& name,
                           const std::vector<DiscreteObservable>& observables,
                           const std::vector<double>& averages);
DiscreteVerdict CheckLaw(const Transition& transition, const LawCase& one);

// One transition on one small model.
struct MatrixCase {
  std::string name;
  TransitionKind kind = TransitionKind::kGibbs;
  const DiscreteModel* model = nullptr;
  double step_size = 0;
  double inverse_temperature = 1;
  std::vector<float> scale;  // as in DiscreteRun
};

// For GoogleTest.
inline void PrintTo(const MatrixCase& one, std::ostream* out) {
  *out << one.name;
}

// All of them, for all transitions: at most 16 states each.
const std::vector<MatrixCase>& AllMatrixCases();

// [n, n] over AllStates(), by the transition's definition.
std::vector<double> ExactMatrix(const MatrixCase& one);

// Frequencies after one step and after three, from every state, against the
// matrix. `transition` need not be the case's own.
DiscreteVerdict CheckFrequencies(const Transition& transition,
                                 const MatrixCase& one,
                                 uint64_t seed = kDiscreteSeed);

// True if a chain ends in the same bytes alone and in several places among
// others.
bool CheckSameBytesOf(const Transition& transition, const MatrixCase& one);

}  // namespace basin::testing

#endif  // BASIN_TESTS_STATISTICAL_DISCRETE_CHECKS_H_
