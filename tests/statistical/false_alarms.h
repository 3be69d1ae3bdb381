#ifndef BASIN_TESTS_STATISTICAL_FALSE_ALARMS_H_
#define BASIN_TESTS_STATISTICAL_FALSE_ALARMS_H_

// How often the suite of this folder fails by chance. With its fixed seeds a
// run never does. In the long mode, BASIN_STATISTICAL_SEEDS=n in the
// environment, every test that draws judges by n fresh seeds instead, which
// failures print; the tests of mutants keep the fixed ones. kGates says how
// often a gate fails by chance and how many of its kind there are: with less
// than one fresh seed in 350 anything fails.

#include <cstdint>
#include <vector>

namespace basin::testing {

enum class Gate {
  kMoment,        // a mean over chains, of moments_test.cc
  kDiscreteMean,  // the same, of discrete_laws_test.cc
  kFrequency,     // of a transition matrix
  kIntervals,     // how many of 50 cover ln Z
  kMeanOfZ,       // the mean of 50 estimates of Z or 1 / Z
  kAcceptance,    // after tuning
};

struct GateKind {
  Gate gate;
  const char* name;
  int64_t at_most;     // for each seed
  double false_alarm;  // of one
};

inline constexpr GateKind kGates[] = {
    // 5 standard errors of Student's law, for 512 chains and more.
    {Gate::kMoment, "means", 300, 7.9e-7},
    // The same, for 64 chains and more.
    {Gate::kDiscreteMean, "means of discrete states", 210, 4.9e-6},
    // 7 standard errors and more.
    {Gate::kFrequency, "frequencies", 15'000, 2.6e-12},
    // Fewer than 40 by the binomial law of .95.
    {Gate::kIntervals, "counts of intervals", 30, 3e-5},
    // 5 standard errors of Student's law, for 50 estimates.
    {Gate::kMeanOfZ, "means of Z", 30, 7.8e-6},
    // Means of three within .08, 4 standard deviations or more: one
    // acceptance has .019 to .031, over 36 fresh seeds.
    {Gate::kAcceptance, "tuned acceptances", 6, 6.4e-5},
};

constexpr double FalseAlarmRate() {
  double rate = 0;
  for (const GateKind& kind : kGates) {
    rate += static_cast<double>(kind.at_most) * kind.false_alarm;
  }
  return rate;
}
static_assert(FalseAlarmRate() < 1.0 / 350);

// `fixed`, or as many fresh ones as BASIN_STATISTICAL_SEEDS says.
std::vector<uint64_t> Seeds(uint64_t fixed);

// Counts gates that a test has judged by one of Seeds(). When a program's
// tests have ended, it fails if there were more than stated.
void CountGates(Gate gate, int64_t count);

}  // namespace basin::testing

#endif  // BASIN_TESTS_STATISTICAL_FALSE_ALARMS_H_
