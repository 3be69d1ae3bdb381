#include "core/onnx/host_tensor.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

absl::StatusOr<Tensor> Allocate(DType dtype, const Shape& shape,
                                int64_t& bytes_left) {
  BASIN_RETURN_IF_ERROR(
      TakeFromBudget(dtype, shape.num_elements(), bytes_left));
  return Tensor(dtype, shape);
}

// Distance between neighbours along each axis, in elements.
IntList RowMajorStrides(const Shape& shape) {
  IntList strides(shape.rank(), 1);
  for (int axis = shape.rank() - 2; axis >= 0; --axis) {
    strides[axis] = strides[axis + 1] * shape.dim(axis + 1);
  }
  return strides;
}

// Counts through the elements of `shape` in row-major order; `offset` follows,
// by `strides`.
class StridedWalk {
 public:
  StridedWalk(const Shape& shape, IntList strides, int64_t offset)
      : dims_(shape.dims()),
        strides_(std::move(strides)),
        index_(dims_.size(), 0),
        offset_(offset) {}

  int64_t offset() const { return offset_; }

  void Next() {
    for (size_t axis = dims_.size(); axis-- > 0;) {
      offset_ += strides_[axis];
      if (++index_[axis] < dims_[axis]) return;
      offset_ -= strides_[axis] * dims_[axis];
      index_[axis] = 0;
    }
  }

 private:
  const Shape::Dims dims_;
  const IntList strides_;
  IntList index_;
  int64_t offset_;
};

// The elements that a walk over `shape` meets, as a tensor of its own.
absl::StatusOr<Tensor> Gathered(const Tensor& x, const Shape& shape,
                                IntList strides, int64_t offset,
                                int64_t& bytes_left) {
  BASIN_ASSIGN_OR_RETURN(Tensor result, Allocate(x.dtype(), shape, bytes_left));
  const auto size = ByteSize(x.dtype());
  StridedWalk walk(shape, std::move(strides), offset);
  for (int64_t i = 0; i < shape.num_elements(); ++i, walk.Next()) {
    std::memcpy(result.mutable_bytes() + i * size,
                x.bytes() + walk.offset() * size, size);
  }
  return result;
}

// Strides that read a tensor of shape `from` as if it had the shape `to`.
// REQUIRES: it broadcasts to `to`.
IntList BroadcastStrides(const Shape& from, const Shape& to) {
  const IntList own = RowMajorStrides(from);
  IntList strides(to.rank(), 0);
  const int lead = to.rank() - from.rank();
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (from.dim(axis) != 1) strides[lead + axis] = own[axis];
  }
  return strides;
}

// False on overflow, and for negative exponents.
bool IntPower(int64_t base, int64_t exponent, int64_t& result) {
  result = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1 && __builtin_mul_overflow(result, base, &result)) {
      return false;
    }
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return false;
  }
  return exponent == 0;
}

// False on overflow, division by zero, and operations without integer form.
bool EvaluateInt(ScalarOp op, int64_t a, int64_t b, int64_t& result) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  switch (op) {
    case ScalarOp::kNeg:
      return !__builtin_sub_overflow(int64_t{0}, a, &result);
    case ScalarOp::kAbs:
      result = a;
      return a >= 0 || !__builtin_sub_overflow(int64_t{0}, a, &result);
    case ScalarOp::kAdd:
      return !__builtin_add_overflow(a, b, &result);
    case ScalarOp::kSub:
      return !__builtin_sub_overflow(a, b, &result);
    case ScalarOp::kMul:
      return !__builtin_mul_overflow(a, b, &result);
    case ScalarOp::kDiv:
      if (b == 0 || (a == kMin && b == -1)) return false;
      result = a / b;
      return true;
    case ScalarOp::kPow:
      return IntPower(a, b, result);
    case ScalarOp::kMax:
      result = std::max(a, b);
      return true;
    case ScalarOp::kMin:
      result = std::min(a, b);
      return true;
    case ScalarOp::kSign:
      result = (a > 0) - (a < 0);
      return true;
    case ScalarOp::kLess:
      result = a < b ? 1 : 0;
      return true;
    case ScalarOp::kLessEqual:
      result = a <= b ? 1 : 0;
      return true;
    case ScalarOp::kEqual:
      result = a == b ? 1 : 0;
      return true;
    default:
      return false;
  }
}

