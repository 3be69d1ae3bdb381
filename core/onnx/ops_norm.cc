// Normalisation: of probabilities, and of activations.

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/norms.h"
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
  if (n.Int("spatial", 1) == 0) {  // before opset 9
    return absl::UnimplementedError("spatial 0; 1 is supported");
  }
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

// (x - mean) / sqrt(variance + epsilon), both over `axes`; the variance by a
// second pass, as the difference of two sums cancels.
struct Normalized {
  Value mean;
  Value deviation;
  Value value;
};

Normalized Normalize(NodeContext& n, const Value& x, const IntList& axes,
                     float epsilon) {
  Normalized result;
  result.mean = MeanAlong(n, x, axes);
  const Value centred = n.Binary(ScalarOp::kSub, x, result.mean);
  const Value variance =
      MeanAlong(n, n.Binary(ScalarOp::kMul, centred, centred), axes);
  result.deviation = n.Unary(
      ScalarOp::kSqrt, n.Binary(ScalarOp::kAdd, variance, Number(epsilon)));
  result.value = n.Binary(ScalarOp::kDiv, centred, result.deviation);
  return result;
}

absl::Status CheckNotEmpty(const Shape& shape) {
  if (shape.num_elements() > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("normalises the empty shape ", shape.ToString()));
}

// The axes from the attribute `axis` on, by default the last one.
absl::StatusOr<IntList> TrailingAxes(NodeContext& n, const Shape& shape) {
  BASIN_RETURN_IF_ERROR(CheckNotEmpty(shape));
  BASIN_ASSIGN_OR_RETURN(const int first,
                         NormalizedAxis(n.Int("axis", -1), shape.rank()));
  return AxesFrom(first, shape.rank());
}

absl::StatusOr<Value> LowerLayerNormalization(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 3));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  n.Ignore("stash_type");
  BASIN_ASSIGN_OR_RETURN(const IntList axes, TrailingAxes(n, n.ShapeOf(x)));
  const Normalized normal = Normalize(n, x, axes, n.Float("epsilon", 1e-5f));
  BASIN_ASSIGN_OR_RETURN(const Value scale, n.Input(1));
  if (n.HasOutput(1)) n.SetOutput(1, normal.mean);
  if (n.HasOutput(2)) {
    n.SetOutput(2, n.Unary(ScalarOp::kReciprocal, normal.deviation));
  }
  const Value y = n.Binary(ScalarOp::kMul, normal.value, scale);
  if (!n.HasInput(2)) return y;
  BASIN_ASSIGN_OR_RETURN(const Value bias, n.Input(2));
  return n.Binary(ScalarOp::kAdd, y, bias);
}

// x / sqrt(mean(x^2) + epsilon) scale
absl::StatusOr<Value> LowerRmsNormalization(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  n.Ignore("stash_type");
  BASIN_ASSIGN_OR_RETURN(const IntList axes, TrailingAxes(n, n.ShapeOf(x)));
  const Value mean = MeanAlong(n, n.Binary(ScalarOp::kMul, x, x), axes);
  const Value size = n.Unary(
      ScalarOp::kSqrt,
      n.Binary(ScalarOp::kAdd, mean, Number(n.Float("epsilon", 1e-5f))));
  BASIN_ASSIGN_OR_RETURN(const Value scale, n.Input(1));
  return n.Binary(ScalarOp::kMul, n.Binary(ScalarOp::kDiv, x, size), scale);
}

// The input, which has channels and spatial axes.
absl::StatusOr<Value> ImageInput(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 3));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape& shape = n.ShapeOf(x);
  BASIN_RETURN_IF_ERROR(CheckNotEmpty(shape));
  if (shape.rank() >= 2) return x;
  return absl::InvalidArgumentError(
      absl::StrCat("input of shape ", shape.ToString(), " has no channels"));
}

// x scale + bias, inputs 1 and 2, one of each for a channel.
absl::StatusOr<Value> ScaledByChannel(NodeContext& n, const Value& x) {
  if (!x.exists()) return x;  // after an error
  const Shape shape = n.ShapeOf(x);
  BASIN_ASSIGN_OR_RETURN(const Value scale, PerChannel(n, 1, shape));
  BASIN_ASSIGN_OR_RETURN(const Value bias, PerChannel(n, 2, shape));
  return n.Binary(ScalarOp::kAdd, n.Binary(ScalarOp::kMul, x, scale), bias);
}

absl::StatusOr<Value> LowerInstanceNormalization(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value x, ImageInput(n));
  const IntList axes = AxesFrom(2, n.ShapeOf(x).rank());
  return ScaledByChannel(
      n, Normalize(n, x, axes, n.Float("epsilon", 1e-5f)).value);
}

