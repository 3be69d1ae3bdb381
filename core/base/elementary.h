#ifndef BASIN_CORE_BASE_ELEMENTARY_H_
#define BASIN_CORE_BASE_ELEMENTARY_H_

// Elementary functions of float, made of IEEE-exact operations only: + - * /
// sqrt, integer arithmetic on bits, and selects. So a scalar and any lane of
// any vector give the same bits on every instruction set and on CUDA, if
// fused multiply-adds are not formed (-ffp-contract=off, -fmad=false). No
// branches and no calls: compilers turn loops over them into vector code.
//
// Subnormal numbers are honoured. NaN gives NaN. Limits are C's, where the
// comments do not say otherwise. "Within n ulp" is over all arguments, against
// the exact value. Derivations are in
// docs/adr/0001-own-elementary-functions.md.

#include <cstdint>

#include "core/base/host_device.h"

namespace basin {
namespace internal {

BASIN_HOST_DEVICE uint32_t BitsOf(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return bits;
}

BASIN_HOST_DEVICE float FromBits(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof(x));
  return x;
}

// The nearest integer of x as a float, and (modulo 2^22) as an integer.
// REQUIRES: |x| < 2^21, else the result is any number.
struct Rounded {
  float value;
  int32_t integer;
};
BASIN_HOST_DEVICE Rounded RoundToInteger(float x) {
  constexpr float kMagic = 0x1.8p23F;  // its last bit counts ones
  const float shifted = x + kMagic;
  return {shifted - kMagic,
          static_cast<int32_t>(BitsOf(shifted) - 0x4B400000U)};
}

BASIN_HOST_DEVICE float PowerOfTwo(int32_t exponent) {
  return FromBits(static_cast<uint32_t>(exponent + 127) << 23);
}

// exp(r), |r| <= ln 2 / 2 or a little more.
BASIN_HOST_DEVICE float ExpSeries(float r) {
  float p = 1.9875691500e-4F;  // Cephes expf
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  return (p * (r * r) + r) + 1.0F;
}

// exp(hi + lo), |lo| << 1: hi + lo = n ln 2 + r, |r| <= ln 2 / 2.
BASIN_HOST_DEVICE float ExpOfSum(float hi, float lo) {
  hi = hi < -104.0F ? -104.0F : hi;  // exp rounds to 0
  hi = hi > 89.0F ? 89.0F : hi;      // exp overflows
  const Rounded n = RoundToInteger(hi * 1.44269504F);
  float r = hi - n.value * 0.693359375F;  // 9 bits of ln 2: exact
  r = (r - n.value * -2.12194440e-4F) + lo;
  const float p = ExpSeries(r);
  // In two factors: 2^128 and 2^-150 are no normal numbers. Only the last
  // product rounds.
  const int32_t half = n.integer >> 1;
  return p * PowerOfTwo(half) * PowerOfTwo(n.integer - half);
}

// exp(x) to the bits of ExpOfSum(x, 0). REQUIRES: |x| <= 80, or NaN, which
// gives NaN.
BASIN_HOST_DEVICE float ExpOfModerate(float x) {
  const Rounded n = RoundToInteger(x * 1.44269504F);
  const float r = (x - n.value * 0.693359375F) - n.value * -2.12194440e-4F;
  return ExpSeries(r) * PowerOfTwo(n.integer);
}

// x = mantissa * 2^exponent with mantissa in [sqrt(1/2), sqrt(2)).
// REQUIRES: x is positive and finite, else the result is any number.
struct Split {
  float mantissa;
  float exponent;
};
BASIN_HOST_DEVICE Split SplitPositive(float x) {
  const bool subnormal = x < 0x1p-126F;
  x = subnormal ? x * 0x1p23F : x;
  constexpr uint32_t kSqrtHalf = 0x3F3504F3U;
  const uint32_t bits = BitsOf(x) + (0x3F800000U - kSqrtHalf);
  const int32_t exponent =
      static_cast<int32_t>(bits >> 23) - (subnormal ? 127 + 23 : 127);
  return {FromBits((bits & 0x007FFFFFU) + kSqrtHalf),
          static_cast<float>(exponent)};
}

struct SinCosResult {
  float sin;
  float cos;
};

}  // namespace internal

BASIN_HOST_DEVICE float Abs(float x) {
  return internal::FromBits(internal::BitsOf(x) & 0x7FFFFFFFU);
}

// |magnitude| with the sign of `sign`.
BASIN_HOST_DEVICE float CopySign(float magnitude, float sign) {
  return internal::FromBits((internal::BitsOf(magnitude) & 0x7FFFFFFFU) |
                            (internal::BitsOf(sign) & 0x80000000U));
}

