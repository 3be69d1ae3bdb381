// Operators that make patterns: ranges, masks, one-hot vectors; and sums along
// an axis.

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/operators.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

// start + i step, for i < count.
template <typename T>
absl::StatusOr<Value> Sequence(NodeContext& n, T start, T step, int64_t count) {
  BASIN_RETURN_IF_ERROR(n.CheckGenerated(count));
  BASIN_RETURN_IF_ERROR(
      TakeFromBudget(DTypeOf<T>(), count, n.constant_bytes_left()));
  Tensor result(DTypeOf<T>(), Shape({count}));
  absl::Span<T> out = result.mutable_data<T>();
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = start + static_cast<T>(i) * step;
  }
  return Value(std::move(result));
}

// A scalar constant.
template <typename T>
absl::StatusOr<T> Scalar(NodeContext& n, int index) {
  BASIN_ASSIGN_OR_RETURN(const Tensor tensor, n.ConstantInput(index));
  const bool is_real = std::is_floating_point_v<T>;
  if (tensor.num_elements() == 1 && IsReal(tensor) == is_real) {
    if constexpr (is_real) return static_cast<T>(RealAt(tensor, 0));
    return tensor.data<int64_t>()[0];
  }
  return absl::InvalidArgumentError(
      absl::StrCat("input ", index, " is ", std::string(Name(tensor.dtype())),
                   tensor.shape().ToString(), ", expected one ",
                   std::string(Name(DTypeOf<T>()))));
}

// An integer attribute that is compared with places of axes.
int64_t Diagonal(int64_t k) {
  return std::clamp(k, -Shape::kMaxElements, Shape::kMaxElements);
}

// Rows [rows, 1] and columns [1, columns] of a matrix, as their numbers; the
// rows' from `first` on.
struct Places {
  Value rows;
  Value columns;
};
absl::StatusOr<Places> MatrixPlaces(NodeContext& n, const Shape& shape,
                                    int64_t first) {
  if (shape.rank() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("input of shape ", shape.ToString(), ", not a matrix"));
  }
  Places places;
  BASIN_ASSIGN_OR_RETURN(places.rows,
                         Sequence<int64_t>(n, first, 1, shape.dim(-2)));
  BASIN_ASSIGN_OR_RETURN(places.columns,
                         Sequence<int64_t>(n, 0, 1, shape.dim(-1)));
  places.rows = n.Reshape(places.rows, {shape.dim(-2), 1});
  places.columns = n.Reshape(places.columns, {1, shape.dim(-1)});
  return places;
}

absl::StatusOr<Value> LowerEyeLike(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  DType dtype = x.dtype();
  if (n.HasAttribute("dtype")) {
    BASIN_ASSIGN_OR_RETURN(
        dtype, ImportedDType(static_cast<int32_t>(std::clamp<int64_t>(
                   n.Int("dtype", 0), 0, onnx::TensorProto::DataType_MAX))));
  }
  if (n.ShapeOf(x).rank() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "input of shape ", n.ShapeOf(x).ToString(), ", expected a matrix"));
  }
  BASIN_ASSIGN_OR_RETURN(
      const Places at, MatrixPlaces(n, n.ShapeOf(x), Diagonal(n.Int("k", 0))));
  return n.Cast(n.Binary(ScalarOp::kEqual, at.rows, at.columns), dtype);
}

// Keeps what is above diagonal k, or below it; zeros elsewhere.
absl::StatusOr<Value> LowerTrilu(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  int64_t k = 0;
  if (n.HasInput(1)) {
    BASIN_ASSIGN_OR_RETURN(k, Scalar<int64_t>(n, 1));
  }
  BASIN_ASSIGN_OR_RETURN(const Places at,
                         MatrixPlaces(n, n.ShapeOf(x), Diagonal(k)));
  const bool upper = n.Int("upper", 1) != 0;
  const Value kept =
      n.Binary(ScalarOp::kLessEqual, upper ? at.rows : at.columns,
               upper ? at.columns : at.rows);
  return n.Select(kept, x, n.NumberLike(x, 0));
}

template <typename Real>
absl::StatusOr<Value> RealRange(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Real start, Scalar<Real>(n, 0));
  BASIN_ASSIGN_OR_RETURN(const Real limit, Scalar<Real>(n, 1));
  BASIN_ASSIGN_OR_RETURN(const Real step, Scalar<Real>(n, 2));
  const double count = std::ceil((static_cast<double>(limit) - start) / step);
  if (!(count < static_cast<double>(Shape::kMaxElements))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "from ", start, " to ", limit, " by ", step, ": ", count, " elements"));
  }
  return Sequence<Real>(n, start, step,
                        static_cast<int64_t>(std::max(count, 0.0)));
}

absl::StatusOr<Value> LowerRange(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 3));
  BASIN_ASSIGN_OR_RETURN(const Value first, n.Input(0));
  if (!first.is_integer()) {
    return n.doubles() == OnnxDoubles::kKeep ? RealRange<double>(n)
                                             : RealRange<float>(n);
  }
  BASIN_ASSIGN_OR_RETURN(const auto start, Scalar<int64_t>(n, 0));
  BASIN_ASSIGN_OR_RETURN(const auto limit, Scalar<int64_t>(n, 1));
  BASIN_ASSIGN_OR_RETURN(const auto step, Scalar<int64_t>(n, 2));
  const bool is_empty = step > 0 ? limit <= start : limit >= start;
  int64_t length = 0;
  if (step == 0 || step == INT64_MIN ||
      (!is_empty && __builtin_sub_overflow(limit, start, &length)) ||
      length == INT64_MIN) {
    return absl::InvalidArgumentError(absl::StrCat(
        "from ", start, " to ", limit, " by ", step, " is no range"));
  }
  const int64_t count =
      is_empty ? 0 : (std::abs(length) - 1) / std::abs(step) + 1;
  return Sequence<int64_t>(n, start, step, count);
}