// Computes element `i` of `result` from elements `at` of the operands.
absl::Status ComputeElement(ScalarOp op, absl::Span<const Tensor> operands,
                            const int64_t* at, int64_t i, Tensor& result) {
  if (op == ScalarOp::kSelect) {
    const auto place = static_cast<size_t>(at[0]);
    const bool condition = IsReal(operands[0])
                               ? RealAt(operands[0], place) != 0
                               : operands[0].data<int64_t>()[place] != 0;
    const int from = condition ? 1 : 2;
    const size_t size = ByteSize(result.dtype());
    std::memcpy(result.mutable_bytes() + i * size,
                operands[from].bytes() + at[from] * size, size);
    return absl::OkStatus();
  }
  const size_t last = operands.size() - 1;
  if (IsReal(operands[0])) {
    const double value = EvaluateInDouble(
        op, RealAt(operands[0], static_cast<size_t>(at[0])),
        RealAt(operands[last], static_cast<size_t>(at[last])), 0);
    const auto to = static_cast<size_t>(i);
    if (result.dtype() == DType::kFloat64) {
      result.mutable_data<double>()[to] = value;
    } else if (result.dtype() == DType::kFloat32) {
      result.mutable_data<float>()[to] = ToFloat32(value);
    } else {
      result.mutable_data<int64_t>()[to] = value != 0 ? 1 : 0;
    }
    return absl::OkStatus();
  }
  if (EvaluateInt(op, operands[0].data<int64_t>()[at[0]],
                  operands[last].data<int64_t>()[at[last]],
                  result.mutable_data<int64_t>()[i])) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "integer ", std::string(Name(op)), " overflows, divides by zero, or ",
      "is not supported for integers"));
}

// The shape of all tensors joined along `axis`.
absl::StatusOr<Shape> JoinedShape(absl::Span<const Tensor> xs, int axis) {
  Shape::Dims joined = xs[0].shape().dims();
  joined[axis] = 0;
  for (const Tensor& x : xs) {
    Shape::Dims dims = x.shape().dims();
    const bool same_rank = dims.size() == joined.size();
    const int64_t length = same_rank ? dims[axis] : 0;
    if (same_rank) dims[axis] = joined[axis];
    if (dims != joined) {
      return absl::InvalidArgumentError(absl::StrCat(
          "inputs differ beyond axis ", axis, ": ", xs[0].shape().ToString(),
          " and ", x.shape().ToString()));
    }
    joined[axis] += length;
  }
  return Shape::Create(joined);
}

// Adds `x` to `sum`, or takes the larger; false on overflow.
bool Accumulate(Op op, int64_t x, int64_t& sum) {
  if (op == Op::kReduceSum) return !__builtin_add_overflow(sum, x, &sum);
  sum = std::max(sum, x);
  return true;
}

template <typename Real>
bool Accumulate(Op op, Real x, Real& sum) {
  sum = op == Op::kReduceSum || x != x ? sum + x : std::max(sum, x);
  return true;
}

