// Operators that make constants, or pass values through.

#include <algorithm>
#include <cstdint>
#include <utility>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/host_tensor.h"
#include "core/onnx/operators.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

template <typename T>
absl::StatusOr<Value> ListConstant(NodeContext& n, absl::Span<const T> list) {
  BASIN_ASSIGN_OR_RETURN(const Shape shape,
                         Shape::Create({static_cast<int64_t>(list.size())}));
  BASIN_RETURN_IF_ERROR(TakeFromBudget(DTypeOf<T>(), shape.num_elements(),
                                       n.constant_bytes_left()));
  return Value(Tensor::Of<T>(shape, list));
}

absl::StatusOr<Value> LowerConstant(NodeContext& n) {
  if (const onnx::TensorProto* tensor = n.TensorAttribute("value")) {
    return ReadTensor(*tensor, n.external_folder(), n.constant_bytes_left(),
                      n.doubles());
  }
  if (n.HasAttribute("value_float")) return Number(n.Float("value_float", 0));
  if (n.HasAttribute("value_int")) {
    return Value(Tensor::Scalar<int64_t>(n.Int("value_int", 0)));
  }
  if (n.HasAttribute("value_floats")) {
    return ListConstant<float>(n, n.Floats("value_floats"));
  }
  if (const auto ints = n.Ints("value_ints")) {
    return ListConstant<int64_t>(n, *ints);
  }
  return absl::UnimplementedError(
      "expected one of the attributes value, value_float, value_floats, "
      "value_int, value_ints");
}

absl::StatusOr<Value> LowerConstantOfShape(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const IntList dims, n.IntsInput(0));
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  Tensor fill = Tensor::Scalar(0.0f);
  if (const onnx::TensorProto* value = n.TensorAttribute("value")) {
    BASIN_ASSIGN_OR_RETURN(
        fill, ReadTensor(*value, n.external_folder(), n.constant_bytes_left(),
                         n.doubles()));
  }
  if (fill.num_elements() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'value' has shape ", fill.shape().ToString(),
                     ", expected one element"));
  }
  return n.BroadcastTo(n.Reshape(fill, Shape()), shape);
}

absl::StatusOr<Value> LowerShape(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape::Dims& dims = n.ShapeOf(x).dims();
  const auto rank = static_cast<int64_t>(dims.size());
  const auto clamped = [rank](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const int64_t start = clamped(n.Int("start", 0));
  const int64_t end = std::max(start, clamped(n.Int("end", rank)));
  return ListConstant<int64_t>(
      n, absl::MakeConstSpan(dims).subspan(static_cast<size_t>(start),
                                           static_cast<size_t>(end - start)));
}

// 1 where x is not 0, as BOOL.
Value Truth(NodeContext& n, const Value& x) {
  const Value is_zero = n.Binary(ScalarOp::kEqual, x, n.NumberLike(x, 0));
  return n.Binary(ScalarOp::kEqual, is_zero, n.NumberLike(is_zero, 0));
}

// Bits of an integer type that values of 64 bits may not fit in; 0 for others.
int NarrowBits(int64_t type) {
  switch (type) {
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::UINT8:
      return 8;
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::UINT16:
      return 16;
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::UINT32:
      return 32;
    default:
      return 0;
  }
}

// Integers around the end of a narrow type, as in C. In the graph those of 32
// bits stay, since they are exact up to 2^24 only.
absl::StatusOr<Value> Wrapped(NodeContext& n, const Value& x, int64_t type) {
  const int bits = NarrowBits(type);
  if (!x.exists() || bits == 0) return x;
  const bool is_signed = type == onnx::TensorProto::INT8 ||
                         type == onnx::TensorProto::INT16 ||
                         type == onnx::TensorProto::INT32;
  const int64_t range = int64_t{1} << bits;
  const int64_t lowest = is_signed ? -range / 2 : 0;
  if (x.is_constant()) {
    BASIN_RETURN_IF_ERROR(TakeFromBudget(
        DType::kInt64, x.constant().num_elements(), n.constant_bytes_left()));
    Tensor result(DType::kInt64, x.constant().shape());
    std::transform(
        x.constant().data<int64_t>().begin(),
        x.constant().data<int64_t>().end(),
        result.mutable_data<int64_t>().begin(), [=](int64_t v) {
          const uint64_t above =
              static_cast<uint64_t>(v) - static_cast<uint64_t>(lowest);
          return static_cast<int64_t>(above % static_cast<uint64_t>(range)) +
                 lowest;
        });
    return Value(std::move(result));
  }
  if (bits == 32) return x;
  GraphBuilder& b = n.builder();
  const ValueId size = b.Constant(static_cast<double>(range));
  const ValueId above = b.Sub(x.id(), b.Constant(static_cast<double>(lowest)));
  const ValueId turns = b.Unary(ScalarOp::kFloor, b.Div(above, size));
  return Value(b.Sub(x.id(), b.Mul(turns, size)), DType::kInt64);
}

absl::StatusOr<Value> LowerCast(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  n.Ignore("saturate");  // float 8 types only
  const auto to = n.Int("to", onnx::TensorProto::UNDEFINED);
  if (to < 0 || to > onnx::TensorProto::DataType_MAX) {
    return absl::UnimplementedError(absl::StrCat("cast to type ", to));
  }
  BASIN_ASSIGN_OR_RETURN(const DType dtype,
                         ImportedDType(static_cast<int32_t>(to)));
  if (to == onnx::TensorProto::BOOL) return Truth(n, x);
  return Wrapped(n, n.Cast(x, dtype), to);
}

// To the type of the second input, which must be floating-point: what is
// integer here may have been BOOL, to which casts are not as to integers.
absl::StatusOr<Value> LowerCastLike(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value target, n.Input(1));
  n.Ignore("saturate");
  if (target.is_integer()) {
    return absl::UnimplementedError(
        "casts to the type of an integer or bool; Cast is supported");
  }
  return n.Cast(x, target.dtype());
}

absl::StatusOr<Value> LowerIdentity(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  return n.Input(0);
}

// Inference: nothing is dropped.
absl::StatusOr<Value> LowerDropout(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 3));
  n.Ignore("ratio");
  n.Ignore("seed");
  if (n.HasInput(2)) {
    BASIN_ASSIGN_OR_RETURN(const Tensor training, n.ConstantInput(2));
    if (training.dtype() != DType::kInt64 || training.num_elements() != 1 ||
        training.data<int64_t>()[0] != 0) {
      return absl::UnimplementedError(
          "training_mode must be false: export the model for inference");
    }
  }
  return n.Input(0);
}

constexpr Operator kOperators[] = {
    {"Cast", 6, LowerCast},
    {"CastLike", 15, LowerCastLike},
    {"Constant", 1, LowerConstant},
    {"ConstantOfShape", 9, LowerConstantOfShape},
    {"Dropout", 7, LowerDropout},
    {"Identity", 1, LowerIdentity},
    {"Shape", 1, LowerShape},
};

}  // namespace

absl::Span<const Operator> ConstantOperators() { return kOperators; }

}  // namespace basin::internal
