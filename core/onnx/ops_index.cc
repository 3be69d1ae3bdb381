// Operators that join values or pick elements.

#include <algorithm>
#include <limits>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/host_tensor.h"
#include "core/onnx/operators.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

// The shape of all inputs joined along `axis`.
absl::StatusOr<Shape> JoinedShape(absl::Span<const Tensor> xs, int axis) {
  Shape::Dims joined = xs[0].shape().dims();
  joined[axis] = 0;
  for (const Tensor& x : xs) {
    Shape::Dims dims = x.shape().dims();
    const bool same_rank = dims.size() == joined.size();
    const int64_t length = same_rank ? dims[axis] : 0;
    if (same_rank) dims[axis] = joined[axis];
    if (dims != joined || x.dtype() != xs[0].dtype()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "inputs differ in type or beyond axis ", axis, ": ",
          std::string(Name(xs[0].dtype())), xs[0].shape().ToString(), " and ",
          std::string(Name(x.dtype())), x.shape().ToString()));
    }
    joined[axis] += length;
  }
  return Shape::Create(joined);
}

absl::StatusOr<Value> LowerConcat(NodeContext& n) {
  std::vector<Value> values;
  std::vector<Tensor> constants;
  for (int i = 0; i < n.num_inputs(); ++i) {
    BASIN_ASSIGN_OR_RETURN(values.emplace_back(), n.Input(i));
    if (values[i].is_constant()) constants.push_back(values[i].constant());
  }
  if (values.empty() || !n.HasAttribute("axis")) {
    return absl::InvalidArgumentError("needs an input and the attribute axis");
  }
  BASIN_ASSIGN_OR_RETURN(
      const int axis,
      NormalizedAxis(n.Int("axis", 0), n.ShapeOf(values[0]).rank()));
  if (constants.size() == values.size()) {
    BASIN_ASSIGN_OR_RETURN(const Shape shape, JoinedShape(constants, axis));
    return HostConcat(constants, axis, shape, n.constant_bytes_left());
  }
  std::vector<ValueId> ids;
  for (const Value& value : values) ids.push_back(n.InGraph(value));
  return Value(n.builder().Concat(ids, axis));
}

// Slice's bounds of one axis, brought into [0, size].
absl::Status SliceAxis(int64_t start, int64_t end, int64_t step, int64_t size,
                       int axis, SliceAttrs& attributes) {
  if (step < 1) {
    return absl::UnimplementedError(absl::StrCat("step ", step, " of axis ",
                                                 axis,
                                                 "; steps from 1 on are "
                                                 "supported"));
  }
  const auto clamped = [size](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  };
  attributes.starts[axis] = clamped(start);
  attributes.limits[axis] = std::max(clamped(end), attributes.starts[axis]);
  attributes.strides[axis] = step;
  return absl::OkStatus();
}

absl::StatusOr<SliceAttrs> ReadSlice(NodeContext& n, const Shape& shape) {
  BASIN_ASSIGN_OR_RETURN(const IntList starts, n.IntsInput(1));
  BASIN_ASSIGN_OR_RETURN(const IntList ends, n.IntsInput(2));
  IntList axes;
  for (size_t i = 0; i < starts.size(); ++i) {
    axes.push_back(static_cast<int64_t>(i));
  }
  if (n.HasInput(3)) {
    BASIN_ASSIGN_OR_RETURN(axes, n.IntsInput(3));
  }
  IntList steps(starts.size(), 1);
  if (n.HasInput(4)) {
    BASIN_ASSIGN_OR_RETURN(steps, n.IntsInput(4));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    return absl::InvalidArgumentError(
        "starts, ends, axes and steps differ in length");
  }
  BASIN_RETURN_IF_ERROR(NormalizedAxes(axes, shape.rank()).status());
  SliceAttrs attributes{IntList(shape.rank(), 0),
                        IntList(shape.dims().begin(), shape.dims().end()),
                        IntList(shape.rank(), 1)};
  for (size_t i = 0; i < starts.size(); ++i) {
    BASIN_ASSIGN_OR_RETURN(const int axis,
                           NormalizedAxis(axes[i], shape.rank()));
    BASIN_RETURN_IF_ERROR(SliceAxis(starts[i], ends[i], steps[i],
                                    shape.dim(axis), axis, attributes));
  }
  return attributes;
}

absl::StatusOr<Value> LowerSlice(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 5));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(SliceAttrs attributes, ReadSlice(n, n.ShapeOf(x)));
  if (x.is_constant()) {
    return HostSlice(x.constant(), attributes, n.constant_bytes_left());
  }
  return Value(n.builder().Slice(x.id(), std::move(attributes)));
}

// Along `axis`; the result keeps that axis, of size indices.size().
absl::StatusOr<Value> GatherAlong(NodeContext& n, const Value& x, int axis,
                                  absl::Span<const int64_t> indices) {
  if (x.is_constant()) {
    return HostGather(x.constant(), indices, axis, n.constant_bytes_left());
  }
  const Shape& shape = n.ShapeOf(x);
  if (indices.size() == 1) {  // its gradient is cheaper than a scatter
    SliceAttrs one{IntList(shape.rank(), 0),
                   IntList(shape.dims().begin(), shape.dims().end()),
                   IntList(shape.rank(), 1)};
    one.starts[axis] = indices[0];
    one.limits[axis] = indices[0] + 1;
    return Value(n.builder().Slice(x.id(), std::move(one)));
  }
  BASIN_ASSIGN_OR_RETURN(const Shape list,
                         Shape::Create({static_cast<int64_t>(indices.size())}));
  const ValueId ids = n.builder().Constant(Tensor::Of<int64_t>(list, indices));
  return Value(n.builder().Gather(x.id(), ids, axis));
}

absl::StatusOr<Value> LowerGather(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Tensor given, n.ConstantInput(1));
  const Shape& shape = n.ShapeOf(x);
  BASIN_ASSIGN_OR_RETURN(const int axis,
                         NormalizedAxis(n.Int("axis", 0), shape.rank()));
  if (given.dtype() != DType::kInt64) {
    return absl::InvalidArgumentError("indices must be integers");
  }
  BASIN_RETURN_IF_ERROR(TakeFromBudget(DType::kInt64, given.num_elements(),
                                       n.constant_bytes_left()));
  const int64_t size = shape.dim(axis);
  std::vector<int64_t> indices;
  for (const int64_t index : given.data<int64_t>()) {
    if (index < -size || index >= size) {
      return absl::InvalidArgumentError(
          absl::StrCat("index ", index, " is outside of axis ", axis, " of ",
                       shape.ToString()));
    }
    indices.push_back(index < 0 ? index + size : index);
  }
  Shape::Dims dims(shape.dims().begin(), shape.dims().begin() + axis);
  dims.insert(dims.end(), given.shape().dims().begin(),
              given.shape().dims().end());
  dims.insert(dims.end(), shape.dims().begin() + axis + 1, shape.dims().end());
  BASIN_ASSIGN_OR_RETURN(const Value picked, GatherAlong(n, x, axis, indices));
  return n.Reshape(picked, dims);
}

constexpr Operator kOperators[] = {
    {"Concat", 4, LowerConcat},
    {"Gather", 11, LowerGather},
    {"Slice", 11, LowerSlice},
};

}  // namespace

absl::Span<const Operator> IndexOperators() { return kOperators; }

}  // namespace basin::internal
