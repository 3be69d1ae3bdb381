// Operators that write elements by index.

#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/index_values.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

// Of mul, max and min, which write one update after the other.
constexpr int64_t kMaxSteps = 256;

enum class Reduction { kNone, kAdd, kMul, kMax, kMin };

absl::StatusOr<Reduction> ReadReduction(NodeContext& n) {
  const std::string name = n.String("reduction", "none");
  if (name == "none") return Reduction::kNone;
  if (name == "add") return Reduction::kAdd;
  if (name == "mul") return Reduction::kMul;
  if (name == "max") return Reduction::kMax;
  if (name == "min") return Reduction::kMin;
  return absl::InvalidArgumentError(absl::StrCat(
      "reduction is ", Quoted(name), ", expected none, add, mul, max or min"));
}

// Rows `updates` [B, K, D] for rows `places` [B, K] of x [B, V, D].
struct Scatter {
  Value x;
  Value places;
  Value updates;
};

// Zeros [B, V, D] with `updates` added at their places.
Value Spread(NodeContext& n, const Scatter& s, const Value& updates) {
  return {n.builder().PutAdd(n.InGraph(updates), n.InGraph(s.places),
                             n.ShapeOf(s.x).dim(1)),
          s.x.dtype()};
}

// One update after the other, each where a comparison finds its place.
absl::StatusOr<Value> InSteps(NodeContext& n, const Scatter& s, ScalarOp op) {
  const Shape shape = n.ShapeOf(s.x);
  const int64_t steps = n.ShapeOf(s.places).dim(1);
  if (steps > kMaxSteps) {
    return absl::UnimplementedError(
        absl::StrCat(steps, " updates with this reduction; at most ", kMaxSteps,
                     " are supported"));
  }
  BASIN_RETURN_IF_ERROR(n.CheckGenerated(shape.dim(1)));
  std::vector<int64_t> all;
  for (int64_t i = 0; i < shape.dim(1); ++i) all.push_back(i);
  const Value rows = Tensor::Of<int64_t>(Shape({1, shape.dim(1), 1}), all);
  Value x = s.x;
  if (!s.places.is_constant()) {  // NaN where a place is beyond the axis
    const Value nothing =
        n.BroadcastTo(n.NumberLike(s.updates, 0), n.ShapeOf(s.updates));
    x = n.Binary(ScalarOp::kAdd, x, Spread(n, s, nothing));
  }
  for (int64_t k = 0; k < steps; ++k) {
    const Value place =
        n.Reshape(n.SliceAxis(s.places, 1, k, 1), {shape.dim(0), 1, 1});
    const Value update = n.SliceAxis(s.updates, 1, k, 1);
    x = n.Select(n.Binary(ScalarOp::kEqual, place, rows),
                 n.Binary(op, x, update), x);
  }
  return x;
}

absl::StatusOr<Value> Scattered(NodeContext& n, const Scatter& s,
                                Reduction reduction) {
  if (s.x.dtype() != s.updates.dtype()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "input is ", std::string(Name(s.x.dtype())), " and updates are ",
        std::string(Name(s.updates.dtype()))));
  }
  switch (reduction) {
    case Reduction::kAdd:
      return n.Binary(ScalarOp::kAdd, s.x, Spread(n, s, s.updates));
    case Reduction::kMul:
      return InSteps(n, s, ScalarOp::kMul);
    case Reduction::kMax:
      return InSteps(n, s, ScalarOp::kMax);
    case Reduction::kMin:
      return InSteps(n, s, ScalarOp::kMin);
    case Reduction::kNone:
      break;
  }
  // Where something is written; places do not repeat here.
  const Shape list = n.ShapeOf(s.places);
  const Value ones =
      n.BroadcastTo(n.NumberLike(s.x, 1), Shape({list.dim(0), list.dim(1), 1}));
  return n.Select(Spread(n, s, ones), Spread(n, s, s.updates), s.x);
}

