#ifndef BASIN_TESTS_STATISTICAL_LOG_Z_CHECKS_H_
#define BASIN_TESTS_STATISTICAL_LOG_Z_CHECKS_H_

// Judges estimates of ln Z against exact values: over 50 seeds the 95 %
// intervals cover ln Z as often as they say, and the estimates of Z, or of
// 1 / Z on the way back from exact samples, which are unbiased, have the right
// mean. Paths from another model likewise, for ln Z / Z_0. What runs is the
// scheduler, as for a request.
//
// The number of intervals that cover is held to the binomial law of .95, and
// the mean of Z to 5 standard errors; see false_alarms.h.

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/scheduler/job.h"
#include "core/scheduler/scheduler.h"
#include "tests/statistical/discrete_checks.h"

namespace basin::testing {

struct LogZCase {
  std::shared_ptr<const EnergyModel> model;
  double exact = 0;
  double log_volume = 0;  // of the initial law
  TransitionParams transition;
  // t_k = (k / levels)^power: levels of different lengths, so that a weight
  // gained at the wrong one shows.
  int64_t levels = 0;
  double power = 2;
  int64_t steps_per_level = 1;
  int64_t chains = 64;
  double widest = 0;  // mean width of the intervals
  AnnealingOptions::Base base = AnnealingOptions::Base::kUniform;
  std::shared_ptr<const EnergyModel> base_model;  // of Base::kModel
  double inverse_temperature = 1;
  AnnealingOptions::Direction direction = AnnealingOptions::Direction::kForward;
  // Where chains start, exact samples [chains, D] of the base or, backwards,
  // of the model; empty = the initial law.
  std::function<std::vector<float>(uint64_t seed)> samples;

  // Its seeds are these.
  static constexpr uint64_t kFirstSeed = 1;

  bool reverse() const {
    return direction == AnnealingOptions::Direction::kReverse;
  }
};

constexpr auto kImportance = AnnealingOptions::Weights::kImportance;
constexpr auto kPopulation = AnnealingOptions::Weights::kPopulation;

// The least count that `trials` with this probability fall short of by chance
// less often than 1e-4.
int LeastSuccesses(int trials, double probability);

// What a request of the case asks for.
SampleSpec SpecOf(const LogZCase& one, AnnealingOptions::Weights weights,
                  uint64_t seed);

struct LogZVerdict {
  int covering = 0;  // of the intervals of 50 seeds
  double width = 0;  // of these, in the mean
  double mean = 0;   // of Z over the exact one, or of 1 / Z backwards
  double error = 0;  // standard error of it

  double standard_errors() const { return std::abs(mean - 1) / error; }
  // Intervals cover often enough and the mean is right.
  bool lawful() const;
};

// The log-weights of a request's chains, or ln Z of its islands.
using WeightsOf = std::function<std::vector<double>(const SampleSpec& spec)>;

// Judges what `weights_of` gives for the 50 seeds from `first_seed` on.
LogZVerdict CheckLogZ(const LogZCase& one, AnnealingOptions::Weights weights,
                      uint64_t first_seed, const WeightsOf& weights_of);

// By the scheduler; errors fail the test.
std::vector<double> ScheduledWeights(Scheduler& scheduler,
                                     const SampleSpec& spec);
std::unique_ptr<Scheduler> OneWorker(const EnergyModel& model);

// Fails the test unless the scheduler's estimates are as they should be.
void ExpectLogZ(const LogZCase& one, AnnealingOptions::Weights weights);

TransitionParams Params(TransitionKind kind, int64_t sites = 0);

// All states of a 3 x 4 lattice and its law.
struct Enumerated {
  Enumerated(double coupling, double field, double inverse_temperature);

  // By inverting the distribution function. [count, 12]
  std::vector<float> Samples(uint64_t seed, int64_t count) const;

  DiscreteModel model;
  std::vector<float> states;
  std::vector<double> below;  // distribution function
  double log_z = 0;
};

}  // namespace basin::testing

#endif  // BASIN_TESTS_STATISTICAL_LOG_Z_CHECKS_H_
