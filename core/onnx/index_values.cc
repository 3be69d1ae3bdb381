#include "core/onnx/index_values.h"

#include <algorithm>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

IntList AllAxes(int rank) {
  IntList axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

// Negative ones wrapped.
absl::StatusOr<Value> ConstantPlaces(NodeContext& n, const Tensor& indices,
                                     int64_t size) {
  BASIN_RETURN_IF_ERROR(TakeFromBudget(DType::kInt64, indices.num_elements(),
                                       n.constant_bytes_left()));
  Tensor result(DType::kInt64, indices.shape());
  absl::Span<int64_t> out = result.mutable_data<int64_t>();
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t index = indices.data<int64_t>()[i];
    if (index < -size || index >= size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "index ", index, " is outside of an axis of ", size, " elements"));
    }
    out[i] = index < 0 ? index + size : index;
  }
  return Value(std::move(result));
}

// Notes that an input whose elements are all `indices`, in whatever order, has
// that meaning.
void LimitInput(NodeContext& n, ValueId indices, int64_t size) {
  const Graph& graph = n.builder().graph();
  const auto only_moves = [](Op op) {
    return op == Op::kReshape || op == Op::kTranspose || op == Op::kBroadcast;
  };
  while (only_moves(graph.node(indices).op)) {
    indices = graph.node(indices).inputs[0];
  }
  if (graph.node(indices).op != Op::kInput) return;
  int64_t& limit =
      n.state().index_limits.try_emplace(indices, size).first->second;
  limit = std::min(limit, size);
}

// x[b][places[b][k]] of constants.
Value TakeConstantRows(NodeContext& n, const Value& x, const Tensor& places) {
  const Shape shape = n.ShapeOf(x);
  const int64_t picks = places.shape().dim(1);
  std::vector<int64_t> flat;
  for (int64_t i = 0; i < places.num_elements(); ++i) {
    flat.push_back(i / picks * shape.dim(1) + places.data<int64_t>()[i]);
  }
  const Value rows = n.Reshape(x, {shape.dim(0) * shape.dim(1), shape.dim(2)});
  return n.Reshape(n.Pick(rows, flat, 0), {shape.dim(0), picks, shape.dim(2)});
}

}  // namespace

Value AxisToEnd(NodeContext& n, const Value& x, int axis) {
  const int rank = n.ShapeOf(x).rank();
  if (!x.exists() || axis == rank - 1) return x;
  IntList permutation = AllAxes(rank);
  permutation.erase(permutation.begin() + axis);
  permutation.push_back(axis);
  return n.Transpose(x, permutation);
}

Value EndToAxis(NodeContext& n, const Value& x, int axis) {
  const int rank = n.ShapeOf(x).rank();
  if (!x.exists() || axis == rank - 1) return x;
  IntList permutation = AllAxes(rank - 1);
  permutation.insert(permutation.begin() + axis, rank - 1);
  return n.Transpose(x, permutation);
}

absl::StatusOr<Value> PlacesIn(NodeContext& n, const Value& indices,
                               int64_t size) {
  if (!indices.is_integer()) {
    return absl::InvalidArgumentError("indices must be integers");
  }
  if (indices.is_constant()) {
    return ConstantPlaces(n, indices.constant(), size);
  }
  if (size < 1) {
    return absl::InvalidArgumentError("indices into an axis without elements");
  }
  LimitInput(n, indices.id(), size);
  // Of axes, whose places float32 holds, and of products of places.
  constexpr int64_t kBeyond = int64_t{1} << 48;
  const Value zero = n.NumberLike(indices, 0);
  const Value end = n.NumberLike(indices, size);
  const Value beyond = n.NumberLike(indices, kBeyond);
  const Value wrapped =
      n.Select(n.Binary(ScalarOp::kLess, indices, zero),
               n.Binary(ScalarOp::kAdd, indices, end), indices);
  return n.Select(
      n.Binary(ScalarOp::kLess, wrapped, zero), beyond,
      n.Select(n.Binary(ScalarOp::kLess, wrapped, end), wrapped, beyond));
}

absl::StatusOr<Value> FlatPlaces(NodeContext& n, const Value& indices,
                                 absl::Span<const int64_t> dims) {
  const Shape shape = n.ShapeOf(indices);
  const int last = shape.rank() - 1;
  Shape::Dims without(shape.dims().begin(), shape.dims().end() - 1);
  Value flat;
  for (int64_t i = 0; i < shape.dim(last); ++i) {
    BASIN_ASSIGN_OR_RETURN(
        Value place,
        PlacesIn(n, n.Reshape(n.SliceAxis(indices, last, i, 1), without),
                 dims[static_cast<size_t>(i)]));
    if (i > 0) {
      const Value size = n.NumberLike(flat, dims[static_cast<size_t>(i)]);
      place =
          n.Binary(ScalarOp::kAdd, n.Binary(ScalarOp::kMul, flat, size), place);
    }
    flat = place;
  }
  return flat;
}

Value TakeRows(NodeContext& n, const Value& x, const Value& places) {
  if (!x.exists() || !places.exists()) return Value();
  if (x.is_constant() && places.is_constant()) {
    return TakeConstantRows(n, x, places.constant());
  }
  return {n.builder().Take(n.InGraph(x), n.InGraph(places)), x.dtype()};
}

absl::StatusOr<int64_t> CountOf(absl::Span<const int64_t> dims) {
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  return shape.num_elements();
}

}  // namespace basin::internal
