#ifndef BASIN_CORE_GRAPH_GRADIENT_H_
#define BASIN_CORE_GRAPH_GRADIENT_H_

#include <absl/status/statusor.h>

#include "core/graph/graph.h"

namespace basin {

// Reverse-mode differentiation from graph to graph. `energy` is one float a
// row, [N]; rows are independent, so the gradient of their sum with respect
// to `x` [N, ...] is each row's own. Returns a graph with outputs
// {energy [N], grad_energy of x's shape}, written in primitives again.
// Where `x` does not reach the energy the gradient is zero.
// Unimplemented, naming the operation, if one on the path has no rule.
absl::StatusOr<Graph> Gradient(const Graph& graph, ValueId energy, ValueId x);

}  // namespace basin

#endif  // BASIN_CORE_GRAPH_GRADIENT_H_
