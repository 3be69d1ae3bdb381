#ifndef BASIN_CORE_ONNX_WINDOW_H_
#define BASIN_CORE_ONNX_WINDOW_H_

// The attributes that convolutions and pools share, over one to three spatial
// axes.

#include <cstdint>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include "core/onnx/node_context.h"

namespace basin::internal {

// Of images that windows extend along.
inline constexpr int kMaxSpatialAxes = 3;

// Bounds every window parameter, so that sums and products do not overflow.
inline constexpr int64_t kMaxWindowParameter = int64_t{1} << 24;

// One entry for each spatial axis.
struct Window {
  IntList kernel;
  IntList strides;
  IntList dilations;
  IntList pads_before;
  IntList pads_after;

  // What the kernel spans along spatial axis `i`.
  int64_t extent(size_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }
};

// The attribute, or the default if it is absent; as long as the default.
absl::StatusOr<IntList> ReadWindowList(NodeContext& n, absl::string_view name,
                                       int64_t least, IntList default_value);

// InvalidArgument unless x is [N, C] and one to three spatial axes.
absl::Status CheckImage(const Shape& x);

// Fills strides, dilations and pads for the input x. REQUIRES: window.kernel
// is set; x is an image.
absl::Status ReadStepsAndPads(NodeContext& n, const Shape& x, Window& window);

// Zeros around the spatial axes of x, after it as many as `after` says.
ValueId PadImage(GraphBuilder& b, ValueId x, const IntList& before,
                 const IntList& after);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_WINDOW_H_
