#ifndef BASIN_CORE_BASE_NORMAL_H_
#define BASIN_CORE_BASE_NORMAL_H_

// From the 32-bit words of Philox to uniforms and standard normals. Pure
// functions of IEEE-exact operations (+ - * / sqrt, conversions, integers)
// without contraction, so CPU with any instruction set and CUDA give the same
// bits, and loops over them are vectorised. As in core/base/philox.h, nothing
// here is shared between instruction sets.
//
// Normals: Box and Muller, Annals of Mathematical Statistics 29, 1958. The
// polynomials are those of the Cephes library (S. Moshier), logf and sinf.

#include <cstdint>

#include "core/base/host_device.h"
#include "core/base/philox.h"

namespace basin {

// A float in [0, 1), a multiple of 2^-24.
BASIN_HOST_DEVICE float UnitFloat(uint32_t bits) {
  // Through int: there is no conversion from unsigned before AVX-512.
  return static_cast<float>(static_cast<int32_t>(bits >> 8)) * 0x1p-24F;
}

// A double in (0, 1), an odd multiple of 2^-53.
BASIN_HOST_DEVICE double OpenUnitDouble(uint32_t high, uint32_t low) {
  const int64_t k = static_cast<int64_t>(high) << 20 | low >> 12;
  return (static_cast<double>(k) + 0.5) * 0x1p-52;
}

// log(u) of a positive normal number, to about 2e-16 relative.
BASIN_HOST_DEVICE double LogOfDouble(double u) {
  constexpr uint64_t kSqrtHalf = 0x3FE6A09E667F3BCDU;
  constexpr uint64_t kOne = 0x3FF0000000000000U;
  const uint64_t bits = __builtin_bit_cast(uint64_t, u) + (kOne - kSqrtHalf);
  const auto exponent =
      static_cast<double>(static_cast<int32_t>(bits >> 52) - 1023);
  // m in [sqrt(1/2), sqrt(2)), u = m 2^exponent.
  const double m =
      __builtin_bit_cast(double, (bits & 0x000FFFFFFFFFFFFFU) + kSqrtHalf);
  // log m = 2 artanh(s), the series up to s^21.
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double sum = 1.0 / 21;
  for (int odd = 19; odd >= 1; odd -= 2) sum = sum * z + 1.0 / odd;
  return exponent * 0.69314718055994530942 + 2.0 * s * sum;
}

// -2 log(u) for u = (k + 1/2) / 2^23, k the upper 23 of `bits`: in
// (1.1e-7, 33.3], to 1e-7 relative.
BASIN_HOST_DEVICE float MinusTwoLogUniform(uint32_t bits) {
  constexpr int32_t kSqrtHalf = 0x3F3504F3;
  constexpr int32_t kOne = 0x3F800000;
  const float u =
      (static_cast<float>(static_cast<int32_t>(bits >> 9)) + 0.5F) * 0x1p-23F;
  const int32_t word = __builtin_bit_cast(int32_t, u) + (kOne - kSqrtHalf);
  const auto exponent = static_cast<float>((word >> 23) - 127);
  // x in [sqrt(1/2) - 1, sqrt(2) - 1), u = (1 + x) 2^exponent.
  const float x =
      __builtin_bit_cast(float, (word & 0x007FFFFF) + kSqrtHalf) - 1.0F;
  const float z = x * x;
  float p = 7.0376836292e-2F;
  p = p * x - 1.1514610310e-1F;
  p = p * x + 1.1676998740e-1F;
  p = p * x - 1.2420140846e-1F;
  p = p * x + 1.4249322787e-1F;
  p = p * x - 1.6668057665e-1F;
  p = p * x + 2.0000714765e-1F;
  p = p * x - 2.4999993993e-1F;
  p = p * x + 3.3333331174e-1F;
  // log 2 in two parts, the first exact in a product with the exponent.
  const float low = x * z * p - 2.12194440e-4F * exponent - 0.5F * z;
  return -2.0F * (x + low + 0.693359375F * exponent);
}

struct SinCos {
  float sin;
  float cos;
};

// sin and cos of 2 pi k / 2^23, k the upper 23 of `bits`, to 1e-7 absolute.
BASIN_HOST_DEVICE SinCos SinCosOfUniformTurn(uint32_t bits) {
  const auto k = static_cast<int32_t>(bits >> 9);
  const int32_t quadrant = (k + (1 << 20)) >> 21;  // the nearest, 0 to 4
  // The rest of the angle, in [-pi/4, pi/4].
  const float x = static_cast<float>(k - quadrant * (1 << 21)) *
                  static_cast<float>(6.28318530717958647693 / (1 << 23));
  const float z = x * x;
  const float sin_x =
      ((-1.9515295891e-4F * z + 8.3321608736e-3F) * z - 1.6666654611e-1F) * z *
          x +
      x;
  const float cos_x = ((2.443315711809948e-5F * z - 1.388731625493765e-3F) * z +
                       4.166664568298827e-2F) *
                          z * z -
                      0.5F * z + 1.0F;
  const bool swap = (quadrant & 1) != 0;
  const auto sin_bits = __builtin_bit_cast(uint32_t, swap ? cos_x : sin_x) ^
                        (static_cast<uint32_t>(quadrant) & 2U) << 30;
  const auto cos_bits = __builtin_bit_cast(uint32_t, swap ? sin_x : cos_x) ^
                        (static_cast<uint32_t>(quadrant + 1) & 2U) << 30;
  return {__builtin_bit_cast(float, sin_bits),
          __builtin_bit_cast(float, cos_bits)};
}

struct NormalPair {
  float first;
  float second;
};

// Two independent standard normals from two words; |x| < 5.78.
BASIN_HOST_DEVICE NormalPair BoxMuller(uint32_t radius_bits,
                                       uint32_t angle_bits) {
  const float radius = __builtin_sqrtf(MinusTwoLogUniform(radius_bits));
  const SinCos angle = SinCosOfUniformTurn(angle_bits);
  return {radius * angle.cos, radius * angle.sin};
}

// Four independent standard normals from one Philox block.
struct NormalQuad {
  float value[4];
};
BASIN_HOST_DEVICE NormalQuad NormalsOf(const PhiloxBlock& block) {
  const NormalPair a = BoxMuller(block.word[0], block.word[1]);
  const NormalPair b = BoxMuller(block.word[2], block.word[3]);
  return {{a.first, a.second, b.first, b.second}};
}

}  // namespace basin

#endif  // BASIN_CORE_BASE_NORMAL_H_
