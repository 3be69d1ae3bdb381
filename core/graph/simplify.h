#ifndef BASIN_CORE_GRAPH_SIMPLIFY_H_
#define BASIN_CORE_GRAPH_SIMPLIFY_H_

#include <optional>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/container/inlined_vector.h>
#include <absl/status/statusor.h>

#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"

namespace basin::internal {

// Copies a graph, writing each node in its simplest form: Emit() returns an
// equal value that may be there already. One pass from the inputs on sees
// operands that are simple themselves. Not thread-safe.
class Simplifier {
 public:
  using Inputs = absl::InlinedVector<ValueId, 3>;

  // REQUIRES: `graph` outlives this object.
  Simplifier(const Graph& graph, Folding folding)
      : graph_(graph), folding_(folding) {}

  absl::StatusOr<Graph> Run();

 private:
  // The value of this node, whose result has `shape`.
  ValueId Emit(Op op, Inputs inputs, Attributes attributes, Shape shape);
  ValueId EmitConstant(Tensor value);
  ValueId EmitElementwise(ScalarOp op, Inputs inputs);
  ValueId EmitReshape(ValueId x, const Shape& shape);
  ValueId EmitBroadcast(ValueId x, const Shape& shape);
  // A constant that holds `value` everywhere.
  ValueId EmitFilled(float value, const Shape& shape);
  // An equal node that was added before, or a new one.
  ValueId Share(Op op, Inputs inputs, Attributes attributes,
                const Shape& shape);

  // Rules by operation: an equal, simpler value, or nothing.
  using Result = std::optional<ValueId>;
  Result Rewrite(Op op, const Inputs& inputs, const Attributes& attributes,
                 const Shape& shape);
  Result RewriteReshape(ValueId x, const Shape& shape);
  Result RewriteBroadcast(ValueId x, const Shape& shape);
  Result RewriteTranspose(ValueId x, const IntList& permutation,
                          const Shape& shape);
  Result RewriteReduce(Op op, ValueId x, const IntList& axes,
                       const Shape& shape);
  Result RewriteMatmul(const Inputs& inputs, const MatmulAttrs& attributes,
                       const Shape& shape);
  Result RewriteElementwise(ScalarOp op, const Inputs& inputs);
  Result RewriteUnary(ScalarOp op, ValueId x);
  Result RewriteBinary(ScalarOp op, ValueId a, ValueId b);
  Result RewritePow(ValueId x, float exponent);
  Result RewriteOnBroadcasts(ScalarOp op, const Inputs& inputs);

  const Node& node(ValueId id) const { return builder_.graph().node(id); }
  bool IsElementwise(ValueId id, ScalarOp op) const;

  const Graph& graph_;
  const Folding folding_;
  GraphBuilder builder_;
  absl::flat_hash_map<std::string, ValueId> seen_;
};

// Adds a node like `node`, which may be another graph's, with these inputs.
ValueId AddNodeOf(GraphBuilder& builder, const Node& node,
                  absl::Span<const ValueId> inputs);

// By id: whether an output needs the value.
std::vector<bool> LiveValues(const Graph& graph);

// `graph` without the nodes that no output needs. Inputs stay.
absl::StatusOr<Graph> DropDead(const Graph& graph);

}  // namespace basin::internal

#endif  // BASIN_CORE_GRAPH_SIMPLIFY_H_
