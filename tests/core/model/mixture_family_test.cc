// Gaussian mixtures against the formula of the density, and its integrals.

#include <cmath>
#include <numbers>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/model/evaluate.h"
#include "tests/core/model/family_fixture.h"
#include "tests/testing/npy.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// Those of the mixture2d demo model.
constexpr char kMixture2d[] = R"(
  family: MIXTURE
  initial { normal { stddev: 3 } }
  mixture {
    component { weight: 0.30 mean: [0, 0] covariance: [0.60, 0.20, 0.20, 0.40] }
    component { weight: 0.25 mean: [3, 1.5]
                covariance: [0.80, -0.45, -0.45, 0.50] }
    component { weight: 0.20 mean: [-2.5, 2]
                covariance: [0.35, 0.10, 0.10, 0.70] }
    component { weight: 0.15 mean: [-2, -2.5]
                covariance: [0.90, 0.40, 0.40, 0.45] }
    component { weight: 0.10 mean: [2.5, -2]
                covariance: [0.50, -0.15, -0.15, 0.60] }
  })";

TEST(MixtureFamilyTest, EnergiesAreThoseOfPyTorch) {
  const ModelFolder folder;
  folder.Write("m", kMixture2d);
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  EXPECT_EQ(model->info().family, "mixture");
  const Tensor x = ReadGoldenNpy(GoldenPath("mixture2d/x.npy"));
  const Tensor energies = ReadGoldenNpy(GoldenPath("mixture2d/energy.npy"));
  const Tensor gradients = ReadGoldenNpy(GoldenPath("mixture2d/grad.npy"));
  const auto found = EvaluateAll(*model, 16, x.data<float>());
  for (size_t row = 0; row < found.energies.size(); ++row) {
    const double energy = energies.data<double>()[row];
    EXPECT_NEAR(found.energies[row], energy, 1e-5 * (1 + std::abs(energy)));
    for (size_t i = 2 * row; i < 2 * row + 2; ++i) {
      const double slope = gradients.data<double>()[i];
      EXPECT_NEAR(found.gradients[i], slope, 1e-4 * (1 + std::abs(slope)));
    }
  }
}

// E = x^2 / (2 s) + log(2 pi s) / 2 - log w, of means and variances that
// float32 does not hold.
TEST(MixtureFamilyTest, Float64KeepsTheNumbersOfTheConfiguration) {
  const ModelFolder folder;
  folder.Write("m",
               "family: MIXTURE precision: FLOAT64 mixture { "
               "component { weight: 1 mean: [0.1] covariance: [0.3] } "
               "component { weight: 2 mean: [-0.7] covariance: [1.1] } }");
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  const auto density = [](double x, double weight, double mean, double s) {
    return weight / 3 * std::exp(-(x - mean) * (x - mean) / (2 * s)) /
           std::sqrt(2 * std::numbers::pi * s);
  };
  const std::vector<float> states = {-2, -0.5F, 0, 0.75F, 3};
  const auto found = EvaluateAll(*model, 16, states);
  for (size_t row = 0; row < states.size(); ++row) {
    const double x = states[row];
    const double want =
        -std::log(density(x, 1, 0.1, 0.3) + density(x, 2, -0.7, 1.1));
    EXPECT_NEAR(found.energies[row], want, 1e-14 * (1 + std::abs(want)));
  }
}

