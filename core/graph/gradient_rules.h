#ifndef BASIN_CORE_GRAPH_GRADIENT_RULES_H_
#define BASIN_CORE_GRAPH_GRADIENT_RULES_H_

#include "core/graph/graph_builder.h"

namespace basin::internal {

// One node whose inputs want their share of its gradient `dy`.
struct GradientTask {
  GraphBuilder& builder;
  Node node;  // a copy: the builder's graph grows meanwhile
  ValueId y;  // the node itself
  ValueId dy;

  const Shape& shape(int i) const { return builder.shape(node.inputs[i]); }
  template <typename T>
  const T& attrs() const {
    return std::get<T>(node.attributes);
  }
};

// Whether a gradient can flow from the node to its input `i` at all: it cannot
// through kStopGradient, indices, comparisons, and steps such as floor.
bool HasGradient(const Node& node, int i);

// dy times the node's derivative by its input `i`, of the input's shape. If
// the operation has no rule the builder's status becomes Unimplemented.
// REQUIRES: HasGradient(task.node, i).
ValueId InputGradient(const GradientTask& task, int i);

}  // namespace basin::internal

#endif  // BASIN_CORE_GRAPH_GRADIENT_RULES_H_
