#ifndef BASIN_CORE_GRAPH_GRAPH_BUILDER_H_
#define BASIN_CORE_GRAPH_GRAPH_BUILDER_H_

#include <string>
#include <utility>
#include <vector>

#include <absl/container/inlined_vector.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/graph/graph.h"

namespace basin {

// Writes graphs as formulas: `b.Add(b.Mul(x, w), bias)`. Elementwise
// operations broadcast as NumPy does. The first error sticks, later calls
// then do nothing and return kNoValue, and status() reports it: so that
// formulas need no error handling in between.
// Not thread-safe.
class GraphBuilder {
 public:
  static constexpr ValueId kNoValue = -1;

  GraphBuilder() = default;
  // Continues an existing graph: its value ids stay valid.
  explicit GraphBuilder(Graph graph) : graph_(std::move(graph)) {}

  const absl::Status& status() const { return status_; }
  const Graph& graph() const { return graph_; }
  const Shape& shape(ValueId id) const { return graph_.shape(id); }
  bool IsConstant(ValueId id) const;
  // REQUIRES: IsConstant(id).
  const Tensor& ConstantValue(ValueId id) const;
  // The graph with these outputs, or the first error.
  absl::StatusOr<Graph> Build(std::vector<ValueId> outputs) &&;
  // Makes `status` the error, if none stuck yet.
  ValueId Fail(absl::Status status);

  ValueId Input(std::string name, const Shape& shape,
                InputAttrs::Values values = InputAttrs::Values::kReal);
  ValueId Constant(Tensor value);
  // A scalar, float64 where float32 does not hold it.
  ValueId Constant(double value);

  // Elementwise, with NumPy's broadcasting.
  ValueId Unary(ScalarOp op, ValueId x);
  ValueId Binary(ScalarOp op, ValueId a, ValueId b);
  ValueId Select(ValueId condition, ValueId if_true, ValueId if_false);
  ValueId Add(ValueId a, ValueId b) { return Binary(ScalarOp::kAdd, a, b); }
  ValueId Sub(ValueId a, ValueId b) { return Binary(ScalarOp::kSub, a, b); }
  ValueId Mul(ValueId a, ValueId b) { return Binary(ScalarOp::kMul, a, b); }
  ValueId Div(ValueId a, ValueId b) { return Binary(ScalarOp::kDiv, a, b); }

  // Shape.
  ValueId Reshape(ValueId x, const Shape& shape);
  // NumPy's broadcast_to: adds leading axes and stretches axes of size 1.
  ValueId BroadcastTo(ValueId x, const Shape& shape);
  ValueId Transpose(ValueId x, IntList permutation);
  ValueId Slice(ValueId x, SliceAttrs attributes);
  ValueId Pad(ValueId x, PadAttrs attributes);
  ValueId Concat(absl::Span<const ValueId> xs, int axis);
  ValueId Gather(ValueId x, ValueId indices, int axis);
  // Indices of values of the graph: see TopKAttrs.
  ValueId Take(ValueId x, ValueId indices);
  ValueId PutAdd(ValueId dy, ValueId indices, int64_t size);
  ValueId TopK(ValueId x, TopKAttrs attributes);
  ValueId ScatterAdd(ValueId dy, ValueId indices, int axis, const Shape& shape);

  // Reductions; `axes` ascending, they disappear unless kKeep.
  enum class ReducedAxes { kDrop, kKeep };
  ValueId ReduceSum(ValueId x, IntList axes, ReducedAxes reduced);
  ValueId ReduceMax(ValueId x, IntList axes, ReducedAxes reduced);
  // max + log(sum(exp(x - max))): finite for any finite x.
  ValueId LogSumExp(ValueId x, IntList axes, ReducedAxes reduced);

  // Products and windows. Matmul broadcasts axes before the last two as NumPy
  // does; both operands need rank 2 or more.
  ValueId Matmul(ValueId a, ValueId b, MatmulAttrs attributes = {});
  ValueId Conv(ValueId x, ValueId w, ConvAttrs attributes);
  ValueId ConvBackwardData(ValueId dy, ValueId w, ConvAttrs attributes,
                           const Shape& x_shape);
  ValueId MaxPool(ValueId x, PoolAttrs attributes);
  ValueId AvgPool(ValueId x, PoolAttrs attributes);

  ValueId StopGradient(ValueId x);
  ValueId ToFloat64(ValueId x);  // x, if it is float64 already
  // Of energies [N] or [N, K] of either type, in double; see CombineAttrs.
  ValueId CombineEnergies(absl::Span<const ValueId> energies,
                          CombineAttrs attributes);

  // Any operation, by its parts; the methods above are these with checks.
  ValueId AddNode(Op op, absl::Span<const ValueId> inputs,
                  Attributes attributes);
  ValueId AddShapedNode(Op op, absl::Span<const ValueId> inputs,
                        Attributes attributes, const Shape& shape);

 private:
  // Whether no error stuck and all of `ids` exist; else there is an error.
  bool Known(absl::Span<const ValueId> ids);
  ValueId Elementwise(ScalarOp op, absl::InlinedVector<ValueId, 3> operands);
  ValueId Reduce(Op op, ValueId x, IntList axes, ReducedAxes reduced);

  Graph graph_;
  absl::Status status_;
};

}  // namespace basin

#endif  // BASIN_CORE_GRAPH_GRAPH_BUILDER_H_
