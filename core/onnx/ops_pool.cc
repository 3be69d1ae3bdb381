// Pooling over windows.

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/lowering.h"
#include "core/onnx/norms.h"
#include "core/onnx/operators.h"
#include "core/onnx/tensor_reader.h"
#include "core/onnx/window.h"

namespace basin::internal {
namespace {

absl::StatusOr<Window> ReadPoolWindow(NodeContext& n, const Shape& x) {
  BASIN_RETURN_IF_ERROR(CheckImage(x));
  Window window;
  if (!n.HasAttribute("kernel_shape")) {
    return absl::InvalidArgumentError("the attribute kernel_shape is missing");
  }
  const IntList ones(static_cast<size_t>(x.rank() - 2), 1);
  BASIN_ASSIGN_OR_RETURN(window.kernel,
                         ReadWindowList(n, "kernel_shape", 1, ones));
  BASIN_RETURN_IF_ERROR(ReadStepsAndPads(n, x, window));
  for (size_t i = 0; i < ones.size(); ++i) {
    if (window.pads_before[i] >= window.extent(i) ||
        window.pads_after[i] >= window.extent(i)) {
      return absl::InvalidArgumentError(
          "pads must be below what kernel_shape spans");
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
  const int64_t slack = padded - window.extent(i);
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

bool IsDilated(const Window& window) {
  return std::any_of(window.dilations.begin(), window.dilations.end(),
                     [](int64_t dilation) { return dilation != 1; });
}

IntList Sum(const IntList& a, const IntList& b) {
  IntList sum = a;
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += b[i];
  return sum;
}

// --- Pools whose windows have holes, as operations on shifted images: one for
// each element, or tap, of the kernel.

// The elements that tap `tap` of each window reads from a padded image with
// `windows` [.., one entry for each spatial axis].
SliceAttrs TapSlice(const Shape& padded, const Window& window,
                    const Shape& windows, int64_t tap) {
  SliceAttrs slice{IntList(padded.rank(), 0),
                   IntList(padded.dims().begin(), padded.dims().end()),
                   IntList(padded.rank(), 1)};
  for (size_t i = window.kernel.size(); i-- > 0; tap /= window.kernel[i]) {
    const int64_t start = tap % window.kernel[i] * window.dilations[i];
    const int64_t count = windows.dims()[i + 2];
    slice.starts[i + 2] = start;
    slice.limits[i + 2] = start + (count - 1) * window.strides[i] + 1;
    slice.strides[i + 2] = window.strides[i];
  }
  return slice;
}

// Joins the taps of all windows over a padded image.
absl::StatusOr<Value> JoinedTaps(NodeContext& n, ValueId padded,
                                 const Window& window, ScalarOp join) {
  GraphBuilder& b = n.builder();
  if (padded == GraphBuilder::kNoValue) return Value();
  const Shape shape = b.shape(padded);
  Shape::Dims windows = shape.dims();
  int64_t taps = 1;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const int64_t slack = windows[i + 2] - window.extent(i);
    if (slack < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "spatial axis ", i, ": the kernel spans ", window.extent(i),
          ", more than the padded size ", windows[i + 2]));
    }
    windows[i + 2] = slack / window.strides[i] + 1;
    taps = std::min(taps * window.kernel[i], kMaxWindowParameter);
  }
  BASIN_RETURN_IF_ERROR(TakeNodes(2 * taps, n.state()));
  BASIN_ASSIGN_OR_RETURN(const Shape result, Shape::Create(windows));
  Value joined;
  for (int64_t tap = 0; tap < taps; ++tap) {
    const Value next = b.Slice(padded, TapSlice(shape, window, result, tap));
    joined = tap == 0 ? next : n.Binary(join, joined, next);
  }
  return joined;
}

// A constant [1, 1, windows..] of products of one number for each spatial axis.
absl::StatusOr<Value> ProductsOf(NodeContext& n,
                                 const std::vector<std::vector<float>>& axes) {
  Value product = Number(1);
  for (size_t i = 0; i < axes.size(); ++i) {
    Shape::Dims dims(axes.size() + 2, 1);
    dims[i + 2] = static_cast<int64_t>(axes[i].size());
    BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
    BASIN_RETURN_IF_ERROR(TakeFromBudget(DType::kFloat32, shape.num_elements(),
                                         n.constant_bytes_left()));
    product = n.Binary(ScalarOp::kMul, product,
                       Value(Tensor::Of<float>(shape, axes[i])));
  }
  return product;
}

// How many taps of each window along axis `i` lie within `size` elements that
// follow `before` others.
std::vector<float> TapCounts(const Window& window, size_t i, int64_t windows,
                             int64_t before, int64_t size) {
  const int64_t dilation = window.dilations[i];
  // The number of taps below `place`, counted from the window's first one.
  const auto taps_below = [&](int64_t place) {
    const int64_t taps = place <= 0 ? 0 : (place - 1) / dilation + 1;
    return std::min(taps, window.kernel[i]);
  };
  std::vector<float> counts;
  for (int64_t w = 0; w < windows; ++w) {
    const int64_t first = before - w * window.strides[i];
    counts.push_back(
        static_cast<float>(taps_below(first + size) - taps_below(first)));
  }
  return counts;
}

// The number of elements that each window's mean divides by, [1, 1, ..].
absl::StatusOr<Value> TapCounts(NodeContext& n, const Shape& x,
                                const Shape& windows, const Window& window,
                                bool count_pads) {
  std::vector<std::vector<float>> counts;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const int64_t size = x.dims()[i + 2];
    const int64_t before = window.pads_before[i];
    BASIN_RETURN_IF_ERROR(TakeFromBudget(DType::kFloat32, windows.dims()[i + 2],
                                         n.constant_bytes_left()));
    counts.push_back(
        count_pads ? TapCounts(window, i, windows.dims()[i + 2], 0,
                               before + size + window.pads_after[i])
                   : TapCounts(window, i, windows.dims()[i + 2], before, size));
    if (std::count(counts.back().begin(), counts.back().end(), 0.0f) > 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("spatial axis ", i, ": a window holds only padding"));
    }
  }
  return ProductsOf(n, counts);
}

