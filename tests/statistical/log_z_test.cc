// ln Z by annealed importance sampling and by sequential Monte Carlo against
// exact values: over 50 seeds the 95 % intervals cover ln Z as often as they
// say, and the estimates of Z, or of 1 / Z on the way back from exact
// samples, which are unbiased, have the right mean. What
// runs is the scheduler, as for a request.
//
// The number of intervals that cover is held to the binomial law of .95, and
// the mean of Z to 5 standard errors: passed but for 1e-4 and 5.7e-7. Seeds
// are fixed.

#include "core/sampler/log_z.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <numbers>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/model/initial_states.h"
#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/statistical/discrete_checks.h"

namespace basin::testing {
namespace {

constexpr int kSeeds = 50;
constexpr double kLevel = 0.95;
constexpr double kFalseAlarm = 1e-4;
constexpr double kGate = 5;  // standard errors

// ln Z = 56.59938876 and 60.14178079: Kaufman's formula for the 8 x 8 torus.
constexpr double kCritical = 0.4406867935;

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
  // Exact samples [chains, D], for the way back; empty = forwards.
  std::function<std::vector<float>(uint64_t seed)> samples;
};

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
  if (weights == AnnealingOptions::Weights::kPopulation) {
    spec.annealing.islands = 16;
  }
  if (one.samples) {
    spec.annealing.direction = AnnealingOptions::Direction::kReverse;
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

// The least count that `trials` with this probability fall short of by
// chance less often than kFalseAlarm.
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

TEST(LeastSuccessesTest, IsTheBinomialQuantile) {
  // P(X <= 39) = 5.3e-5, P(X <= 40) = 2.3e-4, by summing the law.
  EXPECT_EQ(LeastSuccesses(50, 0.95), 40);
}

void ExpectLogZ(const LogZCase& one, AnnealingOptions::Weights weights) {
  SchedulerOptions options;
  options.workers = 1;
  const std::unique_ptr<Scheduler> scheduler =
      Scheduler::Create(one.model->backend(), options);
  int covering = 0;
  double width = 0, sum = 0, squares = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    const SampleResult result =
        Collect(Start(*scheduler, SpecOf(one, weights, seed))).result;
    ASSERT_TRUE(result.status.ok()) << result.status;
    const bool population = weights == AnnealingOptions::Weights::kPopulation;
    ASSERT_EQ(result.island_log_z.size(), population ? 16U : 0U);
    const LogZOptions of_interval = {.log_z_base = one.log_volume,
                                     .level = kLevel};
    const LogZEstimate estimate =
        one.samples ? EstimateLogZReverse(result.log_weights, of_interval)
                    : EstimateLogZ(
                          population ? result.island_log_z : result.log_weights,
                          of_interval);
    covering += estimate.lower <= one.exact && one.exact <= estimate.upper;
    width += (estimate.upper - estimate.lower) / kSeeds;
    // Backwards it is 1 / Z that has no bias.
    const double sign = one.samples ? -1 : 1;
    const double ratio = std::exp(sign * (estimate.log_z - one.exact));
    sum += ratio;
    squares += ratio * ratio;
  }
  const double mean = sum / kSeeds;
  const double error =
      std::sqrt((squares / kSeeds - mean * mean) / (kSeeds - 1));
  std::printf(
      "%d of %d intervals cover, mean width %.3f; Z / exact %.3f +- "
      "%.3f\n",
      covering, kSeeds, width, mean, error);
  EXPECT_GE(covering, LeastSuccesses(kSeeds, kLevel));
  EXPECT_LT(width, one.widest);
  EXPECT_LT(std::abs(mean - 1), kGate * error);
}

TransitionParams Params(TransitionKind kind, int64_t sites = 0) {
  TransitionParams params;
  params.kind = kind;
  params.leaps = sites;
  return params;
}

LogZCase Ising(double coupling, double exact) {
  LogZCase one;
  one.model = MakeModel("family: LATTICE lattice { size: [8, 8] coupling: " +
                        std::to_string(coupling) + " }")
                  .served;
  one.exact = exact;
  one.log_volume = 64 * std::numbers::ln2;
  one.transition = Params(TransitionKind::kGibbs);
  one.levels = 250;
  one.widest = 1;
  return one;
}

// 16 visible units and 12 hidden ones.
struct SmallRbm {
  static constexpr int64_t kVisible = 16;
  static constexpr int64_t kHidden = 12;

  SmallRbm() {
    w = RandomFloats(kVisible * kHidden, 1);
    a = RandomFloats(kVisible, 2);
    b = RandomFloats(kHidden, 3);
  }

  // By summing over the hidden states h:
  // ln sum_h exp(b h) prod_i (1 + exp(a_i + (W h)_i)).
  double LogZ() const {
    double z = 0;
    for (uint32_t h = 0; h < 1U << kHidden; ++h) {
      double log_term = 0;
      for (int64_t j = 0; j < kHidden; ++j) log_term += (h >> j & 1) * b[j];
      for (int64_t i = 0; i < kVisible; ++i) {
        double input = a[i];
        for (int64_t j = 0; j < kHidden; ++j) {
          input += (h >> j & 1) * w[i * kHidden + j];
        }
        log_term += std::log1p(std::exp(input));
      }
      z += std::exp(log_term);
    }
    return std::log(z);
  }