absl::StatusOr<Value> LowerSize(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  return Value(Tensor::Scalar<int64_t>(n.ShapeOf(x).num_elements()));
}

// [rank, count]: the coordinates of what is not zero, in row-major order.
absl::StatusOr<Value> LowerNonZero(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Tensor x, n.ConstantInput(0));
  const auto is_set = [&x](int64_t i) {
    return IsReal(x) ? RealAt(x, static_cast<size_t>(i)) != 0
                     : x.data<int64_t>()[i] != 0;
  };
  int64_t count = 0;
  for (int64_t i = 0; i < x.num_elements(); ++i) count += is_set(i) ? 1 : 0;
  // A scalar is a vector of one element here.
  const Shape shape = x.shape().rank() == 0 ? Shape({1}) : x.shape();
  const Shape to({shape.rank(), count});
  BASIN_RETURN_IF_ERROR(TakeFromBudget(DType::kInt64, to.num_elements(),
                                       n.constant_bytes_left()));
  Tensor result(DType::kInt64, to);
  absl::Span<int64_t> out = result.mutable_data<int64_t>();
  int64_t column = 0;
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    if (!is_set(i)) continue;
    int64_t rest = i;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      out[axis * count + column] = rest % shape.dim(axis);
      rest /= shape.dim(axis);
    }
    ++column;
  }
  return Value(std::move(result));
}

// Negative indices count from the end; those outside make no element hot.
absl::StatusOr<Value> LowerOneHot(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 3));
  BASIN_ASSIGN_OR_RETURN(const Value given, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value depth_input, n.Input(1));
  BASIN_ASSIGN_OR_RETURN(const Value values, n.Input(2));
  const Value depth_value =
      n.Cast(n.Reshape(depth_input, Shape()), DType::kInt64);
  if (!depth_value.is_constant()) {
    return absl::UnimplementedError("depth must be a constant scalar");
  }
  if (n.ShapeOf(values).num_elements() != 2) {
    return absl::InvalidArgumentError(absl::StrCat("values of shape ",
                                                   n.ShapeOf(values).ToString(),
                                                   ", expected [off, on]"));
  }
  const int64_t depth = depth_value.constant().data<int64_t>()[0];
  Shape::Dims dims = n.ShapeOf(given).dims();
  BASIN_ASSIGN_OR_RETURN(
      const int axis,
      NormalizedAxis(n.Int("axis", -1), static_cast<int>(dims.size()) + 1));
  if (depth < 1) {
    return absl::InvalidArgumentError(absl::StrCat("depth is ", depth));
  }
  dims.insert(dims.begin() + axis, 1);
  const Value index = n.Reshape(n.Cast(given, DType::kInt64), dims);
  const Value zero = n.NumberLike(index, 0);
  const Value wrapped =
      n.Select(n.Binary(ScalarOp::kLess, index, zero),
               n.Binary(ScalarOp::kAdd, index, depth_value), index);
  BASIN_ASSIGN_OR_RETURN(const Value places, Sequence<int64_t>(n, 0, 1, depth));
  Shape::Dims along(dims.size(), 1);
  along[axis] = depth;
  const Value hot =
      n.Binary(ScalarOp::kEqual, wrapped, n.Reshape(places, along));
  const Value off_on = n.Reshape(values, {2});
  return n.Select(hot, n.Reshape(n.SliceAxis(off_on, 0, 1, 1), Shape()),
                  n.Reshape(n.SliceAxis(off_on, 0, 0, 1), Shape()));
}

// x moved by `steps` along `axis`, zeros behind it.
absl::StatusOr<Value> Shifted(NodeContext& n, const Value& x, int axis,
                              int64_t steps) {
  Shape::Dims dims = n.ShapeOf(x).dims();
  const int64_t size = dims[axis];
  const int64_t gap = std::min(std::abs(steps), size);
  dims[axis] = gap;
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  const Value zeros = n.BroadcastTo(n.NumberLike(x, 0), shape);
  const Value rest = n.SliceAxis(x, axis, steps > 0 ? 0 : gap, size - gap);
  if (steps > 0) return n.Concat({zeros, rest}, axis);
  return n.Concat({rest, zeros}, axis);
}

// Each step doubles how many elements a sum spans.
absl::StatusOr<Value> LowerCumSum(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const auto given, Scalar<int64_t>(n, 1));
  BASIN_ASSIGN_OR_RETURN(const int axis,
                         NormalizedAxis(given, n.ShapeOf(x).rank()));
  const int64_t direction = n.Int("reverse", 0) != 0 ? -1 : 1;
  const int64_t size = n.ShapeOf(x).dim(axis);
  if (n.Int("exclusive", 0) != 0) {
    BASIN_ASSIGN_OR_RETURN(x, Shifted(n, x, axis, direction));
  }
  for (int64_t step = 1; step < size && x.exists(); step *= 2) {
    BASIN_ASSIGN_OR_RETURN(const Value moved,
                           Shifted(n, x, axis, direction * step));
    x = n.Binary(ScalarOp::kAdd, x, moved);
  }
  return x;
}

constexpr Operator kOperators[] = {
    {"CumSum", 11, LowerCumSum},  {"EyeLike", 9, LowerEyeLike},
    {"NonZero", 9, LowerNonZero}, {"OneHot", 9, LowerOneHot},
    {"Range", 11, LowerRange},    {"Size", 1, LowerSize},
    {"Trilu", 14, LowerTrilu},
};

}  // namespace

absl::Span<const Operator> GenerateOperators() { return kOperators; }

}  // namespace basin::internal
