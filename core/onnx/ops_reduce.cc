// Reductions along axes.

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

using Reduced = GraphBuilder::ReducedAxes;

IntList AllAxes(int rank) {
  IntList axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

using Reduction = ValueId (*)(GraphBuilder& b, ValueId x, const IntList& axes,
                              Reduced reduced);

ValueId Sum(GraphBuilder& b, ValueId x, const IntList& axes, Reduced reduced) {
  return b.ReduceSum(x, axes, reduced);
}

ValueId Max(GraphBuilder& b, ValueId x, const IntList& axes, Reduced reduced) {
  return b.ReduceMax(x, axes, reduced);
}

ValueId LogSumExp(GraphBuilder& b, ValueId x, const IntList& axes,
                  Reduced reduced) {
  return b.LogSumExp(x, axes, reduced);
}

ValueId Mean(GraphBuilder& b, ValueId x, const IntList& axes, Reduced reduced) {
  int64_t count = 1;
  for (const int64_t axis : axes) count *= b.shape(x).dims()[axis];
  return b.Mul(b.ReduceSum(x, axes, reduced),
               b.Constant(1.0f / static_cast<float>(count)));
}

// A mean or maximum of nothing is not a number.
absl::Status CheckNotEmpty(const Shape& shape) {
  if (shape.num_elements() > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("reduces the empty shape ", shape.ToString()));
}

absl::StatusOr<Value> Reduce(NodeContext& n, Reduction reduction,
                             absl::optional<IntList> given,
                             bool empty_means_none) {
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  const Shape& shape = n.builder().shape(x);
  const Reduced reduced =
      n.Int("keepdims", 1) != 0 ? Reduced::kKeep : Reduced::kDrop;
  BASIN_RETURN_IF_ERROR(CheckNotEmpty(shape));
  IntList axes;
  if (given.has_value() && !given->empty()) {
    BASIN_ASSIGN_OR_RETURN(axes, NormalizedAxes(*given, shape.rank()));
  } else if (!empty_means_none) {
    axes = AllAxes(shape.rank());
  }
  if (axes.empty()) return Value(x);
  return Value(reduction(n.builder(), x, axes, reduced));
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

// Over all spatial axes, which stay, of size 1.
absl::StatusOr<Value> LowerGlobalAveragePool(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const ValueId x, n.GraphInput(0));
  const Shape& shape = n.builder().shape(x);
  if (shape.rank() < 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "input of shape ", shape.ToString(), " has no spatial axes"));
  }
  BASIN_RETURN_IF_ERROR(CheckNotEmpty(shape));
  IntList axes = AllAxes(shape.rank());
  axes.erase(axes.begin(), axes.begin() + 2);
  return Value(Mean(n.builder(), x, axes, Reduced::kKeep));
}

constexpr Operator kOperators[] = {
    {"GlobalAveragePool", 1, LowerGlobalAveragePool},
    {"ReduceLogSumExp", 11, LowerByAttribute<LogSumExp>},
    {"ReduceLogSumExp", 18, LowerByInput<LogSumExp>},
    {"ReduceMax", 11, LowerByAttribute<Max>},
    {"ReduceMax", 18, LowerByInput<Max>},
    {"ReduceMean", 11, LowerByAttribute<Mean>},
    {"ReduceMean", 18, LowerByInput<Mean>},
    {"ReduceSum", 11, LowerByAttribute<Sum>},
    {"ReduceSum", 13, LowerByInput<Sum>},
};

}  // namespace

absl::Span<const Operator> ReduceOperators() { return kOperators; }

}  // namespace basin::internal
