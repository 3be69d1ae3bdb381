#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/graph/shape_rules.h"

namespace basin::internal {
namespace {

constexpr int kMaxSpatialRank = 3;  // what convolution libraries support
// Bounds each size, stride, dilation and padding: products of two then stay
// below 2^62.
constexpr int64_t kMaxExtent = std::numeric_limits<int32_t>::max();

bool AllBetween(const IntList& values, int64_t least) {
  for (const int64_t value : values) {
    if (value < least || value > kMaxExtent) return false;
  }
  return true;
}

// The attributes of a window along one axis.
struct Window {
  int64_t kernel;
  int64_t stride;
  int64_t dilation;
  int64_t before;
  int64_t after;
};

absl::StatusOr<int64_t> OutputSize(const NodeDraft& draft, int axis,
                                   int64_t size, const Window& window) {
  if (size > kMaxExtent || window.kernel < 1 || window.kernel > kMaxExtent) {
    return DraftError(
        draft,
        absl::StrCat("spatial axis ", axis, ": size ", size, " and kernel ",
                     window.kernel, " must be below 2^31, the kernel above 0"));
  }
  const int64_t padded = size + window.before + window.after;
  const int64_t extent = (window.kernel - 1) * window.dilation + 1;
  if (padded < extent) {
    return DraftError(
        draft, absl::StrCat("spatial axis ", axis, ": the kernel spans ",
                            extent, ", more than the padded size ", padded));
  }
  return (padded - extent) / window.stride + 1;
}

// Where [N, C, s..] or [N, s.., C] has its channels and its spatial axes.
int ChannelAxis(ImageLayout layout, const Shape& x) {
  return layout == ImageLayout::kChannelsFirst ? 1 : x.rank() - 1;
}
int FirstSpatialAxis(ImageLayout layout) {
  return layout == ImageLayout::kChannelsFirst ? 2 : 1;
}

absl::Status CheckSpatialRank(const NodeDraft& draft, const Shape& x) {
  const int rank = x.rank() - 2;
  if (rank >= 1 && rank <= kMaxSpatialRank) return absl::OkStatus();
  return DraftError(draft, absl::StrCat("expected 1 to ", kMaxSpatialRank,
                                        " spatial axes, got ", rank));
}

absl::Status CheckConvAttrs(const NodeDraft& draft, int spatial) {
  const auto& attrs = draft.attrs<ConvAttrs>();
  const auto n = static_cast<size_t>(spatial);
  if (attrs.strides.size() != n || attrs.dilations.size() != n ||
      attrs.pads_before.size() != n || attrs.pads_after.size() != n) {
    return DraftError(draft, absl::StrCat("strides, dilations and pads need ",
                                          n, " entries each"));
  }
  if (!AllBetween(attrs.strides, 1) || !AllBetween(attrs.dilations, 1) ||
      !AllBetween(attrs.pads_before, 0) || !AllBetween(attrs.pads_after, 0) ||
      attrs.groups < 1) {
    return DraftError(draft,
                      "strides, dilations and groups must be at least 1, pads "
                      "at least 0, all below 2^31");
  }
  return absl::OkStatus();
}

absl::StatusOr<Shape> ForwardConvShape(const NodeDraft& draft, const Shape& x,
                                       const Shape& w) {
  BASIN_RETURN_IF_ERROR(CheckSpatialRank(draft, x));
  const int spatial = x.rank() - 2;
  if (w.rank() != x.rank()) {
    return DraftError(draft, "image and weights differ in rank");
  }
  BASIN_RETURN_IF_ERROR(CheckConvAttrs(draft, spatial));
  const auto& attrs = draft.attrs<ConvAttrs>();
  const int64_t channels = x.dim(ChannelAxis(attrs.layout, x));
  if (channels % attrs.groups != 0 || w.dim(0) % attrs.groups != 0 ||
      w.dim(1) != channels / attrs.groups) {
    return DraftError(
        draft, absl::StrCat(channels, " channels in ", attrs.groups,
                            " groups do not fit weights ", w.ToString()));
  }
  const int first = FirstSpatialAxis(attrs.layout);
  Shape::Dims dims = x.dims();
  dims[static_cast<size_t>(ChannelAxis(attrs.layout, x))] = w.dim(0);
  for (int i = 0; i < spatial; ++i) {
    const Window window = {w.dim(2 + i), attrs.strides[i], attrs.dilations[i],
                           attrs.pads_before[i], attrs.pads_after[i]};
    BASIN_ASSIGN_OR_RETURN(dims[static_cast<size_t>(first + i)],
                           OutputSize(draft, i, x.dim(first + i), window));
  }
  return Shape::Create(dims);
}

absl::Status CheckPoolAttrs(const NodeDraft& draft, int spatial) {
  const auto& attrs = draft.attrs<PoolAttrs>();
  const auto n = static_cast<size_t>(spatial);
  if (attrs.kernel.size() != n || attrs.strides.size() != n ||
      attrs.pads_before.size() != n || attrs.pads_after.size() != n) {
    return DraftError(draft, absl::StrCat("kernel, strides and pads need ", n,
                                          " entries each"));
  }
  if (!AllBetween(attrs.kernel, 1) || !AllBetween(attrs.strides, 1) ||
      !AllBetween(attrs.pads_before, 0) || !AllBetween(attrs.pads_after, 0)) {
    return DraftError(draft,
                      "kernel and strides must be at least 1, pads at least "
                      "0, all below 2^31");
  }
  return absl::OkStatus();
}

// A window that holds padding only has neither maximum nor mean.
absl::Status CheckNoEmptyWindow(const NodeDraft& draft, int axis, int64_t size,
                                const Window& window, int64_t windows) {
  const int64_t last_start = (windows - 1) * window.stride - window.before;
  if (size >= 1 && window.before < window.kernel && last_start < size) {
    return absl::OkStatus();
  }
  return DraftError(draft, absl::StrCat("spatial axis ", axis,
                                        ": a window holds only padding"));
}

absl::StatusOr<Shape> ForwardPoolShape(const NodeDraft& draft, const Shape& x) {
  BASIN_RETURN_IF_ERROR(CheckSpatialRank(draft, x));
  const int spatial = x.rank() - 2;
  BASIN_RETURN_IF_ERROR(CheckPoolAttrs(draft, spatial));
  const auto& attrs = draft.attrs<PoolAttrs>();
  const int first = FirstSpatialAxis(attrs.layout);
  Shape::Dims dims = x.dims();
  for (int i = 0; i < spatial; ++i) {
    const Window window = {attrs.kernel[i], attrs.strides[i], 1,
                           attrs.pads_before[i], attrs.pads_after[i]};
    const int64_t size = x.dim(first + i);
    BASIN_ASSIGN_OR_RETURN(const int64_t windows,
                           OutputSize(draft, i, size, window));
    BASIN_RETURN_IF_ERROR(CheckNoEmptyWindow(draft, i, size, window, windows));
    dims[static_cast<size_t>(first + i)] = windows;
  }
  return Shape::Create(dims);
}

absl::Status CheckForward(const NodeDraft& draft, const Shape& forward,
                          const Shape& dy) {
  if (forward == dy) return absl::OkStatus();
  return DraftError(
      draft, absl::StrCat("the forward operation gives ", forward.ToString(),
                          ", not the gradient's ", dy.ToString()));
}

}  // namespace

absl::StatusOr<Shape> ConvShape(const NodeDraft& draft) {
  return ForwardConvShape(draft, draft.input(0), draft.input(1));
}

absl::StatusOr<Shape> ConvBackwardDataShape(const NodeDraft& draft) {
  BASIN_ASSIGN_OR_RETURN(const Shape forward,
                         ForwardConvShape(draft, *draft.given, draft.input(1)));
  BASIN_RETURN_IF_ERROR(CheckForward(draft, forward, draft.input(0)));
  return *draft.given;
}

absl::StatusOr<Shape> ConvBackwardWeightsShape(const NodeDraft& draft) {
  BASIN_ASSIGN_OR_RETURN(const Shape forward,
                         ForwardConvShape(draft, draft.input(0), *draft.given));
  BASIN_RETURN_IF_ERROR(CheckForward(draft, forward, draft.input(1)));
  return *draft.given;
}

absl::StatusOr<Shape> PoolShape(const NodeDraft& draft) {
  return ForwardPoolShape(draft, draft.input(0));
}

absl::StatusOr<Shape> MaxPoolGradShape(const NodeDraft& draft) {
  BASIN_ASSIGN_OR_RETURN(const Shape forward,
                         ForwardPoolShape(draft, draft.input(0)));
  BASIN_RETURN_IF_ERROR(CheckForward(draft, forward, draft.input(1)));
  return draft.input(0);
}

absl::StatusOr<Shape> AvgPoolGradShape(const NodeDraft& draft) {
  BASIN_ASSIGN_OR_RETURN(const Shape forward,
                         ForwardPoolShape(draft, *draft.given));
  BASIN_RETURN_IF_ERROR(CheckForward(draft, forward, draft.input(0)));
  return *draft.given;
}

}  // namespace basin::internal
