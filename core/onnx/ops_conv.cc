// Convolutions, and their transposes, over one to three spatial axes.

#include <algorithm>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "core/onnx/operators.h"
#include "core/onnx/window.h"

namespace basin::internal {
namespace {

// The window over the image x that the weights w span.
absl::StatusOr<Window> ReadConvWindow(NodeContext& n, ValueId x, ValueId w) {
  const Shape x_shape = n.builder().shape(x);
  const Shape w_shape = n.builder().shape(w);
  // More spatial axes are allowed where filters do not extend along them.
  if (x_shape.rank() <= kMaxSpatialAxes + 2) {
    BASIN_RETURN_IF_ERROR(CheckImage(x_shape));
    BASIN_RETURN_IF_ERROR(CheckImage(w_shape));
  } else if (w_shape.rank() != x_shape.rank()) {
    return CheckImage(x_shape);
  }
  const IntList spatial(w_shape.dims().begin() + 2, w_shape.dims().end());
  Window window;
  BASIN_ASSIGN_OR_RETURN(window.kernel,
                         ReadWindowList(n, "kernel_shape", 1, spatial));
  if (window.kernel != spatial || x_shape.rank() != w_shape.rank()) {
    return absl::InvalidArgumentError(
        absl::StrCat("kernel_shape [", absl::StrJoin(window.kernel, ", "),
                     "], weights ", w_shape.ToString(), " and input ",
                     x_shape.ToString(), " do not fit together"));
  }
  BASIN_RETURN_IF_ERROR(ReadStepsAndPads(n, x_shape, window));
  return window;
}

// y and input 2, if there is one: [channels].
absl::StatusOr<Value> WithBias(NodeContext& n, const Value& y) {
  if (!n.HasInput(2) || !y.exists()) return y;
  BASIN_ASSIGN_OR_RETURN(const Value bias, n.Input(2));
  Shape::Dims per_channel(n.ShapeOf(y).rank(), 1);
  per_channel[1] = n.ShapeOf(y).dim(1);
  return n.Binary(ScalarOp::kAdd, y, n.Reshape(bias, per_channel));
}

// A window over some of the spatial axes of an image; the others, along which
// it takes each element, are like that of rows.
struct PartialWindow {
  IntList rows = {0};   // axes of the image
  IntList image = {1};  // the others: channels, and where the window extends
  IntList kernel;
  ConvAttrs attributes;
};

PartialWindow Extended(const Window& window) {
  PartialWindow part;
  const size_t count = window.kernel.size();
  for (size_t i = 0; i < count; ++i) {
    const bool takes_each = window.kernel[i] == 1 && window.strides[i] == 1 &&
                            window.pads_before[i] == 0 &&
                            window.pads_after[i] == 0;
    const bool is_needed = part.kernel.empty() && i + 1 == count;
    if (takes_each && !is_needed) {
      part.rows.push_back(static_cast<int64_t>(i + 2));
      continue;
    }
    part.image.push_back(static_cast<int64_t>(i + 2));
    part.kernel.push_back(window.kernel[i]);
    part.attributes.strides.push_back(window.strides[i]);
    part.attributes.dilations.push_back(window.dilations[i]);
    part.attributes.pads_before.push_back(window.pads_before[i]);
    part.attributes.pads_after.push_back(window.pads_after[i]);
  }
  return part;
}

// More than three spatial axes, as jax2onnx writes sums over windows.
absl::StatusOr<Value> ConvAlong(NodeContext& n, ValueId x, ValueId w,
                                const Window& window) {
  GraphBuilder& b = n.builder();
  PartialWindow part = Extended(window);
  const Shape x_shape = b.shape(x);
  if (part.kernel.size() > kMaxSpatialAxes) return CheckImage(x_shape);
  part.attributes.groups = n.Int("group", 1);
  IntList order = part.rows;
  order.insert(order.end(), part.image.begin(), part.image.end());
  Shape::Dims result;  // in that order
  Shape::Dims merged = {1};
  for (const int64_t axis : part.rows) {
    result.push_back(x_shape.dims()[static_cast<size_t>(axis)]);
    merged[0] *= result.back();
  }
  for (const int64_t axis : part.image) {
    merged.push_back(x_shape.dims()[static_cast<size_t>(axis)]);
  }
  Shape::Dims filters = {b.shape(w).dim(0), b.shape(w).dim(1)};
  filters.insert(filters.end(), part.kernel.begin(), part.kernel.end());
  BASIN_ASSIGN_OR_RETURN(const Shape images, Shape::Create(merged));
  BASIN_ASSIGN_OR_RETURN(const Shape weights, Shape::Create(filters));
  BASIN_RETURN_IF_ERROR(CheckImage(images));
  const ValueId y = b.Conv(b.Reshape(b.Transpose(x, order), images),
                           b.Reshape(w, weights), part.attributes);
  BASIN_RETURN_IF_ERROR(b.status());
  const Shape::Dims& dims = b.shape(y).dims();
  result.insert(result.end(), dims.begin() + 1, dims.end());
  IntList back(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    back[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  }
  BASIN_ASSIGN_OR_RETURN(const Shape ordered, Shape::Create(result));
  return Value(b.Transpose(b.Reshape(y, ordered), back));
}

absl::StatusOr<Value> LowerConv(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 3));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  BASIN_ASSIGN_OR_RETURN(const ValueId w, n.GraphInput(1));
  BASIN_ASSIGN_OR_RETURN(const Window window, ReadConvWindow(n, x, w));
  if (window.kernel.size() > kMaxSpatialAxes) {
    BASIN_ASSIGN_OR_RETURN(const Value y, ConvAlong(n, x, w, window));
    return WithBias(n, y);
  }
  return WithBias(
      n, n.builder().Conv(x, w,
                          {window.strides, window.dilations, window.pads_before,
                           window.pads_after, n.Int("group", 1)}));
}

// What a transposed convolution leaves out of its full result at both ends of
// each spatial axis; negative: zeros are added instead.
struct Crop {
  IntList before;
  IntList after;
};

// The size of the full result along spatial axis `i`.
int64_t FullSize(const Shape& x, const Window& window, size_t i) {
  return window.strides[i] * (x.dims()[i + 2] - 1) + window.extent(i);
}

// From the size that the result shall have. An odd crop is larger at the end
// with SAME_UPPER and else at the beginning; before opset 11 the other way
// round.
Crop CropTo(NodeContext& n, const Shape& x, const Window& window,
            const IntList& output_padding, const IntList& sizes) {
  const bool upper = n.String("auto_pad", "NOTSET") == "SAME_UPPER";
  const bool smaller_first = upper == (n.opset() >= 11);
  Crop crop;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t total = std::max<int64_t>(
        FullSize(x, window, i) + output_padding[i] - sizes[i], 0);
    const int64_t before = smaller_first ? total / 2 : total - total / 2;
    crop.before.push_back(before);
    crop.after.push_back(FullSize(x, window, i) - sizes[i] - before);
  }
  return crop;
}

