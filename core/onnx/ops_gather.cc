// Operators that pick elements by index, and those that find the index.

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/index_values.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

Shape::Dims Concatenated(absl::Span<const int64_t> a,
                         absl::Span<const int64_t> b) {
  Shape::Dims dims(a.begin(), a.end());
  dims.insert(dims.end(), b.begin(), b.end());
  return dims;
}

// The first `count` of the dimensions, and the others.
absl::Span<const int64_t> Head(const Shape& shape, int count) {
  return absl::MakeConstSpan(shape.dims())
      .subspan(0, static_cast<size_t>(count));
}
absl::Span<const int64_t> Tail(const Shape& shape, int from) {
  return absl::MakeConstSpan(shape.dims()).subspan(static_cast<size_t>(from));
}

// One list of indices for everything: x's axis becomes the first one, and the
// indices' axes take its place.
absl::StatusOr<Value> LowerGather(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value indices, n.Input(1));
  const Shape shape = n.ShapeOf(x);
  const Shape list = n.ShapeOf(indices);
  BASIN_ASSIGN_OR_RETURN(const int axis,
                         NormalizedAxis(n.Int("axis", 0), shape.rank()));
  BASIN_ASSIGN_OR_RETURN(const Value places,
                         PlacesIn(n, indices, shape.dim(axis)));
  const Shape::Dims result = Concatenated(
      Concatenated(Head(shape, axis), list.dims()), Tail(shape, axis + 1));
  if (places.is_constant()) {
    const auto data = places.constant().data<int64_t>();
    return n.Reshape(n.Pick(x, data, axis), result);
  }
  BASIN_ASSIGN_OR_RETURN(const int64_t outer, CountOf(Head(shape, axis)));
  BASIN_ASSIGN_OR_RETURN(const int64_t inner, CountOf(Tail(shape, axis + 1)));
  const int64_t picks = list.num_elements();
  const int64_t size = shape.dim(axis);
  const Value rows = n.Transpose(n.Reshape(x, {outer, size, inner}), {1, 0, 2});
  const Value taken = TakeRows(n, n.Reshape(rows, {1, size, outer * inner}),
                               n.Reshape(places, {1, picks}));
  return n.Reshape(
      n.Transpose(n.Reshape(taken, {picks, outer, inner}), {1, 0, 2}), result);
}

// y[i][j][k] = x[i][indices[i][j][k]][k], for axis 1.
absl::StatusOr<Value> LowerGatherElements(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value given, n.Input(1));
  const Shape shape = n.ShapeOf(x);
  const Shape list = n.ShapeOf(given);
  BASIN_ASSIGN_OR_RETURN(const int axis,
                         NormalizedAxis(n.Int("axis", 0), shape.rank()));
  BASIN_ASSIGN_OR_RETURN(Value places, PlacesIn(n, given, shape.dim(axis)));
  bool fits = list.rank() == shape.rank();
  for (int i = 0; fits && i < shape.rank(); ++i) {
    if (i == axis) continue;
    fits = list.dim(i) <= shape.dim(i);
    if (list.dim(i) < shape.dim(i)) x = n.SliceAxis(x, i, 0, list.dim(i));
  }
  if (!fits) {
    return absl::InvalidArgumentError(
        absl::StrCat("indices of shape ", list.ToString(), " do not fit input ",
                     shape.ToString()));
  }
  x = AxisToEnd(n, x, axis);
  places = AxisToEnd(n, places, axis);
  const Shape moved = n.ShapeOf(places);
  BASIN_ASSIGN_OR_RETURN(const int64_t rows,
                         CountOf(Head(moved, moved.rank() - 1)));
  const Value taken = TakeRows(n, n.Reshape(x, {rows, shape.dim(axis), 1}),
                               n.Reshape(places, {rows, list.dim(axis)}));
  return EndToAxis(n, n.Reshape(taken, moved), axis);
}

// The last axis of the indices is a place in x's axes after the batch's.
absl::StatusOr<Value> LowerGatherND(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value indices, n.Input(1));
  const Shape shape = n.ShapeOf(x);
  const Shape list = n.ShapeOf(indices);
  const int64_t batch_axes = n.Int("batch_dims", 0);
  const int64_t depth = list.rank() > 0 ? list.dim(-1) : 0;
  const int64_t most = std::min(shape.rank(), list.rank() - 1);
  const bool fits = depth >= 1 && batch_axes >= 0 && batch_axes <= most &&
                    depth <= shape.rank() - batch_axes;
  const int batch = fits ? static_cast<int>(batch_axes) : 0;
  if (!fits || Head(shape, batch) != Head(list, batch)) {
    return absl::InvalidArgumentError(
        absl::StrCat("indices of shape ", list.ToString(), " with batch_dims ",
                     batch_axes, " do not fit input ", shape.ToString()));
  }
  const int inner = batch + static_cast<int>(depth);
  BASIN_ASSIGN_OR_RETURN(const int64_t rows, CountOf(Head(shape, batch)));
  BASIN_ASSIGN_OR_RETURN(const int64_t width, CountOf(Tail(shape, inner)));
  const auto indexed =
      Tail(shape, batch).subspan(0, static_cast<size_t>(depth));
  BASIN_ASSIGN_OR_RETURN(const int64_t size, CountOf(indexed));
  BASIN_ASSIGN_OR_RETURN(const Value places, FlatPlaces(n, indices, indexed));
  BASIN_ASSIGN_OR_RETURN(
      const int64_t picks,
      CountOf(Head(list, list.rank() - 1).subspan(batch_axes)));
  const Value taken = TakeRows(n, n.Reshape(x, {rows, size, width}),
                               n.Reshape(places, {rows, picks}));
  return n.Reshape(
      taken, Concatenated(Head(list, list.rank() - 1), Tail(shape, inner)));
}