// Over the channels of a group and all spatial axes. Scale and bias are those
// of a group before opset 21, and of a channel from there on.
absl::StatusOr<Value> LowerGroupNormalization(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value x, ImageInput(n));
  n.Ignore("stash_type");
  const Shape shape = n.ShapeOf(x);
  const int64_t groups = n.Int("num_groups", 0);
  if (groups < 1 || shape.dim(1) % groups != 0) {
    return absl::InvalidArgumentError(absl::StrCat("num_groups is ", groups,
                                                   ", expected a divisor of ",
                                                   shape.dim(1), " channels"));
  }
  const int64_t row = shape.num_elements() / shape.dim(0);
  const Value grouped =
      n.Reshape(x, Shape({shape.dim(0), groups, row / groups}));
  Value y = Normalize(n, grouped, {2}, n.Float("epsilon", 1e-5f)).value;
  if (n.opset() >= 21) return ScaledByChannel(n, n.Reshape(y, shape));
  if (!y.exists()) return y;
  BASIN_ASSIGN_OR_RETURN(y, ScaledByChannel(n, y));
  return n.Reshape(y, shape);
}

// x / ||x||_p along one axis; 0 where the norm is 0.
absl::StatusOr<Value> LowerLpNormalization(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(
      const int axis, NormalizedAxis(n.Int("axis", -1), n.ShapeOf(x).rank()));
  const int64_t p = n.Int("p", 2);
  if (p != 1 && p != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("p is ", p, ", expected 1 or 2"));
  }
  BASIN_RETURN_IF_ERROR(CheckNotEmpty(n.ShapeOf(x)));
  const auto power = static_cast<float>(p);
  const Value sum = SumAlong(n, AbsolutePower(n, x, power), {axis});
  const Value is_zero = n.Binary(ScalarOp::kEqual, sum, Number(0));
  const Value size = n.Select(is_zero, Number(1), sum);
  return n.Binary(ScalarOp::kDiv, x, Root(n, size, power));
}

// x / (bias + alpha / size * sum of x^2 over `size` channels around)^beta. The
// sum, as a mean with zeros around, is that of a pool over the channels.
absl::StatusOr<Value> LowerLrn(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  const Shape shape = n.builder().shape(x);
  const int64_t size = n.Int("size", 0);
  constexpr int64_t kMaxSize = int64_t{1} << 24;
  if (shape.rank() < 2 || size < 1 || size > kMaxSize) {
    return absl::InvalidArgumentError(absl::StrCat(
        "size is ", size, " for an input of shape ", shape.ToString(),
        ", expected 1 to ", kMaxSize, " and an input with channels"));
  }
  BASIN_RETURN_IF_ERROR(CheckNotEmpty(shape));
  GraphBuilder& b = n.builder();
  const int64_t pixels = shape.num_elements() / (shape.dim(0) * shape.dim(1));
  const ValueId squares =
      b.Reshape(b.Mul(x, x), Shape({shape.dim(0), 1, shape.dim(1), pixels}));
  const int64_t before = (size - 1) / 2;
  const ValueId means = b.AvgPool(
      squares, {{size, 1}, {1, 1}, {before, 0}, {size - 1 - before, 0}, true});
  const Value mean = n.Reshape(means, shape);
  const Value sum =
      n.Binary(ScalarOp::kAdd, Number(n.Float("bias", 1)),
               n.Binary(ScalarOp::kMul, Number(n.Float("alpha", 1e-4f)), mean));
  const Value divisor =
      n.Binary(ScalarOp::kPow, sum, Number(n.Float("beta", 0.75f)));
  return n.Binary(ScalarOp::kDiv, x, divisor);
}

// (x - mean) / (deviation + 1e-9)
absl::StatusOr<Value> LowerMeanVarianceNormalization(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape& shape = n.ShapeOf(x);
  BASIN_RETURN_IF_ERROR(CheckNotEmpty(shape));
  BASIN_ASSIGN_OR_RETURN(
      const IntList axes,
      NormalizedAxes(n.Ints("axes").value_or(IntList{0, 2, 3}), shape.rank()));
  const Value centred = n.Binary(ScalarOp::kSub, x, MeanAlong(n, x, axes));
  const Value variance =
      MeanAlong(n, n.Binary(ScalarOp::kMul, centred, centred), axes);
  return n.Binary(
      ScalarOp::kDiv, centred,
      n.Binary(ScalarOp::kAdd, Root(n, variance, 2), Number(1e-9f)));
}

constexpr Operator kOperators[] = {
    {"BatchNormalization", 7, LowerBatchNormalization},
    {"GroupNormalization", 18, LowerGroupNormalization},
    {"InstanceNormalization", 6, LowerInstanceNormalization},
    {"LRN", 1, LowerLrn},
    {"LayerNormalization", 17, LowerLayerNormalization},
    {"LogSoftmax", 1, LowerFromAxis<LogSoftmax>},
    {"LogSoftmax", 13, LowerAlongAxis<LogSoftmax>},
    {"LpNormalization", 1, LowerLpNormalization},
    {"MeanVarianceNormalization", 9, LowerMeanVarianceNormalization},
    {"RMSNormalization", 23, LowerRmsNormalization},
    {"Softmax", 1, LowerFromAxis<Softmax>},
    {"Softmax", 13, LowerAlongAxis<Softmax>},
};

}  // namespace

absl::Span<const Operator> NormalizationOperators() { return kOperators; }

}  // namespace basin::internal
