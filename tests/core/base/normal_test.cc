#include "core/base/normal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>

namespace basin {
namespace {

// Statistical gates are 5 standard errors: a false alarm of 6e-7 each, were the
// seeds not fixed.
constexpr double kGate = 5;

// `blocks` Philox blocks of normals.
std::vector<float> DrawMany(int blocks) {
  std::vector<float> normals;
  normals.reserve(4 * static_cast<size_t>(blocks));
  for (int i = 0; i < blocks; ++i) {
    const NormalQuad quad = NormalsOf(Philox(
        20240607, DrawCounter(static_cast<uint32_t>(i % 196), i / 196, 7, 0)));
    normals.insert(normals.end(), quad.value, quad.value + 4);
  }
  return normals;
}

double NormalCdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

TEST(NormalTest, LogarithmIsAccurate) {
  double worst = 0;
  for (uint32_t k = 0; k < 1U << 23; k += 3) {
    const double exact = -2 * std::log((k + 0.5) * 0x1p-23);
    worst =
        std::max(worst, std::abs(MinusTwoLogUniform(k << 9) - exact) / exact);
  }
  EXPECT_LT(worst, 1.3e-7);
  EXPECT_GT(MinusTwoLogUniform(0xffffffff), 0);
  EXPECT_NEAR(MinusTwoLogUniform(0), 48 * std::numbers::ln2, 1e-5);
}

TEST(NormalTest, SineAndCosineAreAccurate) {
  double worst = 0;
  for (uint32_t k = 0; k < 1U << 23; k += 3) {
    const double angle = 2 * std::numbers::pi * k * 0x1p-23;
    const SinCos result = SinCosOfUniformTurn(k << 9);
    worst = std::max({worst, std::abs(result.sin - std::sin(angle)),
                      std::abs(result.cos - std::cos(angle))});
  }
  EXPECT_LT(worst, 1.2e-7);
}

TEST(NormalTest, LogOfDoubleIsAccurate) {
  double worst = 0;
  for (uint32_t i = 0; i < 1000000; ++i) {
    const PhiloxBlock block = Philox(1, {{i, 0, 0, 0}});
    const double u = OpenUnitDouble(block.word[0], block.word[1]);
    worst = std::max(worst, std::abs(LogOfDouble(u) / std::log(u) - 1));
  }
  EXPECT_LT(worst, 1e-15);
}

TEST(NormalTest, UniformsStayInside) {
  EXPECT_EQ(UnitFloat(0), 0);
  EXPECT_LT(UnitFloat(0xffffffff), 1);
  EXPECT_GT(OpenUnitDouble(0, 0), 0);
  EXPECT_LT(OpenUnitDouble(0xffffffff, 0xffffffff), 1);
  EXPECT_LT(LogOfDouble(OpenUnitDouble(0xffffffff, 0xffffffff)), 0);
  EXPECT_NEAR(LogOfDouble(OpenUnitDouble(0, 0)), -53 * std::numbers::ln2,
              1e-12);
}

TEST(NormalTest, MomentsAreThoseOfTheNormalLaw) {
  const std::vector<float> normals = DrawMany(1 << 20);
  const auto n = static_cast<double>(normals.size());
  std::array<double, 9> sums = {};
  for (const double x : normals) {
    double power = 1;
    for (double& sum : sums) {
      sum += power;
      power *= x;
    }
  }
  // E x^p and E x^2p of N(0, 1).
  const double moment[] = {1, 0, 1, 0, 3, 0, 15, 0, 105};
  const double moment_of_square[] = {1, 1, 3, 15, 105, 945, 10395};
  for (int p = 1; p <= 6; ++p) {
    const double error =
        std::sqrt((moment_of_square[p] - moment[p] * moment[p]) / n);
    EXPECT_NEAR(sums[p] / n, moment[p], kGate * error) << "x^" << p;
  }
}

TEST(NormalTest, TailsAreThoseOfTheNormalLaw) {
  const std::vector<float> normals = DrawMany(1 << 21);
  const auto n = static_cast<double>(normals.size());
  for (const double bound : {1.0, 2.0, 3.0, 4.0, 4.75}) {
    const double p = NormalCdf(-bound);
    for (const double sign : {-1.0, 1.0}) {
      const auto count =
          std::count_if(normals.begin(), normals.end(),
                        [&](float x) { return sign * x > bound; });
      EXPECT_NEAR(static_cast<double>(count), n * p,
                  kGate * std::sqrt(n * p * (1 - p)))
          << sign * bound;
    }
  }
}

// Kolmogorov and Smirnov: sqrt(n) D above 2.69 has probability 1e-6.
TEST(NormalTest, DistributionIsTheNormalLaw) {
  std::vector<float> normals = DrawMany(1 << 18);
  std::sort(normals.begin(), normals.end());
  const auto n = static_cast<double>(normals.size());
  double distance = 0;
  for (size_t i = 0; i < normals.size(); ++i) {
    const double cdf = NormalCdf(normals[i]);
    const auto rank = static_cast<double>(i);
    distance = std::max({distance, cdf - rank / n, (rank + 1) / n - cdf});
  }
  EXPECT_LT(std::sqrt(n) * distance, 2.69);
}

TEST(NormalTest, CoordinatesAreIndependent) {
  const std::vector<float> normals = DrawMany(1 << 19);
  const size_t n = normals.size() - 8;
  for (const size_t lag : {1, 2, 3, 4, 5, 8}) {
    double product = 0;
    double squares = 0;
    for (size_t i = 0; i < n; ++i) {
      const double a = normals[i];
      const double b = normals[i + lag];
      product += a * b;
      squares += (a * a - 1) * (b * b - 1);
    }
    const auto count = static_cast<double>(n);
    EXPECT_NEAR(product / count, 0, kGate / std::sqrt(count)) << lag;
    EXPECT_NEAR(squares / count, 0, kGate * 2 / std::sqrt(count)) << lag;
  }
}

}  // namespace
}  // namespace basin
