#include "core/base/elementary.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/cpu_isa.h"
#include "tests/core/base/elementary_loops.h"

namespace basin {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// |got - want| in units of the last place of want, as a float.
double UlpError(float got, double want) {
  if (std::isnan(want)) return std::isnan(got) ? 0 : 1e9;
  const auto rounded = static_cast<float>(want);
  if (std::isinf(got) || std::isinf(rounded)) return got == rounded ? 0 : 1e9;
  int exponent = 0;
  std::frexp(want, &exponent);
  return std::abs(got - want) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

struct UnaryCase {
  const char* name;
  float (*function)(float);
  double (*truth)(double);
  double max_ulp;
  float limit;  // of |x|
};

double Logistic(double x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
double Softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

const UnaryCase kCases[] = {
    {"Exp", [](float x) { return Exp(x); }, std::exp, 1, kInf},
    {"Log", [](float x) { return Log(x); }, std::log, 1, kInf},
    {"Sigmoid", [](float x) { return Sigmoid(x); }, Logistic, 3, kInf},
    {"Softplus", [](float x) { return basin::Softplus(x); }, Softplus, 2, kInf},
    {"Tanh", [](float x) { return Tanh(x); }, std::tanh, 2, kInf},
    {"Erf", [](float x) { return Erf(x); }, std::erf, 2, kInf},
    {"Sin", [](float x) { return Sin(x); }, std::sin, 4, 1e5F},
    {"Cos", [](float x) { return Cos(x); }, std::cos, 4, 1e5F},
    {"Floor", [](float x) { return Floor(x); }, std::floor, 0, kInf},
    {"Sinh", [](float x) { return Sinh(x); }, std::sinh, 4, kInf},
    {"Asin", [](float x) { return Asin(x); }, std::asin, 4, 1},
    {"Acos", [](float x) { return Acos(x); }, std::acos, 4, 1},
    {"Atan", [](float x) { return Atan(x); }, std::atan, 4, kInf},
    {"Asinh", [](float x) { return Asinh(x); }, std::asinh, 4, kInf},
    {"Acosh", [](float x) { return Acosh(x); }, std::acosh, 4, kInf},
    {"Atanh", [](float x) { return Atanh(x); }, std::atanh, 4, kInf},
};

// Every 2^12th float of either sign, NaN and infinities among them.
TEST(ElementaryTest, IsWithinItsStatedError) {
  for (const UnaryCase& c : kCases) {
    double worst = 0;
    float at = 0;
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 4093) {
      const float x = internal::FromBits(static_cast<uint32_t>(bits));
      if (std::abs(x) > c.limit) continue;
      const double error = UlpError(c.function(x), c.truth(x));
      if (error > worst) {
        worst = error;
        at = x;
      }
    }
    EXPECT_LE(worst, c.max_ulp) << c.name << "(" << at << ")";
  }
}

TEST(ElementaryTest, LimitsAreRight) {
  EXPECT_EQ(Exp(kInf), kInf);
  EXPECT_EQ(Exp(-kInf), 0);
  EXPECT_EQ(Exp(0), 1);
  EXPECT_EQ(Log(0), -kInf);
  EXPECT_EQ(Log(kInf), kInf);
  EXPECT_EQ(Log(1), 0);
  EXPECT_TRUE(std::isnan(Log(-1)));
  EXPECT_EQ(Sigmoid(-kInf), 0);
  EXPECT_EQ(Sigmoid(kInf), 1);
  EXPECT_EQ(basin::Softplus(-kInf), 0);
  EXPECT_EQ(basin::Softplus(kInf), kInf);
  EXPECT_EQ(Tanh(-kInf), -1);
  EXPECT_EQ(Erf(-kInf), -1);
  EXPECT_TRUE(std::isnan(Sin(1.1e5F)));
  EXPECT_TRUE(std::isnan(Cos(kInf)));
  EXPECT_TRUE(std::signbit(Floor(-0.0F)));
  EXPECT_EQ(Sinh(-kInf), -kInf);
  EXPECT_EQ(Asinh(-kInf), -kInf);
  EXPECT_EQ(Acosh(kInf), kInf);
  EXPECT_EQ(Acosh(1), 0);
  EXPECT_EQ(Atanh(1), kInf);
  EXPECT_EQ(Acos(1), 0);
  EXPECT_EQ(Atan(kInf), std::atan(kInf));
  EXPECT_TRUE(std::signbit(Asin(-0.0F)));
  for (const float outside : {Asin(1.5F), Acos(-2), Acosh(0.5F), Acosh(-9),
                              Atanh(1.5F), Atanh(-kInf)}) {
    EXPECT_TRUE(std::isnan(outside));
  }
  EXPECT_EQ(Sign(-3), -1);
  EXPECT_EQ(Sign(0), 0);
  for (const float nan : {Exp(kNan),        Log(kNan),
                          Sigmoid(kNan),    Tanh(kNan),
                          Erf(kNan),        Sin(kNan),
                          Sign(kNan),       Floor(kNan),
                          Sinh(kNan),       Asin(kNan),
                          Acos(kNan),       Atan(kNan),
                          Asinh(kNan),      Acosh(kNan),
                          Atanh(kNan),      basin::Softplus(kNan),
                          Maximum(kNan, 1), Maximum(1, kNan),
                          Minimum(kNan, 1), Minimum(1, kNan)}) {
    EXPECT_TRUE(std::isnan(nan));
  }
}

TEST(ElementaryTest, PowHasTheSpecialCasesOfC) {
  const float values[] = {0.0F,  -0.0F,  1.0F,        -1.0F,      2.0F, -2.0F,
                          0.5F,  -0.5F,  3.0F,        -3.0F,      kInf, -kInf,
                          1e30F, 1e-40F, 16777217.0F, 8388609.0F, kNan, 0.3F};
  for (const float x : values) {
    for (const float y : values) {
      const float want = std::pow(x, y);
      const float got = Pow(x, y);
      EXPECT_LE(UlpError(got, std::pow(double{x}, double{y})), 2)
          << x << " " << y;
      if (!std::isnan(want)) {
        EXPECT_EQ(std::signbit(got), std::signbit(want)) << x << " " << y;
      }
    }
  }
}

// Any floats, and such that y log(x) covers the range of finite results: there
// an error of the logarithm weighs most.
TEST(ElementaryTest, PowIsWithinItsStatedError) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> exponent(-3, 3);
  std::uniform_real_distribution<double> scaled_log(-87, 88.7);
  for (int i = 0; i < 3000000; ++i) {
    const bool any = i % 4 == 0;
    const float x = any ? internal::FromBits(static_cast<uint32_t>(random()))
                        : std::exp2(exponent(random));
    const float y =
        any ? internal::FromBits(static_cast<uint32_t>(random()))
            : static_cast<float>(scaled_log(random) / std::log(double{x}));
    ASSERT_LE(UlpError(Pow(x, y), std::pow(double{x}, double{y})), 2)
        << x << " " << y;
  }
}

// All instruction sets of this machine, vector bodies and scalar tails.
TEST(ElementaryTest, AllInstructionSetsGiveTheSameBits) {
  constexpr int64_t kCount = 100003;
  std::vector<float> x(kCount);
  std::vector<float> y(kCount);
  std::mt19937 random(2);
  for (int64_t i = 0; i < kCount; ++i) {
    const auto bits = static_cast<uint32_t>(random());
    x[i] = i % 2 == 0 ? internal::FromBits(bits)
                      : static_cast<float>(bits) * 0x1p-27F - 16;
    y[i] = static_cast<float>(random()) * 0x1p-29F - 4;
  }
  const ElementaryLoops* sets[] = {&isa_baseline::kElementaryLoops,
                                   &isa_v3::kElementaryLoops,
                                   &isa_v4::kElementaryLoops};
  for (int f = 0; f < static_cast<int>(Elementary::kCount); ++f) {
    std::vector<float> want(kCount);
    for (int64_t i = 0; i < kCount; ++i) {
      sets[0]->loops[f](&x[i], &y[i], &want[i], 1);
    }
    for (int isa = 0; isa <= static_cast<int>(DetectedIsa()); ++isa) {
      std::vector<float> got(kCount);
      sets[isa]->loops[f](x.data(), y.data(), got.data(), kCount);
      for (int64_t i = 0; i < kCount; ++i) {
        if (std::isnan(want[i]) && std::isnan(got[i])) continue;
        ASSERT_EQ(std::memcmp(&got[i], &want[i], sizeof(float)), 0)
            << "function " << f << " isa " << isa << " of " << x[i];
      }
    }
  }
}

}  // namespace
}  // namespace basin
