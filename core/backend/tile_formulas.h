#ifndef BASIN_CORE_BACKEND_TILE_FORMULAS_H_
#define BASIN_CORE_BACKEND_TILE_FORMULAS_H_

// What TileOps computes for one element. One formula for every device and
// instruction set, of IEEE-exact operations: no contraction, no library
// functions except sqrt and floor. Sums over a row are taken in kSumLanes
// partial sums, element i in lane i % kSumLanes, then added pairwise.

#include <cstdint>

#include "core/base/host_device.h"
#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin {

inline constexpr int kSumLanes = 16;

// False for NaN too.
BASIN_HOST_DEVICE bool IsFiniteFloat(float x) {
  return __builtin_fabsf(x) <= 3.402823466e38F;
}

BASIN_HOST_DEVICE bool IsFiniteDouble(double x) {
  return __builtin_fabs(x) <= 1.7976931348623157e308;
}

// NaN stays NaN.
BASIN_HOST_DEVICE float ClampMagnitude(float x, float bound) {
  const float below = x > bound ? bound : x;
  return below < -bound ? -bound : below;
}

// A finite x into [lower, upper]; others as they are, so that a chain that
// diverged is seen.
BASIN_HOST_DEVICE float ClipInto(float x, float lower, float upper) {
  const float above = x < lower ? lower : x;
  const float clipped = above > upper ? upper : above;
  return IsFiniteFloat(x) ? clipped : x;
}

// x reflected once at each face: enough unless x is more than a box width
// outside.
BASIN_HOST_DEVICE float ReflectOnce(float x, float lower, float upper) {
  const float above = x < lower ? lower + (lower - x) : x;
  return above > upper ? upper - (above - upper) : above;
}

// x reflected at both faces as often as it takes. REQUIRES: the box is finite,
// lower <= upper.
BASIN_HOST_DEVICE float ReflectFar(float x, float lower, float upper) {
  if (!IsFiniteFloat(x)) return x;
  const double width = static_cast<double>(upper) - lower;
  if (!(width > 0)) return lower;
  // The image of x is periodic with period 2 width, and a triangle wave.
  double rest = static_cast<double>(x) - lower;
  rest -= 2 * width * __builtin_floor(rest / (2 * width));
  if (rest > width) rest = 2 * width - rest;
  const auto image = static_cast<float>(lower + rest);
  return ClipInto(image, lower, upper);
}

// The negative of the square that enters the log-density of a move.
BASIN_HOST_DEVICE double MoveSquare(float from, float grad_energy, float to,
                                    double drift) {
  const double residual = static_cast<double>(to) - from + drift * grad_energy;
  return residual * residual;
}

// log u, u ~ U(0, 1), of a chain's accept decision.
BASIN_HOST_DEVICE double LogOfAcceptDraw(const PhiloxBlock& block) {
  return LogOfDouble(OpenUnitDouble(block.word[0], block.word[1]));
}

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_TILE_FORMULAS_H_
