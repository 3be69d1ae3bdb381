// Elementwise operators, as formulas.

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/host_tensor.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

template <ScalarOp op>
absl::StatusOr<Value> LowerUnary(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  return n.Unary(op, x);
}

template <ScalarOp op>
absl::StatusOr<Value> LowerBinary(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value a, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value b, n.Input(1));
  return n.Binary(op, a, b);
}

// Max, Min and Sum take one input or more.
template <ScalarOp op>
absl::StatusOr<Value> LowerVariadic(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(Value result, n.Input(0));
  for (int i = 1; i < n.num_inputs(); ++i) {
    BASIN_ASSIGN_OR_RETURN(const Value next, n.Input(i));
    result = n.Binary(op, result, next);
  }
  return result;
}

// The only element of a float constant, or nothing.
const float* OnlyElement(const Value& value) {
  if (!value.is_constant() || value.constant().num_elements() != 1 ||
      value.constant().dtype() != DType::kFloat32) {
    return nullptr;
  }
  return value.constant().data<float>().data();
}

// Common exponents become products and roots, which are cheaper, and whose
// gradients are defined wherever the power's is.
Value Power(NodeContext& n, const Value& x, const Value& exponent) {
  const float* const p = OnlyElement(exponent);
  const bool same_shape = n.ShapeOf(exponent).rank() <= n.ShapeOf(x).rank();
  if (p == nullptr || !same_shape) return n.Binary(ScalarOp::kPow, x, exponent);
  if (*p == 1.0f) return x;
  if (*p == 2.0f) return n.Binary(ScalarOp::kMul, x, x);
  if (*p == 3.0f) {
    return n.Binary(ScalarOp::kMul, n.Binary(ScalarOp::kMul, x, x), x);
  }
  if (*p == 0.5f) return n.Unary(ScalarOp::kSqrt, x);
  if (*p == -1.0f) return n.Unary(ScalarOp::kReciprocal, x);
  return n.Binary(ScalarOp::kPow, x, exponent);
}

// The exponent may be of another type than the base, whose type the result
// has.
absl::StatusOr<Value> LowerPow(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(Value exponent, n.Input(1));
  const auto as_float = [&](const Value& v) -> absl::StatusOr<Value> {
    if (!v.is_constant()) return v;
    return HostCast(v.constant(), DType::kFloat32, n.constant_bytes_left());
  };
  BASIN_ASSIGN_OR_RETURN(exponent, as_float(exponent));
  if (!x.is_constant() || x.constant().dtype() == DType::kFloat32) {
    return Power(n, x, exponent);
  }
  BASIN_ASSIGN_OR_RETURN(const Value base, as_float(x));
  const Value power = Power(n, base, exponent);
  if (!power.is_constant()) return power;
  return HostCast(power.constant(), DType::kInt64, n.constant_bytes_left());
}

absl::StatusOr<Value> LowerRelu(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  return n.Binary(ScalarOp::kMax, x, Number(0));
}

// max(x, 0) + alpha min(x, 0)
absl::StatusOr<Value> LowerLeakyRelu(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Value negative =
      n.Binary(ScalarOp::kMul, Number(n.Float("alpha", 0.01f)),
               n.Binary(ScalarOp::kMin, x, Number(0)));
  return n.Binary(ScalarOp::kAdd, n.Binary(ScalarOp::kMax, x, Number(0)),
                  negative);
}

// max(x, 0) + alpha (exp(min(x, 0)) - 1)
absl::StatusOr<Value> LowerElu(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Value exponential =
      n.Unary(ScalarOp::kExp, n.Binary(ScalarOp::kMin, x, Number(0)));
  const Value negative =
      n.Binary(ScalarOp::kMul, Number(n.Float("alpha", 1)),
               n.Binary(ScalarOp::kSub, exponential, Number(1)));
  return n.Binary(ScalarOp::kAdd, n.Binary(ScalarOp::kMax, x, Number(0)),
                  negative);
}

absl::StatusOr<Value> LowerClip(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 3));
  BASIN_ASSIGN_OR_RETURN(Value x, n.Input(0));
  constexpr ScalarOp kBounds[] = {ScalarOp::kMax, ScalarOp::kMin};
  for (int i = 1; i <= 2; ++i) {
    if (!n.HasInput(i)) continue;
    BASIN_ASSIGN_OR_RETURN(const Value bound, n.Input(i));
    if (n.ShapeOf(bound).num_elements() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("bound of shape ", n.ShapeOf(bound).ToString(),
                       ", expected a scalar"));
    }
    x = n.Binary(kBounds[i - 1], x, n.Reshape(bound, Shape()));
  }
  return x;
}

constexpr Operator kOperators[] = {
    {"Abs", 6, LowerUnary<ScalarOp::kAbs>},
    {"Add", 7, LowerBinary<ScalarOp::kAdd>},
    {"Clip", 11, LowerClip},
    {"Div", 7, LowerBinary<ScalarOp::kDiv>},
    {"Elu", 6, LowerElu},
    {"Erf", 9, LowerUnary<ScalarOp::kErf>},
    {"Exp", 6, LowerUnary<ScalarOp::kExp>},
    {"LeakyRelu", 6, LowerLeakyRelu},
    {"Log", 6, LowerUnary<ScalarOp::kLog>},
    {"Max", 8, LowerVariadic<ScalarOp::kMax>},
    {"Min", 8, LowerVariadic<ScalarOp::kMin>},
    {"Mul", 7, LowerBinary<ScalarOp::kMul>},
    {"Neg", 6, LowerUnary<ScalarOp::kNeg>},
    {"Pow", 7, LowerPow},
    {"Reciprocal", 6, LowerUnary<ScalarOp::kReciprocal>},
    {"Relu", 6, LowerRelu},
    {"Sigmoid", 6, LowerUnary<ScalarOp::kSigmoid>},
    {"Softplus", 1, LowerUnary<ScalarOp::kSoftplus>},
    {"Sqrt", 6, LowerUnary<ScalarOp::kSqrt>},
    {"Sub", 7, LowerBinary<ScalarOp::kSub>},
    {"Sum", 8, LowerVariadic<ScalarOp::kAdd>},
    {"Tanh", 6, LowerUnary<ScalarOp::kTanh>},
};

}  // namespace

absl::Span<const Operator> ElementwiseOperators() { return kOperators; }

}  // namespace basin::internal
