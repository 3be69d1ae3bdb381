// Arithmetic and elementary functions, as formulas.

#include <limits>
#include <optional>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
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
std::optional<double> OnlyElement(const Value& value) {
  if (!value.is_constant() || value.constant().num_elements() != 1 ||
      !IsReal(value.constant())) {
    return std::nullopt;
  }
  return RealAt(value.constant(), 0);
}

// Common exponents become products and roots, which are cheaper, and whose
// gradients are defined wherever the power's is.
Value Power(NodeContext& n, const Value& x, const Value& exponent) {
  const std::optional<double> p = OnlyElement(exponent);
  const bool same_shape = n.ShapeOf(exponent).rank() <= n.ShapeOf(x).rank();
  if (!p.has_value() || !same_shape) {
    return n.Binary(ScalarOp::kPow, x, exponent);
  }
  if (*p == 1) return x;
  if (*p == 2) return n.Binary(ScalarOp::kMul, x, x);
  if (*p == 3) {
    return n.Binary(ScalarOp::kMul, n.Binary(ScalarOp::kMul, x, x), x);
  }
  if (*p == 0.5) return n.Unary(ScalarOp::kSqrt, x);
  if (*p == -1) return n.Unary(ScalarOp::kReciprocal, x);
  return n.Binary(ScalarOp::kPow, x, exponent);
}

// The exponent may be of another type than the base, whose type the result
// has.
absl::StatusOr<Value> LowerPow(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value exponent, n.Input(1));
  if (x.is_integer() && x.is_constant() && exponent.is_integer() &&
      exponent.is_constant()) {
    return n.Binary(ScalarOp::kPow, x, exponent);
  }
  const Value power =
      Power(n, n.Cast(x, DType::kFloat32), n.Cast(exponent, DType::kFloat32));
  return x.is_integer() ? n.Cast(power, DType::kInt64) : power;
}

absl::StatusOr<Value> LowerMean(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value sum, LowerVariadic<ScalarOp::kAdd>(n));
  return n.Binary(ScalarOp::kDiv, sum, n.NumberLike(sum, n.num_inputs()));
}

absl::StatusOr<Value> LowerTan(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  return n.Binary(ScalarOp::kDiv, n.Unary(ScalarOp::kSin, x),
                  n.Unary(ScalarOp::kCos, x));
}

// (e^(x/2))^2 / 2 is finite wherever the result is.
absl::StatusOr<Value> LowerCosh(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Value h =
      n.Unary(ScalarOp::kExp, n.Binary(ScalarOp::kMul, x, Number(0.5f)));
  const Value half = n.Binary(ScalarOp::kMul, h, Number(0.5f));
  const Value inverse =
      n.Binary(ScalarOp::kDiv, n.Binary(ScalarOp::kDiv, Number(0.5f), h), h);
  return n.Binary(ScalarOp::kAdd, n.Binary(ScalarOp::kMul, half, h), inverse);
}

// Not ONNX's: tf2onnx writes it for the exact GELU of TensorFlow and Keras.
absl::StatusOr<Value> LowerErfc(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  return n.Binary(ScalarOp::kSub, Number(1), n.Unary(ScalarOp::kErf, x));
}

absl::StatusOr<Value> LowerCeil(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Value below = n.Unary(ScalarOp::kFloor, n.Unary(ScalarOp::kNeg, x));
  return n.Unary(ScalarOp::kNeg, below);
}

// To the nearest integer, and to the even one of two.
absl::StatusOr<Value> LowerRound(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Value floor = n.Unary(ScalarOp::kFloor, x);
  const Value above = n.Binary(ScalarOp::kAdd, floor, Number(1));
  const Value rest = n.Binary(ScalarOp::kSub, x, floor);
  const Value half = n.Binary(ScalarOp::kMul, floor, Number(0.5f));
  const Value is_even =
      n.Binary(ScalarOp::kEqual, half, n.Unary(ScalarOp::kFloor, half));
  const Value middle = n.Select(is_even, floor, above);
  return n.Select(
      n.Binary(ScalarOp::kLess, rest, Number(0.5f)), floor,
      n.Select(n.Binary(ScalarOp::kLess, Number(0.5f), rest), above, middle));
}