absl::StatusOr<Crop> ReadCrop(NodeContext& n, const Shape& x,
                              const Window& window) {
  const size_t axes = window.kernel.size();
  BASIN_ASSIGN_OR_RETURN(
      const IntList output_padding,
      ReadWindowList(n, "output_padding", 0, IntList(axes, 0)));
  if (const auto given = n.Ints("output_shape")) {
    IntList sizes = *given;
    // Some exporters add the axes of rows and channels.
    if (sizes.size() == axes + 2) sizes.erase(sizes.begin(), sizes.begin() + 2);
    const bool in_range = std::all_of(
        sizes.begin(), sizes.end(),
        [](int64_t size) { return size >= 1 && size <= kMaxWindowParameter; });
    if (sizes.size() != axes || !in_range) {
      return absl::InvalidArgumentError(absl::StrCat(
          "output_shape [", absl::StrJoin(sizes, ", "), "]: expected ", axes,
          " numbers from 1 to ", kMaxWindowParameter));
    }
    return CropTo(n, x, window, output_padding, sizes);
  }
  const std::string mode = n.String("auto_pad", "NOTSET");
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    IntList sizes;
    for (size_t i = 0; i < axes; ++i) {
      sizes.push_back(x.dims()[i + 2] * window.strides[i]);
    }
    return CropTo(n, x, window, output_padding, sizes);
  }
  Crop crop{window.pads_before, window.pads_after};
  for (size_t i = 0; i < axes; ++i) crop.after[i] -= output_padding[i];
  return crop;
}

// The adjoint of a convolution with weights [C, O/groups, k..], in which the
// cropped elements are padding; then zeros around it.
absl::StatusOr<Value> Transposed(NodeContext& n, ValueId x, ValueId w,
                                 const Window& window, const Crop& crop) {
  const Shape x_shape = n.builder().shape(x);
  const int64_t groups = n.Int("group", 1);
  if (groups < 1 || groups > kMaxWindowParameter) {
    return absl::InvalidArgumentError(
        absl::StrCat("group is ", groups, ", expected at least 1"));
  }
  Shape::Dims dims = {x_shape.dim(0), n.builder().shape(w).dim(1)};
  if (dims[1] > kMaxWindowParameter) {
    return absl::InvalidArgumentError(
        absl::StrCat(dims[1], " channels, at most ", kMaxWindowParameter));
  }
  dims[1] *= groups;
  ConvAttrs attributes{window.strides, window.dilations, {}, {}, groups};
  IntList zeros_before;
  IntList zeros_after;
  for (size_t i = 0; i < crop.before.size(); ++i) {
    attributes.pads_before.push_back(std::max<int64_t>(crop.before[i], 0));
    attributes.pads_after.push_back(std::max<int64_t>(crop.after[i], 0));
    zeros_before.push_back(std::max<int64_t>(-crop.before[i], 0));
    zeros_after.push_back(std::max<int64_t>(-crop.after[i], 0));
    dims.push_back(FullSize(x_shape, window, i) - attributes.pads_before[i] -
                   attributes.pads_after[i]);
    if (dims.back() >= 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("spatial axis ", i, ": pads leave nothing"));
  }
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  const ValueId y =
      n.builder().ConvBackwardData(x, w, std::move(attributes), shape);
  const IntList none(crop.before.size(), 0);
  if (y == GraphBuilder::kNoValue ||
      (zeros_before == none && zeros_after == none)) {
    return Value(y);
  }
  return Value(PadImage(n.builder(), y, zeros_before, zeros_after));
}

absl::StatusOr<Value> LowerConvTranspose(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 3));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  BASIN_ASSIGN_OR_RETURN(const ValueId w, n.GraphInput(1));
  BASIN_ASSIGN_OR_RETURN(const Window window, ReadConvWindow(n, x, w));
  BASIN_RETURN_IF_ERROR(CheckImage(n.builder().shape(x)));
  BASIN_ASSIGN_OR_RETURN(const Crop crop,
                         ReadCrop(n, n.builder().shape(x), window));
  BASIN_ASSIGN_OR_RETURN(const Value y, Transposed(n, x, w, window, crop));
  return WithBias(n, y);
}

constexpr Operator kOperators[] = {
    {"Conv", 1, LowerConv},
    {"ConvTranspose", 1, LowerConvTranspose},
};

}  // namespace

absl::Span<const Operator> ConvolutionOperators() { return kOperators; }

}  // namespace basin::internal