// The first element that meets a result is taken as it is.
template <typename T>
absl::Status ReduceInto(Op op, const Tensor& x, IntList strides,
                        Tensor& result) {
  std::vector<bool> met(static_cast<size_t>(result.num_elements()), false);
  absl::Span<T> out = result.mutable_data<T>();
  StridedWalk walk(x.shape(), std::move(strides), 0);
  for (const T value : x.data<T>()) {
    const auto at = static_cast<size_t>(walk.offset());
    walk.Next();
    if (!met[at]) {
      out[at] = value;
      met[at] = true;
    } else if (!Accumulate(op, value, out[at])) {
      return absl::InvalidArgumentError("a sum of integers overflows");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  const int lead = longer.rank() - shorter.rank();
  Shape::Dims dims = longer.dims();
  for (int axis = 0; axis < shorter.rank(); ++axis) {
    int64_t& dim = dims[lead + axis];
    const int64_t other = shorter.dim(axis);
    if (dim == 1) {
      dim = other;
    } else if (other != 1 && other != dim) {
      return absl::InvalidArgumentError(
          absl::StrCat("shapes ", a.ToString(), " and ", b.ToString(),
                       " cannot be broadcast to one another"));
    }
  }
  return Shape::Create(dims);
}

bool IsComparison(ScalarOp op) {
  return op == ScalarOp::kLess || op == ScalarOp::kLessEqual ||
         op == ScalarOp::kEqual;
}

absl::StatusOr<Tensor> HostElementwise(ScalarOp op,
                                       absl::Span<const Tensor> operands,
                                       int64_t& bytes_left) {
  BASIN_CHECK(operands.size() == static_cast<size_t>(Arity(op)));
  const Tensor& last = operands[operands.size() - 1];
  Shape shape = operands[0].shape();
  for (const Tensor& operand : operands) {
    BASIN_ASSIGN_OR_RETURN(shape, BroadcastShapes(shape, operand.shape()));
  }
  BASIN_ASSIGN_OR_RETURN(
      Tensor result, Allocate(IsComparison(op) ? DType::kInt64 : last.dtype(),
                              shape, bytes_left));
  std::vector<StridedWalk> walks;
  for (const Tensor& operand : operands) {
    walks.emplace_back(shape, BroadcastStrides(operand.shape(), shape), 0);
  }
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    int64_t at[3] = {};
    for (size_t k = 0; k < operands.size(); ++k) {
      at[k] = walks[k].offset();
      walks[k].Next();
    }
    BASIN_RETURN_IF_ERROR(ComputeElement(op, operands, at, i, result));
  }
  return result;
}

absl::StatusOr<Tensor> HostTranspose(const Tensor& x,
                                     const IntList& permutation,
                                     int64_t& bytes_left) {
  const IntList from = RowMajorStrides(x.shape());
  IntList strides;
  Shape::Dims dims;
  for (const int64_t axis : permutation) {
    strides.push_back(from[axis]);
    dims.push_back(x.shape().dims()[axis]);
  }
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  return Gathered(x, shape, std::move(strides), 0, bytes_left);
}

absl::StatusOr<Tensor> HostSlice(const Tensor& x, const SliceAttrs& attributes,
                                 int64_t& bytes_left) {
  IntList strides = RowMajorStrides(x.shape());
  int64_t offset = 0;
  Shape::Dims dims;
  for (int axis = 0; axis < x.shape().rank(); ++axis) {
    const int64_t length = attributes.limits[axis] - attributes.starts[axis];
    const int64_t step = attributes.strides[axis];
    dims.push_back(length / step + (length % step != 0 ? 1 : 0));
    offset += attributes.starts[axis] * strides[axis];
    strides[axis] *= step;
  }
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  return Gathered(x, shape, std::move(strides), offset, bytes_left);
}

absl::StatusOr<Tensor> HostGather(const Tensor& x,
                                  absl::Span<const int64_t> indices, int axis,
                                  int64_t& bytes_left) {
  Shape::Dims dims = x.shape().dims();
  const int64_t from = dims[axis];
  const auto to = static_cast<int64_t>(indices.size());
  dims[axis] = to;
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  BASIN_ASSIGN_OR_RETURN(Tensor result, Allocate(x.dtype(), shape, bytes_left));
  if (result.num_elements() == 0) return result;
  int64_t inner = static_cast<int64_t>(ByteSize(x.dtype()));
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape.dim(i);
  int64_t outer = 1;
  for (int i = 0; i < axis; ++i) outer *= shape.dim(i);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t k = 0; k < to; ++k) {
      std::memcpy(result.mutable_bytes() + (o * to + k) * inner,
                  x.bytes() + (o * from + indices[k]) * inner,
                  static_cast<size_t>(inner));
    }
  }
  return result;
}

