// ln Z by annealed importance sampling and by sequential Monte Carlo against
// exact values: see log_z_checks.h.

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/statistical/log_z_checks.h"

namespace basin::testing {
namespace {

// ln Z = 56.59938876 and 60.14178079: Kaufman's formula for the 8 x 8 torus.
constexpr double kCritical = 0.4406867935;

TEST(LeastSuccessesTest, IsTheBinomialQuantile) {
  // P(X <= 39) = 2.96e-5, P(X <= 40) = 1.59e-4, by summing the law.
  EXPECT_EQ(LeastSuccesses(50, 0.95), 40);
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

// From exact samples.
LogZCase Backwards() {
  LogZCase one = Ising(0.5, 0);
  const Enumerated lattice(0.5, 0, 1);
  one.model = lattice.model.served;
  one.exact = lattice.log_z;
  one.log_volume = 12 * std::numbers::ln2;
  // Those of Gibbs sampling are not reversible.
  one.transition = Params(TransitionKind::kSiteMetropolis, 12);
  one.levels = 40;
  one.direction = AnnealingOptions::Direction::kReverse;
  one.samples = [=, chains = one.chains](uint64_t seed) {
    return lattice.Samples(seed, chains);
  };
  return one;
}

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