// A scatter whose updates reach only a corner of x: of shape `list` but for
// `axis`.
absl::StatusOr<Value> ScatterCorner(NodeContext& n, const Value& x,
                                    const Shape& list, int axis,
                                    const Value& places, const Value& updates,
                                    Reduction reduction) {
  Value corner = x;
  for (int i = 0; i < list.rank(); ++i) {
    if (i != axis) corner = n.SliceAxis(corner, i, 0, list.dim(i));
  }
  const Value moved = AxisToEnd(n, corner, axis);
  const int64_t size = n.ShapeOf(x).dim(axis);
  const int64_t picks = list.dim(axis);
  const int64_t rows = size == 0 ? 0 : n.ShapeOf(moved).num_elements() / size;
  const Scatter scatter{
      n.Reshape(moved, {rows, size, 1}),
      n.Reshape(AxisToEnd(n, places, axis), {rows, picks}),
      n.Reshape(AxisToEnd(n, updates, axis), {rows, picks, 1})};
  BASIN_ASSIGN_OR_RETURN(Value result, Scattered(n, scatter, reduction));
  result = EndToAxis(n, n.Reshape(result, n.ShapeOf(moved)), axis);
  // What lies beyond the corner, axis by axis.
  for (int i = list.rank() - 1; i >= 0; --i) {
    const int64_t rest = i == axis ? 0 : n.ShapeOf(x).dim(i) - list.dim(i);
    if (rest == 0) continue;
    Value beyond = n.SliceAxis(x, i, list.dim(i), rest);
    for (int j = 0; j < i; ++j) {
      if (j != axis) beyond = n.SliceAxis(beyond, j, 0, list.dim(j));
    }
    result = n.Concat({result, beyond}, i);
  }
  return result;
}

absl::StatusOr<Value> LowerScatterElements(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 3));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value given, n.Input(1));
  BASIN_ASSIGN_OR_RETURN(const Value updates, n.Input(2));
  BASIN_ASSIGN_OR_RETURN(const Reduction reduction, ReadReduction(n));
  const Shape shape = n.ShapeOf(x);
  const Shape list = n.ShapeOf(given);
  BASIN_ASSIGN_OR_RETURN(const int axis,
                         NormalizedAxis(n.Int("axis", 0), shape.rank()));
  bool fits = list.rank() == shape.rank() && n.ShapeOf(updates) == list;
  for (int i = 0; fits && i < list.rank(); ++i) {
    fits = i == axis || list.dim(i) <= shape.dim(i);
  }
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrCat(
        "indices of shape ", list.ToString(), " and updates of shape ",
        n.ShapeOf(updates).ToString(), " do not fit input ", shape.ToString()));
  }
  if (list.num_elements() == 0) return x;
  BASIN_ASSIGN_OR_RETURN(const Value places,
                         PlacesIn(n, given, shape.dim(axis)));
  return ScatterCorner(n, x, list, axis, places, updates, reduction);
}

absl::StatusOr<Value> LowerScatterND(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 3));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value indices, n.Input(1));
  BASIN_ASSIGN_OR_RETURN(const Value updates, n.Input(2));
  BASIN_ASSIGN_OR_RETURN(const Reduction reduction, ReadReduction(n));
  const Shape shape = n.ShapeOf(x);
  const Shape list = n.ShapeOf(indices);
  const int64_t depth = list.rank() > 0 ? list.dim(-1) : 0;
  Shape::Dims wanted;
  const bool fits = depth >= 1 && depth <= shape.rank();
  if (fits) {
    wanted.assign(list.dims().begin(), list.dims().end() - 1);
    wanted.insert(wanted.end(), shape.dims().begin() + depth,
                  shape.dims().end());
  }
  if (!fits || n.ShapeOf(updates).dims() != wanted) {
    return absl::InvalidArgumentError(absl::StrCat(
        "indices of shape ", list.ToString(), " and updates of shape ",
        n.ShapeOf(updates).ToString(), " do not fit input ", shape.ToString()));
  }
  if (list.num_elements() == 0) return x;
  const auto dims = absl::MakeConstSpan(shape.dims());
  const auto indexed = dims.subspan(0, static_cast<size_t>(depth));
  BASIN_ASSIGN_OR_RETURN(const int64_t size, CountOf(indexed));
  BASIN_ASSIGN_OR_RETURN(const int64_t width,
                         CountOf(dims.subspan(static_cast<size_t>(depth))));
  BASIN_ASSIGN_OR_RETURN(const Value places, FlatPlaces(n, indices, indexed));
  const int64_t picks = list.num_elements() / depth;
  BASIN_ASSIGN_OR_RETURN(
      const Value result,
      Scattered(n,
                {n.Reshape(x, {1, size, width}), n.Reshape(places, {1, picks}),
                 n.Reshape(updates, {1, picks, width})},
                reduction));
  return n.Reshape(result, shape);
}

constexpr Operator kOperators[] = {
    {"Scatter", 9, LowerScatterElements},
    {"ScatterElements", 11, LowerScatterElements},
    {"ScatterND", 11, LowerScatterND},
};

}  // namespace

absl::Span<const Operator> ScatterOperators() { return kOperators; }

}  // namespace basin::internal
