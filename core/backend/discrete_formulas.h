#ifndef BASIN_CORE_BACKEND_DISCRETE_FORMULAS_H_
#define BASIN_CORE_BACKEND_DISCRETE_FORMULAS_H_

// What DiscreteOps computes for one element or draw; see
// core/backend/tile_formulas.h. Probabilities are those of the laws up to the
// steps of the uniform numbers: 2^-23 (Bernoulli), 2^-24 (categorical), or
// 2^-32 and finer where a Metropolis correction relies on them.

#include <cstdint>

#include "core/base/elementary.h"
#include "core/base/host_device.h"
#include "core/base/normal.h"

namespace basin {

// exp(x) to about 3e-16 relative; 0 below -708. REQUIRES: x <= 709, or NaN,
// which gives NaN.
BASIN_HOST_DEVICE double ExpOfDouble(double x) {
  constexpr double kMagic = 0x1.8p52;  // its last bit counts ones
  const double bounded = x < -708.0 ? -708.0 : x;
  const double shifted = bounded * 1.4426950408889634 + kMagic;
  const double n = shifted - kMagic;
  const double r = (bounded - n * 0x1.62e42feep-1) - n * 1.9082149292705877e-10;
  // The series of exp r, |r| <= ln 2 / 2, up to r^13.
  double sum = 1.0 / 6227020800.0;
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  const auto bits = __builtin_bit_cast(uint64_t, shifted);
  const auto power = __builtin_bit_cast(double, (bits + 1023) << 52);
  return x < -708.0 ? 0.0 : sum * power;
}

// log(1 + exp(x)); NaN gives NaN.
BASIN_HOST_DEVICE double SoftplusOfDouble(double x) {
  const double magnitude = x < 0 ? -x : x;
  const double above = x > 0 ? x : 0.0;
  const double softplus = above + LogOfDouble(1.0 + ExpOfDouble(-magnitude));
  return x == x ? softplus : x;
}

// A double in (0, 1), an odd multiple of 2^-33.
BASIN_HOST_DEVICE double OpenUnitDouble32(uint32_t bits) {
  const auto k = static_cast<int32_t>(bits ^ 0x80000000U);
  return (static_cast<double>(k) + 2147483648.5) * 0x1p-32;
}

// 1 with probability 1 / (1 + exp(-logit)), else 0; NaN if the logit is, so
// that it is seen.
BASIN_HOST_DEVICE float DrawBernoulli(float logit, uint32_t bits) {
  // (bits >> 9) + 1/2 over 2^23, by way of a number in [1, 2).
  const float u =
      internal::FromBits(bits >> 9 | 0x3F800000U) - (1.0F - 0x1p-24F);
  // Beyond, u cannot tell the probability from 0 or 1.
  constexpr float kLargest = 20.0F;
  float bounded = logit < -kLargest ? -kLargest : logit;
  bounded = bounded > kLargest ? kLargest : bounded;
  const float value =
      u * (1.0F + internal::ExpOfModerate(-bounded)) < 1.0F ? 1.0F : 0.0F;
  return SelectBits(logit == logit, value, logit);
}

// `count` numbers 0 .. count - 1 alike, up to count / 2^32 relative.
BASIN_HOST_DEVICE int64_t UniformBelow(int64_t count, uint32_t bits) {
  return static_cast<int64_t>((static_cast<uint64_t>(count) * bits) >> 32);
}

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_DISCRETE_FORMULAS_H_