// -1, 0 or 1.
BASIN_HOST_DEVICE float Sign(float x) {
  const float unit = CopySign(1.0F, x);
  return Abs(x) > 0.0F ? unit : x;
}

// `a` where `condition`, else `b`: a select on bits stays one, where gcc makes
// branches of some selects on floats and then does not vectorise.
BASIN_HOST_DEVICE float SelectBits(bool condition, float a, float b) {
  const uint32_t mask = 0U - static_cast<uint32_t>(condition);
  return internal::FromBits((internal::BitsOf(a) & mask) |
                            (internal::BitsOf(b) & ~mask));
}

// The larger; NaN if either is.
BASIN_HOST_DEVICE float Maximum(float a, float b) {
  const float larger = a > b ? a : b;
  return a != a ? a : larger;
}

// The smaller; NaN if either is.
BASIN_HOST_DEVICE float Minimum(float a, float b) {
  const float smaller = a < b ? a : b;
  return a != a ? a : smaller;
}

// Exact, correctly rounded by the processor.
BASIN_HOST_DEVICE float Sqrt(float x) { return __builtin_sqrtf(x); }

BASIN_HOST_DEVICE float Floor(float x) {
  const bool has_fraction = Abs(x) < 0x1p23F;
  const float small = SelectBits(has_fraction, x, 0.0F);
  const float truncated = static_cast<float>(static_cast<int32_t>(small));
  const float floor = truncated - (truncated > small ? 1.0F : 0.0F);
  return CopySign(SelectBits(has_fraction, floor, x), x);  // also of -0
}

// Within 1 ulp.
BASIN_HOST_DEVICE float Exp(float x) { return internal::ExpOfSum(x, 0.0F); }

// Within 1 ulp.
BASIN_HOST_DEVICE float Log(float x) {
  const internal::Split split = internal::SplitPositive(x);
  const float f = split.mantissa - 1.0F;
  const float s = f / (2.0F + f);  // log(1 + f) = 2 atanh(s)
  const float z = s * s;
  float q = 0.11665415F;
  q = q * z + 0.14275403F;
  q = q * z + 0.20000061F;
  q = q * z + 0.33333334F;
  const float half_square = 0.5F * f * f;
  const float tail =
      s * (half_square + 2.0F * z * q) + split.exponent * -2.12194440e-4F;
  const float log = split.exponent * 0.693359375F + (f - (half_square - tail));
  const float limit = x == 0.0F ? -__builtin_inff() : x;  // x itself at inf
  const float special = x < 0.0F ? __builtin_nanf("") : limit;
  return x > 0.0F && x < __builtin_inff() ? log : special;
}