// Places of the largest or smallest along the last axis.
Value Leaders(NodeContext& n, const Value& x, TopKAttrs attributes) {
  const ValueId id = n.InGraph(x);
  return {n.builder().TopK(id, attributes), DType::kInt64};
}

absl::StatusOr<Value> TopK(NodeContext& n, int64_t k) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(
      const int axis, NormalizedAxis(n.Int("axis", -1), n.ShapeOf(x).rank()));
  n.Ignore("sorted");  // any order will do where it is 0
  const Value moved = AxisToEnd(n, x, axis);
  TopKAttrs attributes{k, TopKAttrs::Order::kLargest};
  if (n.Int("largest", 1) == 0) attributes.order = TopKAttrs::Order::kSmallest;
  const Value places = Leaders(n, moved, attributes);
  if (!places.exists()) return Value();
  const Shape to = n.ShapeOf(places);
  const int64_t size = n.ShapeOf(moved).dim(-1);
  BASIN_ASSIGN_OR_RETURN(const int64_t rows, CountOf(Head(to, to.rank() - 1)));
  const Value taken = TakeRows(n, n.Reshape(moved, {rows, size, 1}),
                               n.Reshape(places, {rows, k}));
  if (n.HasOutput(1)) n.SetOutput(1, EndToAxis(n, places, axis));
  return EndToAxis(n, n.Reshape(taken, to), axis);
}

// Before opset 10 k is an attribute.
absl::StatusOr<Value> LowerTopKByAttribute(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  return TopK(n, n.Int("k", 0));
}

absl::StatusOr<Value> LowerTopK(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const IntList k, n.IntsInput(1));
  if (k.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("K has ", k.size(), " elements, expected one"));
  }
  return TopK(n, k[0]);
}

template <TopKAttrs::Order order>
absl::StatusOr<Value> LowerArg(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const int axis,
                         NormalizedAxis(n.Int("axis", 0), n.ShapeOf(x).rank()));
  const int64_t size = n.ShapeOf(x).dim(axis);
  Value moved = AxisToEnd(n, x, axis);
  const bool last = n.Int("select_last_index", 0) != 0 && size > 0;
  if (last) {  // the first one, from behind
    BASIN_RETURN_IF_ERROR(n.CheckGenerated(size));
    std::vector<int64_t> backwards(static_cast<size_t>(size));
    std::iota(backwards.rbegin(), backwards.rend(), 0);
    moved = n.Pick(moved, backwards, n.ShapeOf(moved).rank() - 1);
  }
  Value place = EndToAxis(n, Leaders(n, moved, {1, order}), axis);
  if (last) {
    place = n.Binary(ScalarOp::kSub, n.NumberLike(place, size - 1), place);
  }
  if (n.Int("keepdims", 1) != 0 || !place.exists()) return place;
  Shape::Dims dims = n.ShapeOf(place).dims();
  dims.erase(dims.begin() + axis);
  return n.Reshape(place, dims);
}

// 1 at the first maximum along the last axis, else 0.
Value Hardest(NodeContext& n, const Value& x) {
  const Value place = Leaders(n, x, {});
  if (!place.exists()) return Value();
  const int64_t size = n.ShapeOf(x).dim(-1);
  std::vector<int64_t> places(static_cast<size_t>(size));
  std::iota(places.begin(), places.end(), 0);
  const Value list = Tensor::Of<int64_t>(Shape({size}), places);
  return n.Cast(n.Binary(ScalarOp::kEqual, place, list), DType::kFloat32);
}

absl::StatusOr<Value> LowerHardmax(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(
      const int axis, NormalizedAxis(n.Int("axis", -1), n.ShapeOf(x).rank()));
  return EndToAxis(n, Hardest(n, AxisToEnd(n, x, axis)), axis);
}

// Before opset 13: all axes from `axis` on, by default 1, as if they were one.
absl::StatusOr<Value> LowerHardmaxFromAxis(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape shape = n.ShapeOf(x);
  BASIN_ASSIGN_OR_RETURN(const int axis,
                         NormalizedAxis(n.Int("axis", 1), shape.rank()));
  BASIN_ASSIGN_OR_RETURN(const int64_t outer, CountOf(Head(shape, axis)));
  BASIN_ASSIGN_OR_RETURN(const int64_t inner, CountOf(Tail(shape, axis)));
  return n.Reshape(Hardest(n, n.Reshape(x, {outer, inner})), shape);
}

constexpr Operator kOperators[] = {
    {"ArgMax", 1, LowerArg<TopKAttrs::Order::kLargest>},
    {"ArgMin", 1, LowerArg<TopKAttrs::Order::kSmallest>},
    {"Gather", 1, LowerGather},
    {"GatherElements", 11, LowerGatherElements},
    {"GatherND", 11, LowerGatherND},
    {"Hardmax", 1, LowerHardmaxFromAxis},
    {"Hardmax", 13, LowerHardmax},
    {"TopK", 1, LowerTopKByAttribute},
    {"TopK", 10, LowerTopK},
};

}  // namespace

absl::Span<const Operator> GatherOperators() { return kOperators; }

}  // namespace basin::internal