// By the midpoint rule: mass, mean and second moments of the density.
TEST(MixtureFamilyTest, TheDensityHasItsMoments) {
  const ModelFolder folder;
  folder.Write("m", kMixture2d);
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Open("m"));
  constexpr int kCells = 160;
  constexpr double kStep = 24.0 / kCells;
  std::vector<float> states;
  for (int i = 0; i < kCells; ++i) {
    for (int j = 0; j < kCells; ++j) {
      states.push_back(static_cast<float>((i + 0.5) * kStep - 12));
      states.push_back(static_cast<float>((j + 0.5) * kStep - 12));
    }
  }
  const auto energies = ReferenceEnergies(model, states);
  double mass = 0;
  double mean = 0;
  double square = 0;
  for (size_t row = 0; row < energies.size(); ++row) {
    const double weight = std::exp(-energies[row]) * kStep * kStep;
    mass += weight;
    mean += weight * states[2 * row];
    square += weight * states[2 * row] * states[2 * row];
  }
  EXPECT_NEAR(mass, 1, 1e-6);
  EXPECT_NEAR(mean, 0.2, 1e-6);
  const double expected = 0.3 * 0.6 + 0.25 * (9 + 0.8) + 0.2 * (6.25 + 0.35) +
                          0.15 * (4 + 0.9) + 0.1 * (6.25 + 0.5);
  EXPECT_NEAR(square, expected, 1e-5);
  ExpectGradientMatches(model, RandomFloats(8, 1));
}

// Weights need not be normalised; one variance is a multiple of the identity.
TEST(MixtureFamilyTest, OneVarianceIsIsotropic) {
  const ModelFolder folder;
  folder.Write("m", R"(family: MIXTURE mixture {
      component { weight: 3 mean: [1, 2, 3] covariance: 4 } })");
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Open("m"));
  const double log_norm = 1.5 * std::log(2 * std::numbers::pi * 4);
  EXPECT_NEAR(ReferenceEnergies(model, {2, 0, 3})[0], 5.0 / 8 + log_norm, 1e-6);
}

TEST(MixtureFamilyTest, ComponentsFromAFile) {
  const ModelFolder folder;
  const std::string file = SafetensorsBuilder()
                               .Floats("weights", {2}, {1, 3})
                               .Floats("means", {2, 1}, {-1, 2})
                               .Floats("covariances", {2, 1, 1}, {0.25, 1})
                               .Build();
  folder.Write("m", "family: MIXTURE", file);
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Open("m"));
  const auto normal = [](double x, double mean, double variance) {
    return std::exp(-(x - mean) * (x - mean) / (2 * variance)) /
           std::sqrt(2 * std::numbers::pi * variance);
  };
  const double x = 0.5;
  EXPECT_NEAR(ReferenceEnergies(model, {0.5F})[0],
              -std::log(0.25 * normal(x, -1, 0.25) + 0.75 * normal(x, 2, 1)),
              1e-6);
}

TEST(MixtureFamilyTest, BadComponentsAreRefusedWithTheReason) {
  const ModelFolder folder;
  const auto error = [&](const std::string& mixture) {
    folder.Write("m",
                 absl::StrCat("family: MIXTURE mixture { ", mixture, " }"));
    return folder.Load("m").status();
  };
  EXPECT_THAT(error("component { weight: 1 covariance: 1 }"),
              StatusIs(kInvalid, HasSubstr("component[0].mean: expected at "
                                           "least one value")));
  EXPECT_THAT(
      error("component { weight: 1 mean: [0, 0] covariance: [1, 2] }"),
      StatusIs(kInvalid, HasSubstr("component[0].covariance: expected "
                                   "4 values, or one variance, got 2")));
  EXPECT_THAT(error("component { weight: 0 mean: 0 covariance: 1 }"),
              StatusIs(kInvalid, HasSubstr("weight of component 0")));
  EXPECT_THAT(
      error("component { weight: 1 mean: [0, 0] covariance: [1, 2, 2, 1] }"),
      StatusIs(kInvalid, HasSubstr("not positive definite")));
  EXPECT_THAT(
      error("component { weight: 1 mean: [0, 0] covariance: [1, .5, 0, 1] }"),
      StatusIs(kInvalid, HasSubstr("not symmetric")));
  EXPECT_THAT(error(""), StatusIs(absl::StatusCode::kNotFound,
                                  HasSubstr("model.safetensors")));
}

}  // namespace
}  // namespace basin::testing
