// Activation functions, as formulas.

#include <cmath>
#include <numbers>
#include <string>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

Value Add(NodeContext& n, const Value& a, const Value& b) {
  return n.Binary(ScalarOp::kAdd, a, b);
}

Value Mul(NodeContext& n, const Value& a, const Value& b) {
  return n.Binary(ScalarOp::kMul, a, b);
}

// max(x, 0), whose derivative at 0 is 0.
Value Positive(NodeContext& n, const Value& x) {
  return n.Binary(ScalarOp::kMax, x, n.NumberLike(x, 0));
}

// min(x, 0), whose derivative at 0 is 1.
Value Negative(NodeContext& n, const Value& x) {
  return n.Binary(ScalarOp::kMin, x, n.NumberLike(x, 0));
}

using Formula = Value (*)(NodeContext& n, const Value& x);

// An operator with one floating-point input.
template <Formula formula>
absl::StatusOr<Value> Lower(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  return formula(n, x);
}

// scale (max(x, 0) + alpha (exp(min(x, 0) / divisor) - 1))
Value Exponential(NodeContext& n, const Value& x, double alpha,
                  double divisor) {
  const Value e =
      n.Unary(ScalarOp::kExp,
              n.Binary(ScalarOp::kDiv, Negative(n, x), Number(divisor)));
  return Add(n, Positive(n, x),
             Mul(n, Number(alpha), n.Binary(ScalarOp::kSub, e, Number(1))));
}

Value Celu(NodeContext& n, const Value& x) {
  const float alpha = n.Float("alpha", 1);
  return Exponential(n, x, alpha, alpha);
}

Value Elu(NodeContext& n, const Value& x) {
  return Exponential(n, x, n.Float("alpha", 1), 1);
}

Value Selu(NodeContext& n, const Value& x) {
  // ONNX's defaults are these, rounded to float32: what an exporter of float64
  // leaves out means the numbers themselves.
  const double alpha =
      n.HasAttribute("alpha") ? n.Float("alpha", 0) : 1.6732632423543772848;
  const double gamma =
      n.HasAttribute("gamma") ? n.Float("gamma", 0) : 1.0507009873554804934;
  return Mul(n, Number(gamma), Exponential(n, x, alpha, 1));
}

// max(x, 0) + slope min(x, 0)
Value Leaky(NodeContext& n, const Value& x, const Value& slope) {
  return Add(n, Positive(n, x), Mul(n, slope, Negative(n, x)));
}

Value LeakyRelu(NodeContext& n, const Value& x) {
  return Leaky(n, x, Number(n.Float("alpha", 0.01f)));
}

// The slope is broadcast to x.
absl::StatusOr<Value> LowerPRelu(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value slope, n.Input(1));
  return Leaky(n, x, n.BroadcastTo(slope, n.ShapeOf(x)));
}

// x/2 (1 + erf(x / sqrt 2)), or x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
Value Gelu(NodeContext& n, const Value& x) {
  const std::string approximate = n.String("approximate", "none");
  Value f;
  if (approximate == "none") {
    f = n.Unary(ScalarOp::kErf, Mul(n, x, Number(std::numbers::sqrt2 / 2)));
  } else if (approximate == "tanh") {
    const Value cubic = Mul(n, Number(0.044715), Mul(n, x, Mul(n, x, x)));
    const double factor = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
    f = n.Unary(ScalarOp::kTanh, Mul(n, Number(factor), Add(n, x, cubic)));
  } else {
    return n.Fail(absl::InvalidArgumentError(
        absl::StrCat("approximate is ", Quoted(approximate),
                     ", expected 'none' or 'tanh'")));
  }
  return Mul(n, Mul(n, Number(0.5f), x), Add(n, Number(1), f));
}

// max(0, min(1, alpha x + beta))
Value HardSigmoid(NodeContext& n, const Value& x, double alpha, double beta) {
  const Value line = Add(n, Mul(n, Number(alpha), x), Number(beta));
  return n.Binary(ScalarOp::kMax, Number(0),
                  n.Binary(ScalarOp::kMin, Number(1), line));
}

Value HardSigmoid(NodeContext& n, const Value& x) {
  return HardSigmoid(n, x, n.Float("alpha", 0.2F), n.Float("beta", 0.5F));
}

Value HardSwish(NodeContext& n, const Value& x) {
  return Mul(n, x, HardSigmoid(n, x, 1.0 / 6, 0.5));
}

Value Mish(NodeContext& n, const Value& x) {
  return Mul(n, x, n.Unary(ScalarOp::kTanh, n.Unary(ScalarOp::kSoftplus, x)));
}

// x sigmoid(alpha x)
Value Swish(NodeContext& n, const Value& x) {
  const Value scaled = Mul(n, Number(n.Float("alpha", 1)), x);
  return Mul(n, x, n.Unary(ScalarOp::kSigmoid, scaled));
}

// x / (1 + |x|)
Value Softsign(NodeContext& n, const Value& x) {
  return n.Binary(ScalarOp::kDiv, x,
                  Add(n, Number(1), n.Unary(ScalarOp::kAbs, x)));
}

Value ThresholdedRelu(NodeContext& n, const Value& x) {
  const Value alpha = Number(n.Float("alpha", 1));
  return n.Select(n.Binary(ScalarOp::kLess, alpha, x), x, Number(0));
}

// x + bias below -lambd, x - bias above lambd, else 0
Value Shrink(NodeContext& n, const Value& x) {
  const Value bias = Number(n.Float("bias", 0));
  const float lambd = n.Float("lambd", 0.5f);
  return n.Select(n.Binary(ScalarOp::kLess, x, Number(-lambd)), Add(n, x, bias),
                  n.Select(n.Binary(ScalarOp::kLess, Number(lambd), x),
                           n.Binary(ScalarOp::kSub, x, bias), Number(0)));
}

template <ScalarOp op>
Value Scalar(NodeContext& n, const Value& x) {
  return n.Unary(op, x);
}

constexpr Operator kOperators[] = {
    {"Celu", 12, Lower<Celu>},
    {"Elu", 6, Lower<Elu>},
    {"Gelu", 20, Lower<Gelu>},
    {"HardSigmoid", 6, Lower<HardSigmoid>},
    {"HardSwish", 14, Lower<HardSwish>},
    {"LeakyRelu", 6, Lower<LeakyRelu>},
    {"Mish", 18, Lower<Mish>},
    {"PRelu", 7, LowerPRelu},
    {"Relu", 6, Lower<Positive>},
    {"Selu", 6, Lower<Selu>},
    {"Shrink", 9, Lower<Shrink>},
    {"Sigmoid", 6, Lower<Scalar<ScalarOp::kSigmoid>>},
    {"Softplus", 1, Lower<Scalar<ScalarOp::kSoftplus>>},
    {"Softsign", 1, Lower<Softsign>},
    // Of opset 24, which some exporters write before.
    {"Swish", 1, Lower<Swish>},
    {"Tanh", 6, Lower<Scalar<ScalarOp::kTanh>>},
    {"ThresholdedRelu", 1, Lower<ThresholdedRelu>},
};

}  // namespace

absl::Span<const Operator> ActivationOperators() { return kOperators; }

}  // namespace basin::internal
