#include "core/graph/gradient_rules.h"

#include <algorithm>
#include <numbers>
#include <utility>

#include <absl/strings/str_cat.h>

namespace basin::internal {
namespace {

constexpr double kTwoOverSqrtPi = 2 * std::numbers::inv_sqrtpi;

using Reduced = GraphBuilder::ReducedAxes;

ValueId PowGradient(const GradientTask& t, int i) {
  GraphBuilder& b = t.builder;
  const ValueId x = t.node.inputs[0];
  const ValueId p = t.node.inputs[1];
  if (i == 0) {
    const ValueId less = b.Sub(p, b.Constant(1.0f));
    return b.Mul(t.dy, b.Mul(p, b.Binary(ScalarOp::kPow, x, less)));
  }
  // 0^p does not change with p, though log(0) is infinite.
  const ValueId zero = b.Constant(0.0f);
  const ValueId log = b.Select(b.Binary(ScalarOp::kEqual, x, zero), zero,
                               b.Unary(ScalarOp::kLog, x));
  return b.Mul(t.dy, b.Mul(t.y, log));
}

// Of equal operands the second gets the gradient of a maximum and the first
// that of a minimum: relu'(0) = 0 for max(x, 0), and a clamp passes its upper
// bound.
ValueId MaxMinGradient(const GradientTask& t, int i) {
  GraphBuilder& b = t.builder;
  const bool is_max = t.attrs<ElementwiseAttrs>().op == ScalarOp::kMax;
  const ValueId x0 = t.node.inputs[0];
  const ValueId x1 = t.node.inputs[1];
  const ValueId first = is_max ? b.Binary(ScalarOp::kLess, x1, x0)
                               : b.Binary(ScalarOp::kLessEqual, x0, x1);
  const ValueId zero = b.Constant(0.0f);
  return i == 0 ? b.Select(first, t.dy, zero) : b.Select(first, zero, t.dy);
}

// cosh(x): (e^(x/2))^2 / 2 is finite wherever sinh is.
ValueId Cosh(GraphBuilder& b, ValueId x) {
  const ValueId half = b.Constant(0.5f);
  const ValueId h = b.Unary(ScalarOp::kExp, b.Mul(x, half));
  return b.Add(b.Mul(b.Mul(half, h), h), b.Div(b.Div(half, h), h));
}

// Of the inverse circular and hyperbolic functions.
ValueId InverseGradient(const GradientTask& t, ScalarOp op) {
  GraphBuilder& b = t.builder;
  const ValueId x = t.node.inputs[0];
  const ValueId one = b.Constant(1.0f);
  const ValueId below = b.Sub(one, x);
  const ValueId above = b.Add(one, x);
  const auto over_root = [&](ValueId v) {
    return b.Div(t.dy, b.Unary(ScalarOp::kSqrt, v));
  };
  switch (op) {
    case ScalarOp::kAsin:
      return over_root(b.Mul(below, above));
    case ScalarOp::kAcos:
      return b.Unary(ScalarOp::kNeg, over_root(b.Mul(below, above)));
    case ScalarOp::kAtan:
      return b.Div(t.dy, b.Add(one, b.Mul(x, x)));
    case ScalarOp::kAsinh:
      return over_root(b.Add(one, b.Mul(x, x)));
    case ScalarOp::kAcosh:
      return over_root(b.Mul(b.Sub(x, one), above));
    case ScalarOp::kAtanh:
      return b.Div(t.dy, b.Mul(below, above));
    default:
      return b.Fail(absl::InternalError(
          absl::StrCat(std::string(Name(op)), " has no gradient rule")));
  }
}

ValueId UnaryGradient(const GradientTask& t, ScalarOp op) {
  GraphBuilder& b = t.builder;
  const ValueId x = t.node.inputs[0];
  const auto one_minus = [&](ValueId v) { return b.Sub(b.Constant(1.0f), v); };
  switch (op) {
    case ScalarOp::kNeg:
      return b.Unary(ScalarOp::kNeg, t.dy);
    case ScalarOp::kAbs:
      return b.Mul(t.dy, b.Unary(ScalarOp::kSign, x));
    case ScalarOp::kExp:
      return b.Mul(t.dy, t.y);
    case ScalarOp::kLog:
      return b.Div(t.dy, x);
    case ScalarOp::kSqrt:
      return b.Div(b.Mul(t.dy, b.Constant(0.5f)), t.y);
    case ScalarOp::kReciprocal:
      return b.Unary(ScalarOp::kNeg, b.Mul(t.dy, b.Mul(t.y, t.y)));
    case ScalarOp::kSin:
      return b.Mul(t.dy, b.Unary(ScalarOp::kCos, x));
    case ScalarOp::kCos:
      return b.Unary(ScalarOp::kNeg, b.Mul(t.dy, b.Unary(ScalarOp::kSin, x)));
    case ScalarOp::kTanh:
      return b.Mul(t.dy, one_minus(b.Mul(t.y, t.y)));
    case ScalarOp::kErf:
      return b.Mul(t.dy, b.Mul(b.Constant(kTwoOverSqrtPi),
                               b.Unary(ScalarOp::kExp,
                                       b.Unary(ScalarOp::kNeg, b.Mul(x, x)))));
    case ScalarOp::kSigmoid:
      return b.Mul(t.dy, b.Mul(t.y, one_minus(t.y)));
    case ScalarOp::kSoftplus:
      return b.Mul(t.dy, b.Unary(ScalarOp::kSigmoid, x));
    case ScalarOp::kSinh:
      return b.Mul(t.dy, Cosh(b, x));
    default:
      return InverseGradient(t, op);
  }
}

ValueId ElementwiseGradient(const GradientTask& t, int i) {
  GraphBuilder& b = t.builder;
  const ScalarOp op = t.attrs<ElementwiseAttrs>().op;
  switch (op) {
    case ScalarOp::kAdd:
      return t.dy;
    case ScalarOp::kSub:
      return i == 0 ? t.dy : b.Unary(ScalarOp::kNeg, t.dy);
    case ScalarOp::kMul:
      return b.Mul(t.dy, t.node.inputs[1 - i]);
    case ScalarOp::kDiv: {
      const ValueId quotient = b.Div(t.dy, t.node.inputs[1]);
      if (i == 0) return quotient;
      return b.Unary(ScalarOp::kNeg, b.Mul(quotient, t.y));
    }
    case ScalarOp::kPow:
      return PowGradient(t, i);
    case ScalarOp::kMax:
    case ScalarOp::kMin:
      return MaxMinGradient(t, i);
    case ScalarOp::kSelect: {
      const ValueId zero = b.Constant(0.0f);
      const ValueId condition = t.node.inputs[0];
      return i == 1 ? b.Select(condition, t.dy, zero)
                    : b.Select(condition, zero, t.dy);
    }
    default:
      return UnaryGradient(t, op);
  }
}

ValueId ReshapeGradient(const GradientTask& t, int /*i*/) {
  return t.builder.Reshape(t.dy, t.shape(0));
}

ValueId BroadcastGradient(const GradientTask& t, int /*i*/) {
  IntList axes;
  for (int axis = 0; axis < t.node.shape.rank(); ++axis) {
    if (t.shape(0).dim(axis) != t.node.shape.dim(axis)) axes.push_back(axis);
  }
  return t.builder.ReduceSum(t.dy, axes, Reduced::kKeep);
}

ValueId TransposeGradient(const GradientTask& t, int /*i*/) {
  const IntList& permutation = t.attrs<TransposeAttrs>().permutation;
  IntList inverse(permutation.size());
  for (size_t i = 0; i < permutation.size(); ++i) {
    inverse[static_cast<size_t>(permutation[i])] = static_cast<int64_t>(i);
  }
  return t.builder.Transpose(t.dy, inverse);
}

ValueId SliceGradient(const GradientTask& t, int /*i*/) {
  const auto& attrs = t.attrs<SliceAttrs>();
  PadAttrs pad;
  for (size_t i = 0; i < attrs.starts.size(); ++i) {
    const int64_t n = t.node.shape.dims()[i];
    const int64_t stride = n > 1 ? attrs.strides[i] : 1;
    const int64_t covered = n == 0 ? 0 : (n - 1) * stride + 1;
    pad.before.push_back(attrs.starts[i]);
    pad.after.push_back(t.shape(0).dims()[i] - attrs.starts[i] - covered);
    pad.interior.push_back(stride - 1);
  }
  return t.builder.Pad(t.dy, std::move(pad));
}

ValueId PadGradient(const GradientTask& t, int /*i*/) {
  const auto& attrs = t.attrs<PadAttrs>();
  SliceAttrs slice;
  for (size_t i = 0; i < attrs.before.size(); ++i) {
    const int64_t n = t.shape(0).dims()[i];
    const int64_t stride = attrs.interior[i] + 1;
    slice.starts.push_back(attrs.before[i]);
    slice.limits.push_back(attrs.before[i] +
                           (n == 0 ? 0 : (n - 1) * stride + 1));
    slice.strides.push_back(stride);
  }
  return t.builder.Slice(t.dy, std::move(slice));
}

ValueId ConcatGradient(const GradientTask& t, int i) {
  const int axis = t.attrs<AxisAttrs>().axis;
  const Shape::Dims& dims = t.node.shape.dims();
  SliceAttrs slice;
  slice.starts.assign(dims.size(), 0);
  slice.limits.assign(dims.begin(), dims.end());
  slice.strides.assign(dims.size(), 1);
  for (int j = 0; j < i; ++j) slice.starts[axis] += t.shape(j).dim(axis);
  slice.limits[axis] = slice.starts[axis] + t.shape(i).dim(axis);
  return t.builder.Slice(t.dy, std::move(slice));
}

ValueId GatherGradient(const GradientTask& t, int /*i*/) {
  return t.builder.ScatterAdd(t.dy, t.node.inputs[1], t.attrs<AxisAttrs>().axis,
                              t.shape(0));
}

// take and put_add are linear in input 0, and each the other's adjoint.
ValueId TakeGradient(const GradientTask& t, int /*i*/) {
  return t.builder.PutAdd(t.dy, t.node.inputs[1], t.shape(0).dim(1));
}

ValueId PutAddGradient(const GradientTask& t, int /*i*/) {
  return t.builder.Take(t.dy, t.node.inputs[1]);
}

ValueId ScatterAddGradient(const GradientTask& t, int /*i*/) {
  return t.builder.Gather(t.dy, t.node.inputs[1], t.attrs<AxisAttrs>().axis);
}

// A value of the reduced shape, stretched over the axes that it lost.
ValueId Unreduce(const GradientTask& t, ValueId reduced) {
  Shape::Dims dims = t.shape(0).dims();
  for (const int64_t axis : t.attrs<ReduceAttrs>().axes) {
    dims[static_cast<size_t>(axis)] = 1;
  }
  return t.builder.BroadcastTo(t.builder.Reshape(reduced, *Shape::Create(dims)),
                               t.shape(0));
}

ValueId ReduceSumGradient(const GradientTask& t, int /*i*/) {
  return Unreduce(t, t.dy);
}

// Equal maxima share the gradient equally.
ValueId ReduceMaxGradient(const GradientTask& t, int /*i*/) {
  GraphBuilder& b = t.builder;
  const ValueId is_max =
      b.Binary(ScalarOp::kEqual, t.node.inputs[0], Unreduce(t, t.y));
  const ValueId count =
      b.ReduceSum(is_max, t.attrs<ReduceAttrs>().axes, Reduced::kDrop);
  return b.Mul(is_max, Unreduce(t, b.Div(t.dy, count)));
}

// With A and B the operands as multiplied, after their transpositions:
// dA = dy Bᵀ and dB = Aᵀ dy, each transposed again where the operand was.
ValueId MatmulGradient(const GradientTask& t, int i) {
  const auto& attrs = t.attrs<MatmulAttrs>();
  const bool ta = attrs.transpose_a;
  const bool tb = attrs.transpose_b;
  const ValueId a = t.node.inputs[0];
  const ValueId b = t.node.inputs[1];
  const auto product = [&](ValueId left, bool transpose_left, ValueId right,
                           bool transpose_right) {
    return t.builder.AddNode(Op::kMatmul, {left, right},
                             MatmulAttrs{transpose_left, transpose_right});
  };
  if (i == 0) {
    return ta ? product(b, tb, t.dy, true) : product(t.dy, false, b, !tb);
  }
  return tb ? product(t.dy, true, a, ta) : product(a, !ta, t.dy, false);
}

ValueId ConvGradient(const GradientTask& t, int i) {
  const auto& attrs = t.attrs<ConvAttrs>();
  if (i == 0) {
    return t.builder.ConvBackwardData(t.dy, t.node.inputs[1], attrs,
                                      t.shape(0));
  }
  return t.builder.AddShapedNode(Op::kConvBackwardWeights,
                                 {t.node.inputs[0], t.dy}, attrs, t.shape(1));
}

// y = conv_backward_data(g, w) is linear in both, and the adjoint of conv.
ValueId ConvBackwardDataGradient(const GradientTask& t, int i) {
  const auto& attrs = t.attrs<ConvAttrs>();
  if (i == 0) return t.builder.Conv(t.dy, t.node.inputs[1], attrs);
  return t.builder.AddShapedNode(Op::kConvBackwardWeights,
                                 {t.dy, t.node.inputs[0]}, attrs, t.shape(1));
}

// y = conv_backward_weights(x, g), likewise.
ValueId ConvBackwardWeightsGradient(const GradientTask& t, int i) {
  const auto& attrs = t.attrs<ConvAttrs>();
  if (i == 1) return t.builder.Conv(t.node.inputs[0], t.dy, attrs);
  return t.builder.ConvBackwardData(t.node.inputs[1], t.dy, attrs, t.shape(0));
}

ValueId MaxPoolGradient(const GradientTask& t, int /*i*/) {
  return t.builder.AddNode(Op::kMaxPoolGrad, {t.node.inputs[0], t.dy},
                           t.attrs<PoolAttrs>());
}

ValueId AvgPoolGradient(const GradientTask& t, int /*i*/) {
  return t.builder.AddShapedNode(Op::kAvgPoolGrad, {t.dy}, t.attrs<PoolAttrs>(),
                                 t.shape(0));
}

ValueId AvgPoolGradGradient(const GradientTask& t, int /*i*/) {
  return t.builder.AvgPool(t.dy, t.attrs<PoolAttrs>());
}

ValueId ToFloat64Gradient(const GradientTask& t, int /*i*/) { return t.dy; }

ValueId CombineGradient(const GradientTask& t, int i) {
  auto attrs = t.attrs<CombineAttrs>();
  GraphBuilder& b = t.builder;
  if (attrs.kind == CombineAttrs::Kind::kSum) {
    const double weight = attrs.weights[static_cast<size_t>(i)];
    return b.Mul(t.dy, b.Constant(weight / attrs.temperature));
  }
  const ValueId dy = b.Mul(t.dy, b.Constant(1 / attrs.temperature));
  attrs.term = i;
  return b.Mul(dy,
               b.AddNode(Op::kMixtureShare, t.node.inputs, std::move(attrs)));
}

using Rule = ValueId (*)(const GradientTask&, int);

// Null where there is none.
Rule RuleOf(Op op) {
  switch (op) {
    case Op::kElementwise:
      return ElementwiseGradient;
    case Op::kReshape:
      return ReshapeGradient;
    case Op::kBroadcast:
      return BroadcastGradient;
    case Op::kTranspose:
      return TransposeGradient;
    case Op::kSlice:
      return SliceGradient;
    case Op::kPad:
      return PadGradient;
    case Op::kConcat:
      return ConcatGradient;
    case Op::kGather:
      return GatherGradient;
    case Op::kScatterAdd:
      return ScatterAddGradient;
    case Op::kTake:
      return TakeGradient;
    case Op::kPutAdd:
      return PutAddGradient;
    case Op::kReduceSum:
      return ReduceSumGradient;
    case Op::kReduceMax:
      return ReduceMaxGradient;
    case Op::kMatmul:
      return MatmulGradient;
    case Op::kConv:
      return ConvGradient;
    case Op::kConvBackwardData:
      return ConvBackwardDataGradient;
    case Op::kConvBackwardWeights:
      return ConvBackwardWeightsGradient;
    case Op::kMaxPool:
      return MaxPoolGradient;
    case Op::kAvgPool:
      return AvgPoolGradient;
    case Op::kAvgPoolGrad:
      return AvgPoolGradGradient;
    case Op::kToFloat64:
      return ToFloat64Gradient;
    case Op::kCombineEnergies:
      return CombineGradient;
    case Op::kFused:        // made after differentiation
    case Op::kMaxPoolGrad:  // second derivatives nobody asked for yet
    case Op::kMixtureShare:
    case Op::kInput:
    case Op::kConstant:
    case Op::kStopGradient:
    case Op::kTopK:
      break;
  }
  return nullptr;
}

}  // namespace

bool HasGradient(const Node& node, int i) {
  switch (node.op) {
    case Op::kStopGradient:
    case Op::kTopK:
      return false;
    case Op::kGather:
    case Op::kScatterAdd:
    case Op::kTake:
    case Op::kPutAdd:
      return i == 0;
    case Op::kElementwise:
      break;
    default:
      return true;
  }
  switch (std::get<ElementwiseAttrs>(node.attributes).op) {
    case ScalarOp::kSign:
    case ScalarOp::kFloor:
    case ScalarOp::kLess:
    case ScalarOp::kLessEqual:
    case ScalarOp::kEqual:
      return false;
    case ScalarOp::kSelect:
      return i > 0;
    default:
      return true;
  }
}

ValueId InputGradient(const GradientTask& task, int i) {
  const Rule rule = RuleOf(task.node.op);
  if (rule != nullptr) return rule(task, i);
  return task.builder.Fail(absl::UnimplementedError(
      absl::StrCat(std::string(Name(task.node.op)), " (%", task.y, ", ",
                   task.node.shape.ToString(), ") has no gradient rule")));
}

}  // namespace basin::internal
