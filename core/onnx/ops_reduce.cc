// Reductions along axes.

#include <algorithm>
#include <utility>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/norms.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

// Keeps the reduced axes, of size 1. Without axes nothing is summed, but what
// is done to each element is done.
using Reduction = Value (*)(NodeContext& n, const Value& x,
                            const IntList& axes);

Value Min(NodeContext& n, const Value& x, const IntList& axes) {
  const Value max = MaxAlong(n, n.Unary(ScalarOp::kNeg, x), axes);
  return n.Unary(ScalarOp::kNeg, max);
}

// Products of halves, so that the gradient holds where factors are 0.
Value Prod(NodeContext& n, const Value& x, const IntList& axes) {
  Shape::Dims kept = n.ShapeOf(x).dims();
  IntList permutation;
  for (int axis = 0; axis < n.ShapeOf(x).rank(); ++axis) {
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) {
      permutation.push_back(axis);
    } else {
      kept[axis] = 1;
    }
  }
  Shape::Dims dims;
  for (const int64_t axis : permutation) dims.push_back(kept[axis]);
  const auto last = static_cast<int>(dims.size());
  int64_t size = CountAlong(n, x, axes);
  if (size == 0) {  // only the shape of a scalar, whose product is 1
    auto ones = Shape::Create(kept);
    if (!ones.ok()) return n.Fail(ones.status());
    return n.BroadcastTo(n.NumberLike(x, 1), *ones);
  }
  dims.push_back(size);
  permutation.insert(permutation.end(), axes.begin(), axes.end());
  Value y = n.Reshape(n.Transpose(x, permutation), dims);
  while (size > 1) {
    const int64_t half = size / 2;
    Value product = n.Binary(ScalarOp::kMul, n.SliceAxis(y, last, 0, half),
                             n.SliceAxis(y, last, half, half));
    if (size % 2 != 0) {
      product = n.Concat({product, n.SliceAxis(y, last, size - 1, 1)}, last);
    }
    y = product;
    size = half + size % 2;
  }
  return n.Reshape(y, kept);
}

Value LogSumExp(NodeContext& n, const Value& x, const IntList& axes) {
  constexpr auto kKeep = GraphBuilder::ReducedAxes::kKeep;
  if (axes.empty()) return x;
  return n.builder().LogSumExp(n.InGraph(x), axes, kKeep);
}

Value LogSum(NodeContext& n, const Value& x, const IntList& axes) {
  return n.Unary(ScalarOp::kLog, SumAlong(n, x, axes));
}

Value L1(NodeContext& n, const Value& x, const IntList& axes) {
  return SumAlong(n, n.Unary(ScalarOp::kAbs, x), axes);
}

Value SumSquare(NodeContext& n, const Value& x, const IntList& axes) {
  return SumAlong(n, n.Binary(ScalarOp::kMul, x, x), axes);
}

Value L2(NodeContext& n, const Value& x, const IntList& axes) {
  return Root(n, SumSquare(n, x, axes), 2);
}

// A mean or maximum of nothing is not a number; sums and products of integers
// that are known are used to count elements, of a scalar, too.
absl::Status CheckNotEmpty(NodeContext& n, const Value& x) {
  const Shape& shape = n.ShapeOf(x);
  if (shape.num_elements() > 0 || (x.is_constant() && x.is_integer())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("reduces the empty shape ", shape.ToString()));
}

absl::StatusOr<Value> Reduce(NodeContext& n, Reduction reduction,
                             absl::optional<IntList> given,
                             bool empty_means_none) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape shape = n.ShapeOf(x);
  const bool keep = n.Int("keepdims", 1) != 0;
  BASIN_RETURN_IF_ERROR(CheckNotEmpty(n, x));
  IntList axes;
  if (given.has_value() && !given->empty()) {
    BASIN_ASSIGN_OR_RETURN(axes, NormalizedAxes(*given, shape.rank()));
  } else if (!empty_means_none) {
    axes = AxesFrom(0, shape.rank());
  }
  const Value y = reduction(n, x, axes);
  if (keep || axes.empty()) return y;
  Shape::Dims dims;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool gone = std::find(axes.begin(), axes.end(), axis) != axes.end();
    if (!gone) dims.push_back(shape.dim(axis));
  }
  return n.Reshape(y, dims);
}

// Axes are an attribute.
template <Reduction reduction>
absl::StatusOr<Value> LowerByAttribute(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  return Reduce(n, reduction, n.Ints("axes"), false);
}

// Axes are an optional input.
template <Reduction reduction>
absl::StatusOr<Value> LowerByInput(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 2));
  absl::optional<IntList> axes;
  if (n.HasInput(1)) {
    BASIN_ASSIGN_OR_RETURN(axes, n.IntsInput(1));
  }
  return Reduce(n, reduction, std::move(axes),
                n.Int("noop_with_empty_axes", 0) != 0);
}

// The input and its spatial axes, over which global pools go.
absl::StatusOr<std::pair<Value, IntList>> Image(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape& shape = n.ShapeOf(x);
  if (shape.rank() < 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "input of shape ", shape.ToString(), " has no spatial axes"));
  }
  BASIN_RETURN_IF_ERROR(CheckNotEmpty(n, x));
  return std::make_pair(x, AxesFrom(2, shape.rank()));
}

template <Reduction reduction>
absl::StatusOr<Value> LowerGlobalPool(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const auto image, Image(n));
  return reduction(n, image.first, image.second);
}

absl::StatusOr<Value> LowerGlobalLpPool(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const auto image, Image(n));
  const int64_t p = n.Int("p", 2);
  if (p < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("p is ", p, ", expected at least 1"));
  }
  const auto power = static_cast<float>(p);
  return Root(n,
              SumAlong(n, AbsolutePower(n, image.first, power), image.second),
              power);
}

constexpr Operator kOperators[] = {
    {"GlobalAveragePool", 1, LowerGlobalPool<MeanAlong>},
    {"GlobalLpPool", 2, LowerGlobalLpPool},
    {"GlobalMaxPool", 1, LowerGlobalPool<MaxAlong>},
    {"ReduceL1", 1, LowerByAttribute<L1>},
    {"ReduceL1", 18, LowerByInput<L1>},
    {"ReduceL2", 1, LowerByAttribute<L2>},
    {"ReduceL2", 18, LowerByInput<L2>},
    {"ReduceLogSum", 1, LowerByAttribute<LogSum>},
    {"ReduceLogSum", 18, LowerByInput<LogSum>},
    {"ReduceLogSumExp", 1, LowerByAttribute<LogSumExp>},
    {"ReduceLogSumExp", 18, LowerByInput<LogSumExp>},
    {"ReduceMax", 1, LowerByAttribute<MaxAlong>},
    {"ReduceMax", 18, LowerByInput<MaxAlong>},
    {"ReduceMean", 1, LowerByAttribute<MeanAlong>},
    {"ReduceMean", 18, LowerByInput<MeanAlong>},
    {"ReduceMin", 1, LowerByAttribute<Min>},
    {"ReduceMin", 18, LowerByInput<Min>},
    {"ReduceProd", 1, LowerByAttribute<Prod>},
    {"ReduceProd", 18, LowerByInput<Prod>},
    {"ReduceSum", 1, LowerByAttribute<SumAlong>},
    {"ReduceSum", 13, LowerByInput<SumAlong>},
    {"ReduceSumSquare", 1, LowerByAttribute<SumSquare>},
    {"ReduceSumSquare", 18, LowerByInput<SumSquare>},
};

}  // namespace

absl::Span<const Operator> ReduceOperators() { return kOperators; }

}  // namespace basin::internal
