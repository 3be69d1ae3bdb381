// Convolutions and pooling, over one or two spatial axes.

#include <algorithm>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

// Bounds every window parameter, so that sums and products do not overflow.
constexpr int64_t kMaxParameter = int64_t{1} << 24;
constexpr int kMaxSpatialAxes = 2;

// One entry for each spatial axis.
struct Window {
  IntList kernel;
  IntList strides;
  IntList dilations;
  IntList pads_before;
  IntList pads_after;
};

// The attribute, or the default if it is absent.
absl::StatusOr<IntList> ReadList(NodeContext& n, absl::string_view name,
                                 int64_t least, IntList default_value) {
  const size_t size = default_value.size();
  IntList list = n.Ints(name).value_or(std::move(default_value));
  const bool in_range = std::all_of(
      list.begin(), list.end(),
      [least](int64_t v) { return v >= least && v <= kMaxParameter; });
  if (list.size() == size && in_range) return list;
  return absl::InvalidArgumentError(
      absl::StrCat(name, " [", absl::StrJoin(list, ", "), "]: expected ", size,
                   " numbers from ", least, " to ", kMaxParameter));
}

// As many results as the input has elements divided by the stride; an odd
// padding goes to the end (upper) or to the beginning.
void SamePads(const Shape& x, bool upper, Window& window) {
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const int64_t size = x.dims()[i + 2];
    const int64_t stride = window.strides[i];
    const int64_t extent = (window.kernel[i] - 1) * window.dilations[i] + 1;
    const int64_t results = size / stride + (size % stride != 0 ? 1 : 0);
    const int64_t pads =
        std::max<int64_t>((results - 1) * stride + extent - size, 0);
    window.pads_before[i] = upper ? pads / 2 : pads - pads / 2;
    window.pads_after[i] = pads - window.pads_before[i];
  }
}

absl::Status ReadPads(NodeContext& n, const Shape& x, Window& window) {
  const size_t axes = window.kernel.size();
  BASIN_ASSIGN_OR_RETURN(const IntList pads,
                         ReadList(n, "pads", 0, IntList(2 * axes, 0)));
  window.pads_before.assign(pads.begin(), pads.begin() + axes);
  window.pads_after.assign(pads.begin() + axes, pads.end());
  const std::string mode = n.String("auto_pad", "NOTSET");
  if (mode == "NOTSET") return absl::OkStatus();
  window.pads_before.assign(axes, 0);
  window.pads_after.assign(axes, 0);
  if (mode == "VALID") return absl::OkStatus();
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    return absl::InvalidArgumentError(
        absl::StrCat("auto_pad ", Quoted(mode),
                     ", expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"));
  }
  SamePads(x, mode == "SAME_UPPER", window);
  return absl::OkStatus();
}

absl::Status CheckImage(const Shape& x) {
  const int axes = x.rank() - 2;
  if (axes < 1 || axes > kMaxSpatialAxes) {
    return absl::UnimplementedError(
        absl::StrCat("input of shape ", x.ToString(),
                     "; [N, C] and one or two spatial axes are supported"));
  }
  for (int i = 2; i < x.rank(); ++i) {
    if (x.dim(i) < 1 || x.dim(i) > kMaxParameter) {
      return absl::InvalidArgumentError(
          absl::StrCat("input of shape ", x.ToString(),
                       ": spatial axes must be from 1 to ", kMaxParameter));
    }
  }
  return absl::OkStatus();
}

// REQUIRES: window.kernel is set.
absl::Status ReadStepsAndPads(NodeContext& n, const Shape& x, Window& window) {
  const IntList ones(window.kernel.size(), 1);
  BASIN_ASSIGN_OR_RETURN(window.strides, ReadList(n, "strides", 1, ones));
  BASIN_ASSIGN_OR_RETURN(window.dilations, ReadList(n, "dilations", 1, ones));
  return ReadPads(n, x, window);
}

absl::StatusOr<Value> LowerConv(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 3));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  BASIN_ASSIGN_OR_RETURN(const ValueId w, n.GraphInput(1));
  const Shape x_shape = n.builder().shape(x);
  const Shape w_shape = n.builder().shape(w);
  BASIN_RETURN_IF_ERROR(CheckImage(x_shape));
  BASIN_RETURN_IF_ERROR(CheckImage(w_shape));
  const IntList spatial(w_shape.dims().begin() + 2, w_shape.dims().end());
  Window window;
  BASIN_ASSIGN_OR_RETURN(window.kernel,
                         ReadList(n, "kernel_shape", 1, spatial));
  if (window.kernel != spatial || x_shape.rank() != w_shape.rank()) {
    return absl::InvalidArgumentError(
        absl::StrCat("kernel_shape [", absl::StrJoin(window.kernel, ", "),
                     "], weights ", w_shape.ToString(), " and input ",
                     x_shape.ToString(), " do not fit together"));
  }
  BASIN_RETURN_IF_ERROR(ReadStepsAndPads(n, x_shape, window));
  const Value y =
      n.builder().Conv(x, w,
                       {window.strides, window.dilations, window.pads_before,
                        window.pads_after, n.Int("group", 1)});
  if (!n.HasInput(2)) return y;
  BASIN_ASSIGN_OR_RETURN(const Value bias, n.Input(2));
  Shape::Dims per_channel(w_shape.rank(), 1);
  per_channel[1] = w_shape.dim(0);
  return n.Binary(ScalarOp::kAdd, y, n.Reshape(bias, per_channel));
}