// 1 / (1 + exp(-x)), within 3 ulp.
BASIN_HOST_DEVICE float Sigmoid(float x) {
  const float e = Exp(-Abs(x));
  return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

// log(1 + exp(x)), within 2 ulp.
BASIN_HOST_DEVICE float Softplus(float x) {
  const float t = Exp(-Abs(x));
  const float s = t / (2.0F + t);  // log(1 + t) = 2 atanh(s)
  const float z = s * s;
  float q = 0.11612165F;
  q = q * z + 0.10853288F;
  q = q * z + 0.14296179F;
  q = q * z + 0.19999853F;
  q = q * z + 0.33333334F;
  const float half_square = 0.5F * t * t;
  const float log1p = t - (half_square - s * (half_square + 2.0F * z * q));
  return (x > 0.0F ? x : 0.0F) + log1p;
}

// Within 2 ulp.
BASIN_HOST_DEVICE float Tanh(float x) {
  const float magnitude = Abs(x);
  const float large = 1.0F - 2.0F / (Exp(2.0F * magnitude) + 1.0F);
  const float z = x * x;
  float p = -5.70498872745e-3F;  // Cephes tanhf
  p = p * z + 2.06390887954e-2F;
  p = p * z + -5.37397155531e-2F;
  p = p * z + 1.33314422036e-1F;
  p = p * z + -3.33332819422e-1F;
  const float small = x + x * (z * p);
  return magnitude < 0.625F ? small : CopySign(large, x);
}

// Within 2 ulp.
BASIN_HOST_DEVICE float Erf(float x) {
  float t = Abs(x);
  t = t > 4.0F ? 4.0F : t;  // erf(4) rounds to 1
  const float z = t * t;
  float a = -1.72853470e-5F * t + 3.83197126e-4F;
  const float b = -3.88396438e-3F * t + 2.42546219e-2F;
  a = a * z + b;
  a = a * t + -1.06777877e-1F;
  a = a * t + -6.34846687e-1F;
  a = a * t + -1.28717512e-1F;
  const float large = 1.0F - Exp(a * t - t);
  float c = -5.96761703e-4F;
  c = c * z + 4.99119423e-3F;
  c = c * z + -2.67681349e-2F;
  c = c * z + 1.12819925e-1F;
  c = c * z + -3.76125336e-1F;
  c = c * z + 1.28379166e-1F;
  const float small = x + x * c;
  return t <= 0.927734375F ? small : CopySign(large, x);
}

namespace internal {

BASIN_HOST_DEVICE SinCosResult SinCos(float x) {
  const Rounded n = RoundToInteger(x * 0x1.45f306p-1F);
  // x - n pi/2, pi/2 in pieces of 8 bits: products with n < 2^16 are exact.
  float r = x - n.value * 0x1.92p0F;
  r = r - n.value * 0x1.fap-12F;
  r = r - n.value * 0x1.54p-20F;
  r = r - n.value * 0x1.1p-30F;
  r = r - n.value * 0x1.68c234p-39F;
  const float z = r * r;
  float s = -1.9515295891e-4F;  // Cephes sinf
  s = s * z + 8.3321608736e-3F;
  s = s * z + -1.6666654611e-1F;
  s = r + r * (z * s);
  float c = 2.443315711809948e-5F;  // Cephes cosf
  c = c * z + -1.388731625493765e-3F;
  c = c * z + 4.166664568298827e-2F;
  c = 1.0F - (0.5F * z - z * z * c);
  const auto quadrant = static_cast<uint32_t>(n.integer);
  const bool swap = (quadrant & 1U) != 0;
  const float sin = swap ? c : s;
  const float cos = swap ? s : c;
  const uint32_t sin_sign = (quadrant & 2U) << 30;
  const uint32_t cos_sign = ((quadrant + 1U) & 2U) << 30;
  // Also NaN where |x| is NaN or infinite.
  const bool in_range = Abs(x) <= 1e5F;
  const float nan = __builtin_nanf("");
  return {in_range ? FromBits(BitsOf(sin) ^ sin_sign) : nan,
          in_range ? FromBits(BitsOf(cos) ^ cos_sign) : nan};
}

}  // namespace internal

// Within 4 ulp for |x| <= 1e5; NaN beyond, where float has no phase left that
// a model could mean.
BASIN_HOST_DEVICE float Sin(float x) { return internal::SinCos(x).sin; }
BASIN_HOST_DEVICE float Cos(float x) { return internal::SinCos(x).cos; }

namespace internal {

// log(1 + x): what 1 + x rounds off counts by its first order.
BASIN_HOST_DEVICE float Log1p(float x) {
  const float u = 1.0F + x;
  const float lost = x - (u - 1.0F);
  const float log = Log(u) + lost / u;
  return SelectBits(Abs(x) < __builtin_inff(), log, Log(u));
}

// asin(s) of s = sqrt(z), 0 <= s <= 1/2.
BASIN_HOST_DEVICE float AsinSmall(float s, float z) {
  float p = 4.2163199048e-2F;  // Cephes asinf
  p = p * z + 2.4181311049e-2F;
  p = p * z + 4.5470025998e-2F;
  p = p * z + 7.4953002686e-2F;
  p = p * z + 1.6666752422e-1F;
  return s + s * (z * p);
}

}  // namespace internal

// Within 4 ulp.
BASIN_HOST_DEVICE float Sinh(float x) {
  const float h = Exp(0.5F * Abs(x));
  const float large = (0.5F * h) * h - (0.5F / h) / h;
  const float z = x * x;
  float p = 2.03721912945e-4F;  // Cephes sinhf
  p = p * z + 8.33028376239e-3F;
  p = p * z + 1.66667160211e-1F;
  const float small = x + x * (z * p);
  return SelectBits(Abs(x) < 1.0F, small, CopySign(large, x));
}

// Within 4 ulp.
BASIN_HOST_DEVICE float Asin(float x) {
  const float a = Abs(x);
  const bool outer = a > 0.5F;  // asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2))
  const float z = SelectBits(outer, 0.5F * (1.0F - a), a * a);
  const float p = internal::AsinSmall(SelectBits(outer, Sqrt(z), a), z);
  return CopySign(SelectBits(outer, 1.57079632679F - 2.0F * p, p), x);
}

// Within 4 ulp.
BASIN_HOST_DEVICE float Acos(float x) {
  const float a = Abs(x);
  const bool outer = a > 0.5F;
  const float z = SelectBits(outer, 0.5F * (1.0F - a), a * a);
  const float p = internal::AsinSmall(SelectBits(outer, Sqrt(z), a), z);
  const float inner = 1.57079632679F - CopySign(p, x);
  const float far = SelectBits(x < 0.0F, 3.14159265359F - 2.0F * p, 2.0F * p);
  return SelectBits(outer, far, inner);
}

// Within 4 ulp.
BASIN_HOST_DEVICE float Atan(float x) {
  const float a = Abs(x);
  const bool far = a > 2.414213562373095F;      // tan(3 pi / 8)
  const bool middle = a > 0.4142135623730950F;  // tan(pi / 8)
  const float near = SelectBits(middle, (a - 1.0F) / (a + 1.0F), a);
  const float t = SelectBits(far, -1.0F / a, near);
  const float start = SelectBits(middle, 0.785398163397F, 0.0F);
  const float z = t * t;
  float p = 8.05374449538e-2F;  // Cephes atanf
  p = p * z + -1.38776856032e-1F;
  p = p * z + 1.99777106478e-1F;
  p = p * z + -3.33329491539e-1F;
  const float y = SelectBits(far, 1.57079632679F, start) + (t + t * (z * p));
  return CopySign(y, x);
}

// Within 4 ulp.
BASIN_HOST_DEVICE float Asinh(float x) {
  const float a = Abs(x);
  const float m = a > 1e4F ? 1e4F : a;  // beyond, 2 a is all there is
  const float near = internal::Log1p(m + m * (m / (1.0F + Sqrt(1.0F + m * m))));
  const float y = SelectBits(a > 1e4F, Log(a) + 0.69314718056F, near);
  return CopySign(SelectBits(x == x, y, x), x);
}

// Within 4 ulp.
BASIN_HOST_DEVICE float Acosh(float x) {
  const float t = (x > 1e4F ? 1e4F : x) - 1.0F;
  const float near = internal::Log1p(t + Sqrt(t * (t + 2.0F)));
  const float y = SelectBits(x > 1e4F, Log(x) + 0.69314718056F, near);
  return SelectBits(x >= 1.0F, y, __builtin_nanf(""));
}

// Within 4 ulp.
BASIN_HOST_DEVICE float Atanh(float x) {
  const float a = Abs(x);
  return CopySign(0.5F * internal::Log1p(2.0F * a / (1.0F - a)), x);
}

namespace internal {

// y log(x), with about 36 bits where it is below 300; within +-300.
// REQUIRES: x positive and finite, else the result is any number.
BASIN_HOST_DEVICE double ScaledLog(float x, float y) {
  const Split split = SplitPositive(x);
  const double f = static_cast<double>(split.mantissa) - 1.0;
  const double s = f / (2.0 + f);  // log(1 + f) = 2 atanh(s)
  const double z = s * s;
  double q = 1.0 / 13;
  q = q * z + 1.0 / 11;
  q = q * z + 1.0 / 9;
  q = q * z + 1.0 / 7;
  q = q * z + 1.0 / 5;
  q = q * z + 1.0 / 3;
  const double log =
      static_cast<double>(split.exponent) * 0x1.62e42fefa39efp-1 +
      2.0 * (s + s * (z * q));
  double scaled = static_cast<double>(y) * log;
  scaled = scaled < -300.0 ? -300.0 : scaled;
  return scaled > 300.0 ? 300.0 : scaled;
}

}  // namespace internal

// x to the power y, within 2 ulp; the special cases are C's. Its logarithm is
// in double: its error is multiplied by y.
BASIN_HOST_DEVICE float Pow(float x, float y) {
  constexpr float kInf = __builtin_inff();
  const float magnitude = Abs(x);
  const double log = internal::ScaledLog(magnitude, y);
  const auto hi = static_cast<float>(log);
  const auto lo = static_cast<float>(log - static_cast<double>(hi));
  const float finite = internal::ExpOfSum(hi, lo);
  const bool is_zero = magnitude == 0.0F;
  const bool is_inf = magnitude == kInf;
  const float at_zero = SelectBits(y < 0.0F, kInf, 0.0F);
  const float at_inf = SelectBits(y < 0.0F, 0.0F, kInf);
  float result = SelectBits(is_zero, at_zero, finite);
  result = SelectBits(is_inf, at_inf, result);
  result = SelectBits(magnitude == 1.0F, 1.0F, result);
  // From 2^24 on, every float is an even integer.
  const bool is_large = Abs(y) >= 0x1p24F;
  const auto integer = static_cast<int32_t>(SelectBits(is_large, 0.0F, y));
  const bool is_integer = is_large | (static_cast<float>(integer) == y);
  const uint32_t odd =
      static_cast<uint32_t>(is_integer) & static_cast<uint32_t>(integer);
  const uint32_t sign = internal::BitsOf(x) & (odd << 31);
  result = internal::FromBits(internal::BitsOf(result) | sign);
  const bool no_value = (x < 0.0F) & !is_inf & !is_integer;
  result = SelectBits(no_value, __builtin_nanf(""), result);
  result = SelectBits((x != x) | (y != y), x + y, result);
  return SelectBits((y == 0.0F) | (x == 1.0F), 1.0F, result);
}

}  // namespace basin

#endif  // BASIN_CORE_BASE_ELEMENTARY_H_
