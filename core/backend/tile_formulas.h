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

// Where a point that flies comes to lie, and the sign that its velocity gets:
// -1 after an odd number of reflections.
struct Reflected {
  float x;
  float sign;
};

// x reflected at both faces as often as it takes. REQUIRES: the box is finite,
// lower <= upper.
BASIN_HOST_DEVICE Reflected ReflectFar(float x, float lower, float upper) {
  if (!IsFiniteFloat(x)) return {x, 1};
  const double width = static_cast<double>(upper) - lower;
  if (!(width > 0)) return {lower, 1};
  // The image of x is periodic with period 2 width, and a triangle wave.
  double rest = static_cast<double>(x) - lower;
  rest -= 2 * width * __builtin_floor(rest / (2 * width));
  const bool returns = rest > width;
  if (returns) rest = 2 * width - rest;
  const auto image = static_cast<float>(lower + rest);
  return {ClipInto(image, lower, upper), returns ? -1.0F : 1.0F};
}

// The sign of ReflectOnce().
BASIN_HOST_DEVICE float SignOfReflectOnce(float x, float lower, float upper) {
  const float at_lower = x < lower ? -1.0F : 1.0F;
  const float above = x < lower ? lower + (lower - x) : x;
  return above > upper ? -at_lower : at_lower;
}

// One coordinate of a move. A coordinate of scale 0 stays whatever the
// gradient is; scale 1 gives the bits of the formula without it.
BASIN_HOST_DEVICE float Moved(float from, float drift_part, float noise_part,
                              float scale) {
  const float moved = from - drift_part + noise_part;
  return scale == 0 ? from : moved;
}
BASIN_HOST_DEVICE float DriftPart(float drift, float grad_energy, float clip,
                                  float scale) {
  return drift * (scale * scale) * ClampMagnitude(grad_energy, clip);
}

// One coordinate of a kick of the momentum, in lengths of `scale`.
BASIN_HOST_DEVICE float Kicked(float momentum, float drift, float grad_energy,
                               float scale) {
  const float kicked = momentum - drift * scale * grad_energy;
  return scale == 0 ? momentum : kicked;
}

// The counter of the draws of one of the moves that a step is made of:
// DrawCounter() for the first. REQUIRES: step < 2^46, 0 <= substep < 2^10.
BASIN_HOST_DEVICE PhiloxBlock SubstepCounter(uint32_t quad, uint64_t chain,
                                             uint64_t step, int substep,
                                             uint8_t purpose) {
  return DrawCounter(quad, chain, step | static_cast<uint64_t>(substep) << 46,
                     purpose);
}

// The moves of one step: uniform in [ceil((1 - jitter) leaps), leaps], the
// same for all chains of a request, so that none waits for another. `block` is
// the draw for kLength at the step, of chain 0.
BASIN_HOST_DEVICE int LengthOf(int leaps, float jitter,
                               const PhiloxBlock& block) {
  // A jitter of .7 in float is a little less, of .3 a little more.
  const auto random =
      static_cast<int>(static_cast<double>(jitter) * leaps + 1e-4);
  const int shortest = random < leaps ? leaps - random : 1;
  const auto choices = static_cast<uint64_t>(leaps - shortest + 1);
  return shortest + static_cast<int>(choices * block.word[0] >> 32);
}

// log u, u ~ U(0, 1), of a chain's accept decision.
BASIN_HOST_DEVICE double LogOfAcceptDraw(const PhiloxBlock& block) {
  return LogOfDouble(OpenUnitDouble(block.word[0], block.word[1]));
}

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_TILE_FORMULAS_H_