// a - b trunc(a / b), of the sign of a. Where it is of the other sign than b,
// Python's remainder, that of fmod = 0, is larger by b.
absl::StatusOr<Value> LowerMod(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value a, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value b, n.Input(1));
  const bool is_c = n.Int("fmod", 0) != 0;
  if (!is_c && !a.is_integer()) {
    return absl::InvalidArgumentError(
        "operands are floating-point, for which fmod must be 1");
  }
  Value quotient = n.Binary(ScalarOp::kDiv, a, b);
  if (!a.is_integer()) {
    quotient =
        n.Binary(ScalarOp::kMul, n.Unary(ScalarOp::kSign, quotient),
                 n.Unary(ScalarOp::kFloor, n.Unary(ScalarOp::kAbs, quotient)));
  }
  const Value rest =
      n.Binary(ScalarOp::kSub, a, n.Binary(ScalarOp::kMul, b, quotient));
  if (is_c) return rest;
  const Value product = n.Binary(ScalarOp::kMul, n.Unary(ScalarOp::kSign, rest),
                                 n.Unary(ScalarOp::kSign, b));
  return n.Select(n.Binary(ScalarOp::kLess, product, n.NumberLike(a, 0)),
                  n.Binary(ScalarOp::kAdd, rest, b), rest);
}

// Value of a scalar bound, or nothing where it is absent.
absl::StatusOr<absl::optional<Value>> Bound(NodeContext& n, int index) {
  if (!n.HasInput(index)) return absl::optional<Value>();
  BASIN_ASSIGN_OR_RETURN(const Value bound, n.Input(index));
  if (n.ShapeOf(bound).num_elements() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "bound of shape ", n.ShapeOf(bound).ToString(), ", expected a scalar"));
  }
  return absl::optional<Value>(n.Reshape(bound, Shape()));
}

absl::StatusOr<Value> LowerClip(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 3));
  BASIN_ASSIGN_OR_RETURN(Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const auto low, Bound(n, 1));
  BASIN_ASSIGN_OR_RETURN(const auto high, Bound(n, 2));
  if (low.has_value()) x = n.Binary(ScalarOp::kMax, x, *low);
  if (high.has_value()) x = n.Binary(ScalarOp::kMin, x, *high);
  return x;
}

// Before opset 11 the bounds are attributes.
absl::StatusOr<Value> LowerClipByAttribute(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(Value x, n.Input(0));
  constexpr float kMax = std::numeric_limits<float>::max();
  if (n.HasAttribute("min")) {
    x = n.Binary(ScalarOp::kMax, x, Number(n.Float("min", -kMax)));
  }
  if (n.HasAttribute("max")) {
    x = n.Binary(ScalarOp::kMin, x, Number(n.Float("max", kMax)));
  }
  return x;
}

constexpr Operator kOperators[] = {
    {"Abs", 6, LowerUnary<ScalarOp::kAbs>},
    {"Acos", 7, LowerUnary<ScalarOp::kAcos>},
    {"Acosh", 9, LowerUnary<ScalarOp::kAcosh>},
    {"Add", 7, LowerBinary<ScalarOp::kAdd>},
    {"Asin", 7, LowerUnary<ScalarOp::kAsin>},
    {"Asinh", 9, LowerUnary<ScalarOp::kAsinh>},
    {"Atan", 7, LowerUnary<ScalarOp::kAtan>},
    {"Atanh", 9, LowerUnary<ScalarOp::kAtanh>},
    {"Ceil", 6, LowerCeil},
    {"Clip", 6, LowerClipByAttribute},
    {"Clip", 11, LowerClip},
    {"Cos", 7, LowerUnary<ScalarOp::kCos>},
    {"Cosh", 9, LowerCosh},
    {"Div", 7, LowerBinary<ScalarOp::kDiv>},
    {"Erf", 9, LowerUnary<ScalarOp::kErf>},
    {"Erfc", 9, LowerErfc},
    {"Exp", 6, LowerUnary<ScalarOp::kExp>},
    {"Floor", 6, LowerUnary<ScalarOp::kFloor>},
    {"Log", 6, LowerUnary<ScalarOp::kLog>},
    {"Max", 6, LowerVariadic<ScalarOp::kMax>},
    {"Mean", 6, LowerMean},
    {"Min", 6, LowerVariadic<ScalarOp::kMin>},
    {"Mod", 10, LowerMod},
    {"Mul", 7, LowerBinary<ScalarOp::kMul>},
    {"Neg", 6, LowerUnary<ScalarOp::kNeg>},
    {"Pow", 7, LowerPow},
    {"Reciprocal", 6, LowerUnary<ScalarOp::kReciprocal>},
    {"Round", 11, LowerRound},
    {"Sign", 9, LowerUnary<ScalarOp::kSign>},
    {"Sin", 7, LowerUnary<ScalarOp::kSin>},
    {"Sinh", 9, LowerUnary<ScalarOp::kSinh>},
    {"Sqrt", 6, LowerUnary<ScalarOp::kSqrt>},
    {"Sub", 7, LowerBinary<ScalarOp::kSub>},
    {"Sum", 6, LowerVariadic<ScalarOp::kAdd>},
    {"Tan", 7, LowerTan},
};

}  // namespace

absl::Span<const Operator> ElementwiseOperators() { return kOperators; }

}  // namespace basin::internal
