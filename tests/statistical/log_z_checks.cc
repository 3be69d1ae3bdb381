#include "tests/statistical/log_z_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "core/model/initial_states.h"
#include "core/sampler/log_z.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/statistical/false_alarms.h"

namespace basin::testing {
namespace {

constexpr int kSeeds = 50;
constexpr double kLevel = 0.95;
constexpr double kFalseAlarm = 1e-4;
constexpr double kGate = 5;  // standard errors
constexpr double kTooWideToTell = 0.05;

}  // namespace

SampleSpec SpecOf(const LogZCase& one, AnnealingOptions::Weights weights,
                  uint64_t seed) {
  const ModelInfo& info = one.model->info();
  SampleSpec spec;
  spec.model = one.model;
  spec.transition = one.transition;
  spec.box = info.domain.box;
  spec.chains = one.chains;
  spec.warmup = one.levels * one.steps_per_level;
  spec.steps = 1;
  spec.seed = seed;
  for (int64_t k = 1; k <= one.levels; ++k) {
    spec.annealing.schedule.push_back(std::pow(
        static_cast<double>(k) / static_cast<double>(one.levels), one.power));
  }
  spec.annealing.weights = weights;
  spec.annealing.log_volume = one.log_volume;
  spec.annealing.base = one.base;
  spec.annealing.direction = one.direction;
  spec.base = one.base_model;
  spec.inverse_temperature = one.inverse_temperature;
  if (weights == AnnealingOptions::Weights::kPopulation) {
    spec.annealing.islands = 16;
  }
  if (one.samples) {
    spec.initial = one.samples(seed);
    return spec;
  }
  const auto dimension = static_cast<size_t>(info.dimension);
  spec.initial.resize(static_cast<size_t>(one.chains) * dimension);
  for (size_t chain = 0; chain < static_cast<size_t>(one.chains); ++chain) {
    DrawInitialState(
        info.initial, seed, chain,
        absl::MakeSpan(&spec.initial[chain * dimension], dimension));
  }
  return spec;
}

int LeastSuccesses(int trials, double probability) {
  double below = 0;  // P(X < count)
  for (int count = 0; count <= trials; ++count) {
    below += std::exp(std::lgamma(trials + 1) - std::lgamma(count + 1) -
                      std::lgamma(trials - count + 1) +
                      count * std::log(probability) +
                      (trials - count) * std::log1p(-probability));
    if (below >= kFalseAlarm) return count;
  }
  return trials;
}

bool LogZVerdict::lawful() const {
  return covering >= LeastSuccesses(kSeeds, kLevel) &&
         standard_errors() < kGate;
}

LogZVerdict CheckLogZ(const LogZCase& one, AnnealingOptions::Weights weights,
                      uint64_t first_seed, const WeightsOf& weights_of) {
  LogZVerdict verdict;
  double squares = 0;
  for (uint64_t i = 0; i < kSeeds; ++i) {
    const std::vector<double> log_weights =
        weights_of(SpecOf(one, weights, first_seed + i));
    const LogZOptions of_interval = {.log_z_base = one.log_volume,
                                     .level = kLevel};
    const LogZEstimate estimate =
        one.reverse() ? EstimateLogZReverse(log_weights, of_interval)
                      : EstimateLogZ(log_weights, of_interval);
    verdict.covering +=
        estimate.lower <= one.exact && one.exact <= estimate.upper ? 1 : 0;
    verdict.width += (estimate.upper - estimate.lower) / kSeeds;
    // Backwards it is 1 / Z that has no bias.
    const double sign = one.reverse() ? -1 : 1;
    const double ratio = std::exp(sign * (estimate.log_z - one.exact));
    verdict.mean += ratio / kSeeds;
    squares += ratio * ratio / kSeeds;
  }
  verdict.error =
      std::sqrt((squares - verdict.mean * verdict.mean) / (kSeeds - 1));
  return verdict;
}

std::vector<double> ScheduledWeights(Scheduler& scheduler,
                                     const SampleSpec& spec) {
  const SampleResult result = Collect(Start(scheduler, spec)).result;
  EXPECT_TRUE(result.status.ok()) << result.status;
  const bool population =
      spec.annealing.weights == AnnealingOptions::Weights::kPopulation;
  EXPECT_EQ(result.island_log_z.size(), population ? 16U : 0U);
  return population ? result.island_log_z : result.log_weights;
}

std::unique_ptr<Scheduler> OneWorker(const EnergyModel& model) {
  SchedulerOptions options;
  options.workers = 1;
  return Scheduler::Create(model.backend(), options);
}

void ExpectLogZ(const LogZCase& one, AnnealingOptions::Weights weights) {
  const std::unique_ptr<Scheduler> scheduler = OneWorker(*one.model);
  for (const uint64_t seed : Seeds(LogZCase::kFirstSeed)) {
    const LogZVerdict verdict =
        CheckLogZ(one, weights, seed, [&](const SampleSpec& spec) {
          return ScheduledWeights(*scheduler, spec);
        });
    CountGates(Gate::kIntervals, 1);
    CountGates(Gate::kMeanOfZ, 1);
    std::printf(
        "%d of %d intervals cover, mean width %.3f; Z / exact %.3f +- "
        "%.3f\n",
        verdict.covering, kSeeds, verdict.width, verdict.mean, verdict.error);
    SCOPED_TRACE("seeds from " + std::to_string(seed));
    EXPECT_GE(verdict.covering, LeastSuccesses(kSeeds, kLevel));
    EXPECT_LT(verdict.width, one.widest);
    EXPECT_LT(verdict.standard_errors(), kGate);
    EXPECT_LT(verdict.error, kTooWideToTell);
  }
}

TransitionParams Params(TransitionKind kind, int64_t sites) {
  TransitionParams params;
  params.kind = kind;
  params.leaps = sites;
  return params;
}

Enumerated::Enumerated(double coupling, double field,
                       double inverse_temperature)
    : model(MakeModel("family: LATTICE lattice { size: [3, 4] coupling: " +
                      std::to_string(coupling) +
                      " field: " + std::to_string(field) + " }")),
      states(AllStates(model)),
      below(ExactLaw(model, states, inverse_temperature)) {
  // Of the state of zeros, whose spins are all -1, on 24 edges.
  log_z =
      inverse_temperature * (24 * coupling - 12 * field) - std::log(below[0]);
  std::partial_sum(below.begin(), below.end(), below.begin());
}

std::vector<float> Enumerated::Samples(uint64_t seed, int64_t count) const {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  std::vector<float> samples;
  for (int64_t chain = 0; chain < count; ++chain) {
    const auto found =
        std::upper_bound(below.begin(), below.end() - 1, uniform(random));
    const auto first = states.begin() + 12 * (found - below.begin());
    samples.insert(samples.end(), first, first + 12);
  }
  return samples;
}

}  // namespace basin::testing