absl::StatusOr<Window> ReadPoolWindow(NodeContext& n, const Shape& x) {
  BASIN_RETURN_IF_ERROR(CheckImage(x));
  Window window;
  if (!n.HasAttribute("kernel_shape")) {
    return absl::InvalidArgumentError("the attribute kernel_shape is missing");
  }
  const IntList ones(static_cast<size_t>(x.rank() - 2), 1);
  BASIN_ASSIGN_OR_RETURN(window.kernel, ReadList(n, "kernel_shape", 1, ones));
  BASIN_RETURN_IF_ERROR(ReadStepsAndPads(n, x, window));
  if (window.dilations != ones) {
    return absl::UnimplementedError(
        absl::StrCat("dilations [", absl::StrJoin(window.dilations, ", "),
                     "]; pooling is supported with dilations of 1"));
  }
  for (size_t i = 0; i < ones.size(); ++i) {
    if (window.pads_before[i] >= window.kernel[i] ||
        window.pads_after[i] >= window.kernel[i]) {
      return absl::InvalidArgumentError("pads must be below kernel_shape");
    }
  }
  return window;
}

// What ceil_mode adds after the end of axis `i`, so that rounding down gives
// the number of windows that rounding up would. As PyTorch does, and ONNX from
// opset 22 on, a window that would start behind the input is left out.
int64_t CeilPadding(const Shape& x, const Window& window, size_t i) {
  const int64_t size = x.dims()[i + 2];
  const int64_t stride = window.strides[i];
  const int64_t padded = size + window.pads_before[i] + window.pads_after[i];
  const int64_t slack = padded - window.kernel[i];
  if (slack < 0) return 0;
  int64_t last = slack / stride + (slack % stride != 0 ? 1 : 0);
  if (last * stride >= size + window.pads_before[i]) --last;
  return std::max<int64_t>(last * stride - slack, 0);
}

IntList CeilPaddings(NodeContext& n, const Shape& x, const Window& window) {
  IntList extra(window.kernel.size(), 0);
  if (n.Int("ceil_mode", 0) == 0) return extra;
  for (size_t i = 0; i < extra.size(); ++i) {
    extra[i] = CeilPadding(x, window, i);
  }
  return extra;
}

PoolAttrs ToAttributes(const Window& window, const IntList& extra) {
  PoolAttrs attributes{window.kernel, window.strides, window.pads_before,
                       window.pads_after, false};
  for (size_t i = 0; i < extra.size(); ++i) {
    attributes.pads_after[i] += extra[i];
  }
  return attributes;
}

absl::StatusOr<Value> LowerMaxPool(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  n.Ignore("storage_order");  // of the second output
  const Shape shape = n.builder().shape(x);
  BASIN_ASSIGN_OR_RETURN(const Window window, ReadPoolWindow(n, shape));
  return Value(n.builder().MaxPool(
      x, ToAttributes(window, CeilPaddings(n, shape, window))));
}

// Zeros around the spatial axes.
ValueId PadImage(GraphBuilder& b, ValueId x, const Window& window) {
  const auto rank = static_cast<size_t>(b.shape(x).rank());
  PadAttrs pads{IntList(rank, 0), IntList(rank, 0), IntList(rank, 0)};
  std::copy(window.pads_before.begin(), window.pads_before.end(),
            pads.before.begin() + 2);
  std::copy(window.pads_after.begin(), window.pads_after.end(),
            pads.after.begin() + 2);
  return b.Pad(x, std::move(pads));
}

// Padding that ceil_mode adds never counts, the stated padding does if the
// model says so. Where both meet, the stated padding becomes part of the image.
absl::StatusOr<Value> LowerAveragePool(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(ValueId x, n.GraphInput(0));
  const Shape shape = n.builder().shape(x);
  BASIN_ASSIGN_OR_RETURN(Window window, ReadPoolWindow(n, shape));
  const IntList extra = CeilPaddings(n, shape, window);
  const bool count_pads = n.Int("count_include_pad", 0) != 0;
  const IntList none(extra.size(), 0);
  if (count_pads && extra != none) {
    x = PadImage(n.builder(), x, window);
    window.pads_before = none;
    window.pads_after = none;
  }
  PoolAttrs attributes = ToAttributes(window, extra);
  attributes.count_include_pad = count_pads && extra == none;
  return Value(n.builder().AvgPool(x, std::move(attributes)));
}

constexpr Operator kOperators[] = {
    {"AveragePool", 11, LowerAveragePool},
    {"Conv", 11, LowerConv},
    {"MaxPool", 11, LowerMaxPool},
};

}  // namespace

absl::Span<const Operator> WindowOperators() { return kOperators; }

}  // namespace basin::internal
