// Normalisation: of probabilities, and of activations.

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

using Reduced = GraphBuilder::ReducedAxes;

// x less its maximum along `axes`. Both functions below are the same for any
// constant taken from x, so the maximum carries no gradient.
ValueId Shifted(GraphBuilder& b, ValueId x, const IntList& axes) {
  return b.Sub(x, b.StopGradient(b.ReduceMax(x, axes, Reduced::kKeep)));
}

// exp(x) / sum(exp(x))
ValueId Softmax(GraphBuilder& b, ValueId x, const IntList& axes) {
  const ValueId e = b.Unary(ScalarOp::kExp, Shifted(b, x, axes));
  return b.Div(e, b.ReduceSum(e, axes, Reduced::kKeep));
}

// x - log(sum(exp(x)))
ValueId LogSoftmax(GraphBuilder& b, ValueId x, const IntList& axes) {
  const ValueId y = Shifted(b, x, axes);
  const ValueId sum =
      b.ReduceSum(b.Unary(ScalarOp::kExp, y), axes, Reduced::kKeep);
  return b.Sub(y, b.Unary(ScalarOp::kLog, sum));
}

using AlongAxes = ValueId (*)(GraphBuilder& b, ValueId x, const IntList& axes);

// From opset 13 on: along one axis, by default the last.
template <AlongAxes function>
absl::StatusOr<Value> LowerAlongAxis(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  BASIN_ASSIGN_OR_RETURN(
      const int axis,
      NormalizedAxis(n.Int("axis", -1), n.builder().shape(x).rank()));
  return Value(function(n.builder(), x, {axis}));
}

// Before: along all axes from `axis` on, by default 1, as if they were one.
template <AlongAxes function>
absl::StatusOr<Value> LowerFromAxis(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  const int rank = n.builder().shape(x).rank();
  BASIN_ASSIGN_OR_RETURN(const int first,
                         NormalizedAxis(n.Int("axis", 1), rank));
  IntList axes;
  for (int axis = first; axis < rank; ++axis) axes.push_back(axis);
  return Value(function(n.builder(), x, axes));
}

// Input `index` as [C, 1, ..]: it broadcasts over x [N, C, ..].
absl::StatusOr<Value> PerChannel(NodeContext& n, int index, const Shape& x) {
  BASIN_ASSIGN_OR_RETURN(const Value value, n.Input(index));
  Shape::Dims dims(x.rank() - 1, 1);
  dims[0] = x.dim(1);
  return n.Reshape(value, dims);
}

// Inference: (x - mean) scale / sqrt(variance + epsilon) + bias, as x times a
// factor plus a shift.
absl::StatusOr<Value> LowerBatchNormalization(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(5, 5));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  n.Ignore("momentum");
  const Shape shape = n.ShapeOf(x);
  if (shape.rank() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("input of shape ", shape.ToString(), " has no channels"));
  }
  if (n.Int("training_mode", 0) != 0 || n.HasOutput(1)) {
    return absl::UnimplementedError(
        "training mode; export the model for inference");
  }
  BASIN_ASSIGN_OR_RETURN(const Value scale, PerChannel(n, 1, shape));
  BASIN_ASSIGN_OR_RETURN(const Value bias, PerChannel(n, 2, shape));
  BASIN_ASSIGN_OR_RETURN(const Value mean, PerChannel(n, 3, shape));
  BASIN_ASSIGN_OR_RETURN(const Value variance, PerChannel(n, 4, shape));
  const Value deviation = n.Unary(
      ScalarOp::kSqrt,
      n.Binary(ScalarOp::kAdd, variance, Number(n.Float("epsilon", 1e-5f))));
  const Value factor = n.Binary(ScalarOp::kDiv, scale, deviation);
  const Value shift =
      n.Binary(ScalarOp::kSub, bias, n.Binary(ScalarOp::kMul, mean, factor));
  return n.Binary(ScalarOp::kAdd, n.Binary(ScalarOp::kMul, x, factor), shift);
}

// The mean over `axes`, which stay, of size 1.
ValueId Mean(GraphBuilder& b, ValueId x, const IntList& axes, int64_t count) {
  return b.Mul(b.ReduceSum(x, axes, Reduced::kKeep),
               b.Constant(1.0f / static_cast<float>(count)));
}

// (x - mean) / sqrt(variance + epsilon) scale + bias, over all axes from
// `axis` on.
absl::StatusOr<Value> LowerLayerNormalization(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 3));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  n.Ignore("stash_type");
  const Shape shape = n.builder().shape(x);
  BASIN_ASSIGN_OR_RETURN(const int first,
                         NormalizedAxis(n.Int("axis", -1), shape.rank()));
  IntList axes;
  int64_t count = 1;
  for (int axis = first; axis < shape.rank(); ++axis) {
    axes.push_back(axis);
    count *= shape.dim(axis);
  }
  if (count == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("normalises the empty shape ", shape.ToString()));
  }
  GraphBuilder& b = n.builder();
  const ValueId centred = b.Sub(x, Mean(b, x, axes, count));
  const ValueId variance = Mean(b, b.Mul(centred, centred), axes, count);
  const ValueId deviation = b.Unary(
      ScalarOp::kSqrt, b.Add(variance, b.Constant(n.Float("epsilon", 1e-5f))));
  BASIN_ASSIGN_OR_RETURN(const Value scale, n.Input(1));
  const Value y = n.Binary(ScalarOp::kMul, b.Div(centred, deviation), scale);
  if (!n.HasInput(2)) return y;
  BASIN_ASSIGN_OR_RETURN(const Value bias, n.Input(2));
  return n.Binary(ScalarOp::kAdd, y, bias);
}

constexpr Operator kOperators[] = {
    {"BatchNormalization", 9, LowerBatchNormalization},
    {"LayerNormalization", 17, LowerLayerNormalization},
    {"LogSoftmax", 11, LowerFromAxis<LogSoftmax>},
    {"LogSoftmax", 13, LowerAlongAxis<LogSoftmax>},
    {"Softmax", 11, LowerFromAxis<Softmax>},
    {"Softmax", 13, LowerAlongAxis<Softmax>},
};

}  // namespace

absl::Span<const Operator> NormalizationOperators() { return kOperators; }

}  // namespace basin::internal
