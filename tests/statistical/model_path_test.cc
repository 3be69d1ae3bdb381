// ln Z / Z_0 of paths from one model to another, neither normalised and none of
// the ratios 1, against exact values: see log_z_checks.h.

#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/statistical/log_z_checks.h"
#include "tests/statistical/quadratic_model.h"

namespace basin::testing {
namespace {

// From a lattice without field to one with, coupled more.
LogZCase BetweenLattices(TransitionKind kind, double inverse_temperature) {
  LogZCase one;
  const Enumerated base(0.2, 0, inverse_temperature);
  const Enumerated end(0.35, 0.15, inverse_temperature);
  one.model = end.model.served;
  one.exact = end.log_z - base.log_z;
  one.transition = Params(kind, 12);
  one.levels = 80;
  // Of gradients: one site each.
  if (kind == TransitionKind::kGibbsWithGradients) one.steps_per_level = 12;
  one.widest = 0.8;
  one.base = AnnealingOptions::Base::kModel;
  one.base_model = base.model.served;
  one.inverse_temperature = inverse_temperature;
  one.samples = [=, chains = one.chains](uint64_t seed) {
    return base.Samples(seed, chains);
  };
  return one;
}

std::vector<float> NormalSamples(const Quadratic& law, double beta,
                                 uint64_t seed, int64_t count) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  const size_t n = law.mean.size();
  std::vector<float> samples(static_cast<size_t>(count) * n);
  std::vector<float> normals(n);
  for (size_t at = 0; at < samples.size(); at += n) {
    for (float& value : normals) value = normal(random);
    law.FromNormals(beta, normals.data(), &samples[at]);
  }
  return samples;
}

// From N(0, 2.25 I / b) to a correlated normal elsewhere, neither normalised.
LogZCase BetweenNormals(TransitionKind kind, double inverse_temperature) {
  const float inverse = 1 / 1.5F;
  const Quadratic base = {
      {0, 0, 0}, {inverse, 0, 0, 0, inverse, 0, 0, 0, inverse}, 0.5F};
  const Quadratic end = {
      {1, -0.5F, 0.3F}, {1.5F, 0, 0, 0.8F, 2, 0, -0.5F, 0.3F, 0.9F}, -1.25F};
  LogZCase one;
  one.model = MakeQuadraticModel(FamilyBackend(), end);
  one.exact = end.LogZ(inverse_temperature) - base.LogZ(inverse_temperature);
  one.transition = Params(kind);
  if (kind == TransitionKind::kHmc) one.transition.leaps = 3;
  one.transition.step_size = kind == TransitionKind::kRandomWalk ? 0.7
                             : kind == TransitionKind::kMala     ? 0.15
                                                                 : 0.4;
  one.levels = 100;
  one.widest = 0.8;
  one.base = AnnealingOptions::Base::kModel;
  one.base_model = MakeQuadraticModel(FamilyBackend(), base);
  one.inverse_temperature = inverse_temperature;
  one.samples = [=, chains = one.chains](uint64_t seed) {
    return NormalSamples(base, inverse_temperature, seed, chains);
  };
  return one;
}

// From one wide normal to two narrow ones, of the mixture family; cold, so
// that Z is not 1. They are far apart: exp(-b E) is a sum of the parts' own.
LogZCase ToAMixture() {
  constexpr double kBeta = 1.5;
  const Quadratic base = {{0, 0}, {0.5F, 0, 0, 0.5F}, 0};
  LogZCase one;
  one.transition = Params(TransitionKind::kMala);
  one.model = MakeModel(
                  "family: MIXTURE mixture { "
                  "component { weight: 1 mean: [-2, 0] covariance: 0.16 } "
                  "component { weight: 2 mean: [2, 0] covariance: 0.16 } }")
                  .served;
  // Of w N(m, v I) in two dimensions: w^b (2 pi v)^(1 - b) / b.
  const double parts = std::pow(1.0 / 3, kBeta) + std::pow(2.0 / 3, kBeta);
  one.exact =
      std::log(parts * std::pow(2 * std::numbers::pi * 0.16, 1 - kBeta) /
               kBeta) -
      base.LogZ(kBeta);
  one.levels = 60;
  one.transition.step_size = 0.15;
  one.widest = 1;
  one.base = AnnealingOptions::Base::kModel;
  one.base_model = MakeQuadraticModel(FamilyBackend(), base);
  one.inverse_temperature = kBeta;
  one.samples = [=, chains = one.chains](uint64_t seed) {
    return NormalSamples(base, kBeta, seed, chains);
  };
  return one;
}

// As a population of many chains, which needs fewer levels.
LogZCase Population(LogZCase one) {
  const std::function<std::vector<float>(uint64_t)> few = one.samples;
  constexpr int64_t kTimes = 8;
  one.chains *= kTimes;
  one.levels = 12;
  one.samples = [few](uint64_t seed) {
    std::vector<float> samples;
    for (uint64_t part = 0; part < kTimes; ++part) {
      const std::vector<float> more = few(1000 * part + seed);
      samples.insert(samples.end(), more.begin(), more.end());
    }
    return samples;
  };
  return one;
}

TEST(ModelPathTest, ImportanceBetweenNormals) {
  for (const TransitionKind kind :
       {TransitionKind::kRandomWalk, TransitionKind::kMala,
        TransitionKind::kHmc}) {
    for (const double beta : {1.0, 0.4}) {
      SCOPED_TRACE(::testing::PrintToString(beta) + std::string(Name(kind)));
      ExpectLogZ(BetweenNormals(kind, beta), kImportance);
    }
  }
}

TEST(ModelPathTest, PopulationBetweenNormals) {
  for (const double beta : {1.0, 0.4}) {
    ExpectLogZ(Population(BetweenNormals(TransitionKind::kMala, beta)),
               kPopulation);
  }
}

TEST(ModelPathTest, ToAMixture) {
  ExpectLogZ(ToAMixture(), kImportance);
  ExpectLogZ(Population(ToAMixture()), kPopulation);
}

TEST(ModelPathTest, BetweenLattices) {
  for (const double beta : {1.0, 1.4}) {
    ExpectLogZ(BetweenLattices(TransitionKind::kSiteMetropolis, beta),
               kImportance);
    ExpectLogZ(BetweenLattices(TransitionKind::kGibbsWithGradients, beta),
               kImportance);
    ExpectLogZ(
        Population(BetweenLattices(TransitionKind::kSiteMetropolis, beta)),
        kPopulation);
  }
}

}  // namespace
}  // namespace basin::testing