// Padding is -infinity: what is added to a zero there, and a zero is added
// within.
absl::StatusOr<Value> DilatedMaxPool(NodeContext& n, ValueId x,
                                     const Window& window,
                                     const IntList& extra) {
  GraphBuilder& b = n.builder();
  const Shape shape = b.shape(x);
  const ValueId padded =
      PadImage(b, x, window.pads_before, Sum(window.pads_after, extra));
  if (padded == GraphBuilder::kNoValue) return Value();
  Value image = padded;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const int64_t size = b.shape(padded).dims()[i + 2];
    Shape::Dims dims(window.kernel.size() + 2, 1);
    dims[i + 2] = size;
    BASIN_RETURN_IF_ERROR(
        TakeFromBudget(DType::kFloat32, size, n.constant_bytes_left()));
    std::vector<float> mask(static_cast<size_t>(size),
                            -std::numeric_limits<float>::infinity());
    std::fill_n(mask.begin() + window.pads_before[i], shape.dims()[i + 2],
                0.0f);
    BASIN_ASSIGN_OR_RETURN(const Shape mask_shape, Shape::Create(dims));
    image = n.Binary(ScalarOp::kAdd, image,
                     Value(Tensor::Of<float>(mask_shape, mask)));
  }
  BASIN_ASSIGN_OR_RETURN(
      const Value y, JoinedTaps(n, n.InGraph(image), window, ScalarOp::kMax));
  if (y.exists()) {  // whether each window holds an element
    BASIN_RETURN_IF_ERROR(
        TapCounts(n, shape, n.ShapeOf(y), window, false).status());
  }
  return y;
}

absl::StatusOr<Value> DilatedAveragePool(NodeContext& n, ValueId x,
                                         const Window& window,
                                         const IntList& extra,
                                         bool count_pads) {
  GraphBuilder& b = n.builder();
  const Shape shape = b.shape(x);
  const ValueId padded =
      PadImage(b, x, window.pads_before, Sum(window.pads_after, extra));
  BASIN_ASSIGN_OR_RETURN(const Value sum,
                         JoinedTaps(n, padded, window, ScalarOp::kAdd));
  if (!sum.exists()) return sum;
  BASIN_ASSIGN_OR_RETURN(const Value counts, TapCounts(n, shape, n.ShapeOf(sum),
                                                       window, count_pads));
  return n.Binary(ScalarOp::kDiv, sum, counts);
}

// --- Operators

absl::StatusOr<Value> LowerMaxPool(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  n.Ignore("storage_order");  // of the second output
  const Shape shape = n.builder().shape(x);
  BASIN_ASSIGN_OR_RETURN(const Window window, ReadPoolWindow(n, shape));
  const IntList extra = CeilPaddings(n, shape, window);
  if (IsDilated(window)) return DilatedMaxPool(n, x, window, extra);
  return Value(n.builder().MaxPool(x, ToAttributes(window, extra)));
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
  if (IsDilated(window)) {
    return DilatedAveragePool(n, x, window, extra, count_pads);
  }
  const IntList none(extra.size(), 0);
  if (count_pads && extra != none) {
    x = PadImage(n.builder(), x, window.pads_before, window.pads_after);
    window.pads_before = none;
    window.pads_after = none;
  }
  PoolAttrs attributes = ToAttributes(window, extra);
  attributes.count_include_pad = count_pads && extra == none;
  return Value(n.builder().AvgPool(x, std::move(attributes)));
}

// (sum of |x|^p)^(1/p), over zeros in padding.
absl::StatusOr<Value> LowerLpPool(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  const Shape shape = n.builder().shape(x);
  BASIN_ASSIGN_OR_RETURN(const Window window, ReadPoolWindow(n, shape));
  const IntList extra = CeilPaddings(n, shape, window);
  const int64_t p = n.Int("p", 2);
  if (p < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("p is ", p, ", expected at least 1"));
  }
  const auto power = static_cast<float>(p);
  const ValueId padded =
      PadImage(n.builder(), n.InGraph(AbsolutePower(n, x, power)),
               window.pads_before, Sum(window.pads_after, extra));
  Value sum;
  if (IsDilated(window)) {
    BASIN_ASSIGN_OR_RETURN(sum, JoinedTaps(n, padded, window, ScalarOp::kAdd));
  } else {
    float count = 1;
    for (const int64_t size : window.kernel) count *= static_cast<float>(size);
    const IntList none(extra.size(), 0);
    const Value mean = n.builder().AvgPool(
        padded, {window.kernel, window.strides, none, none, false});
    sum = n.Binary(ScalarOp::kMul, mean, Number(count));
  }
  return Root(n, sum, power);
}

constexpr Operator kOperators[] = {
    {"AveragePool", 1, LowerAveragePool},
    {"LpPool", 2, LowerLpPool},
    {"MaxPool", 1, LowerMaxPool},
};

}  // namespace

absl::Span<const Operator> PoolOperators() { return kOperators; }

}  // namespace basin::internal