  std::vector<float> w, a, b;
};

LogZCase Rbm(TransitionKind kind) {
  const SmallRbm rbm;
  LogZCase one;
  one.model = MakeModel("family: RBM",
                        SafetensorsBuilder()
                            .Floats("W", {rbm.kVisible, rbm.kHidden}, rbm.w)
                            .Floats("b", {rbm.kVisible}, rbm.a)
                            .Floats("c", {rbm.kHidden}, rbm.b)
                            .Build())
                  .served;
  one.exact = rbm.LogZ();
  one.log_volume = rbm.kVisible * std::numbers::ln2;
  one.transition = Params(kind, 4);
  one.levels = 50;
  one.steps_per_level = 4;
  one.widest = 1;
  return one;
}

// Two normals; Z = 1, in a box too if it is wide. `start`: the domain and the
// initial law.
LogZCase Normals(const std::string& start) {
  LogZCase one;
  one.model = MakeModel(
                  "family: MIXTURE mixture { "
                  "component { weight: 1 mean: [-1, 0] covariance: 0.25 } "
                  "component { weight: 2 mean: [1, 0] covariance: 0.25 } } " +
                  start)
                  .served;
  one.transition = Params(TransitionKind::kMala);
  one.transition.step_size = 0.2;
  one.levels = 150;
  one.widest = 0.6;
  return one;
}

// From exact samples, by inverting the distribution function of all states.
LogZCase Backwards() {
  LogZCase one = Ising(0.5, 0);
  const DiscreteModel model =
      MakeModel("family: LATTICE lattice { size: [3, 4] coupling: 0.5 }");
  const std::vector<float> states = AllStates(model);
  std::vector<double> below = ExactLaw(model, states, 1);
  std::partial_sum(below.begin(), below.end(), below.begin());
  one.model = model.served;
  // ln p = -E - ln Z, of the state of zeros: 24 edges of equal spins.
  one.exact = 0.5 * 24 - std::log(below[0]);
  one.log_volume = 12 * std::numbers::ln2;
  // Those of Gibbs sampling are not reversible.
  one.transition = Params(TransitionKind::kSiteMetropolis, 12);
  one.levels = 40;
  one.samples = [=, chains = one.chains](uint64_t seed) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> uniform;
    std::vector<float> samples;
    for (int64_t chain = 0; chain < chains; ++chain) {
      const auto found =
          std::upper_bound(below.begin(), below.end() - 1, uniform(random));
      const auto first = states.begin() + 12 * (found - below.begin());
      samples.insert(samples.end(), first, first + 12);
    }
    return samples;
  };
  return one;
}

constexpr auto kImportance = AnnealingOptions::Weights::kImportance;
constexpr auto kPopulation = AnnealingOptions::Weights::kPopulation;

TEST(ImportanceTest, OfIsingBelowTheCriticalCoupling) {
  ExpectLogZ(Ising(0.4, 56.59938876), kImportance);
}

TEST(ImportanceTest, OfIsingAtTheCriticalCoupling) {
  ExpectLogZ(Ising(kCritical, 60.14178079), kImportance);
}

TEST(ImportanceTest, OfAnRbmWithGibbsWithGradients) {
  ExpectLogZ(Rbm(TransitionKind::kGibbsWithGradients), kImportance);
}

TEST(ImportanceTest, OfAnRbmWithSiteMetropolis) {
  ExpectLogZ(Rbm(TransitionKind::kSiteMetropolis), kImportance);
}

TEST(ImportanceTest, OfNormalsFromABox) {
  LogZCase one = Normals(
      "domain { lower: -4 upper: 4 } "
      "initial { uniform { lower: -4 upper: 4 } }");
  one.log_volume = 2 * std::log(8.0);
  ExpectLogZ(one, kImportance);
}

TEST(ImportanceTest, OfNormalsFromAWideNormal) {
  LogZCase one = Normals("initial { normal { stddev: 3 } }");
  one.base = AnnealingOptions::Base::kInitialLaw;
  ExpectLogZ(one, kImportance);
}

TEST(ImportanceTest, OfIsingBackFromExactSamples) {
  ExpectLogZ(Backwards(), kImportance);
}

TEST(PopulationTest, OfIsingAtTheCriticalCoupling) {
  LogZCase one = Ising(kCritical, 60.14178079);
  one.chains = 512;
  one.levels = 60;
  ExpectLogZ(one, kPopulation);
}

TEST(PopulationTest, OfNormalsFromAWideNormal) {
  LogZCase one = Normals("initial { normal { stddev: 3 } }");
  one.base = AnnealingOptions::Base::kInitialLaw;
  one.chains = 512;
  one.levels = 20;
  ExpectLogZ(one, kPopulation);
}

TEST(PopulationTest, OfAnRbm) {
  LogZCase one = Rbm(TransitionKind::kSiteMetropolis);
  one.chains = 512;
  one.levels = 10;
  ExpectLogZ(one, kPopulation);
}

}  // namespace
}  // namespace basin::testing