absl::StatusOr<Tensor> HostConcat(absl::Span<const Tensor> xs, int axis,
                                  int64_t& bytes_left) {
  BASIN_ASSIGN_OR_RETURN(const Shape shape, JoinedShape(xs, axis));
  BASIN_ASSIGN_OR_RETURN(Tensor result,
                         Allocate(xs[0].dtype(), shape, bytes_left));
  int64_t outer = 1;
  for (int i = 0; i < axis; ++i) outer *= shape.dim(i);
  std::byte* out = result.mutable_bytes();
  for (int64_t o = 0; o < outer; ++o) {
    for (const Tensor& x : xs) {
      const size_t piece = x.byte_size() / static_cast<size_t>(outer);
      std::memcpy(out, x.bytes() + o * piece, piece);
      out += piece;
    }
  }
  return result;
}

absl::StatusOr<Tensor> HostBroadcast(const Tensor& x, const Shape& shape,
                                     int64_t& bytes_left) {
  return Gathered(x, shape, BroadcastStrides(x.shape(), shape), 0, bytes_left);
}

absl::StatusOr<Tensor> HostReduce(Op op, const Tensor& x, const IntList& axes,
                                  int64_t& bytes_left) {
  Shape::Dims dims = x.shape().dims();
  for (const int64_t axis : axes) dims[axis] = 1;
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  if (op == Op::kReduceMax && x.num_elements() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("reduces the empty shape ", x.shape().ToString()));
  }
  // The result is small, the work is not: a loop may ask for it many times.
  BASIN_RETURN_IF_ERROR(
      TakeFromBudget(x.dtype(), x.num_elements(), bytes_left));
  BASIN_ASSIGN_OR_RETURN(Tensor result, Allocate(x.dtype(), shape, bytes_left));
  IntList strides = BroadcastStrides(shape, x.shape());
  absl::Status reduced;
  if (x.dtype() == DType::kInt64) {
    reduced = ReduceInto<int64_t>(op, x, std::move(strides), result);
  } else if (x.dtype() == DType::kFloat32) {
    reduced = ReduceInto<float>(op, x, std::move(strides), result);
  } else {
    reduced = ReduceInto<double>(op, x, std::move(strides), result);
  }
  BASIN_RETURN_IF_ERROR(reduced);
  return result;
}

absl::StatusOr<Tensor> HostCast(const Tensor& x, DType dtype,
                                int64_t& bytes_left) {
  if (x.dtype() == dtype || (dtype == DType::kFloat32 && IsReal(x))) return x;
  if (dtype == DType::kFloat32) {
    const auto integers = x.data<int64_t>();
    const bool fits =
        std::all_of(integers.begin(), integers.end(), [](int64_t v) {
          return static_cast<double>(static_cast<float>(v)) ==
                 static_cast<double>(v);
        });
    BASIN_RETURN_IF_ERROR(
        TakeFromBudget(DType::kFloat64, x.num_elements(), bytes_left));
    Tensor reals(DType::kFloat64, x.shape());
    std::copy(integers.begin(), integers.end(),
              reals.mutable_data<double>().begin());
    return fits ? Narrowed(reals) : reals;
  }
  BASIN_ASSIGN_OR_RETURN(Tensor result, Allocate(dtype, x.shape(), bytes_left));
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  absl::Span<int64_t> out = result.mutable_data<int64_t>();
  for (size_t i = 0; i < out.size(); ++i) {
    const double value = RealAt(x, i);
    if (!(value >= -kLimit && value < kLimit)) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot cast ", value, " to an integer"));
    }
    out[i] = static_cast<int64_t>(value);
  }
  return result;
}

}  // namespace basin::internal
