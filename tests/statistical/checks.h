#ifndef BASIN_TESTS_STATISTICAL_CHECKS_H_
#define BASIN_TESTS_STATISTICAL_CHECKS_H_

// Judges a transition by the laws that it must have, and by the promise that
// a chain does not depend on its neighbours. The same function judges the
// transitions of core/sampler and the mutants of the tests.
//
// Moments are means over many independent chains, each of which contributes
// its average over time: so the standard error follows from the chains'
// variance and needs no autocorrelations. A gate is 5 standard errors, which
// an unbiased normal estimate passes but for 5.7e-7; see false_alarms.h.
//
// Where chains cannot travel between the modes in the time there is, they
// start there in the modes' exact shares: then it is tested that a transition
// keeps the law, not how fast it finds it.

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/sampler/transition.h"
#include "tests/core/sampler/analytic_energies.h"

namespace basin::testing {

// A function of the state [D] and its exact mean.
struct Observable {
  std::string name;
  double expected = 0;
  std::function<double(const float* x)> value;
};

struct MomentCase {
  std::string name;
  TransitionKind kind = TransitionKind::kUla;
  TransitionParams params;
  double inverse_temperature = 1;
  Box box;
  std::vector<float> scale;         // see ChainRun; empty = none
  std::vector<float> factor;        // the same
  std::vector<float> lower, upper;  // the same
  std::function<std::unique_ptr<RowEnergy>()> energy;
  std::function<std::vector<float>(uint64_t chain)> start;
  int chains = 4096;
  int burn_in = 200;
  int steps = 300;  // after burn-in; every `keep_every`-th is looked at
  int keep_every = 3;
  std::vector<Observable> observables;
};

// For GoogleTest.
inline void PrintTo(const MomentCase& one, std::ostream* out) {
  *out << one.name;
}

struct Verdict {
  bool passed = true;
  double worst_z = 0;    // deviation in standard errors; infinite if not finite
  std::string worst_of;  // case and observable
  int gates = 0;
};

inline constexpr double kGate = 5;  // standard errors

// All cases of the exact and known laws, for all transitions.
const std::vector<MomentCase>& AllCases();

inline constexpr uint64_t kFixedSeed = 20240607;

// Runs one case with `transition`, which need not be the case's own.
Verdict CheckMoments(const Transition& transition, const MomentCase& one,
                     uint64_t seed = kFixedSeed);

// Runs the cases of the transition's kind, up to the first that fails.
Verdict CheckAllMoments(const Transition& transition);

// True if a chain ends in the same bytes alone and in several places among
// others.
bool CheckSameBytes(const Transition& transition);

}  // namespace basin::testing

#endif  // BASIN_TESTS_STATISTICAL_CHECKS_H_
