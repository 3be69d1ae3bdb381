#ifndef BASIN_CORE_GRAPH_WIDEN_ENERGIES_H_
#define BASIN_CORE_GRAPH_WIDEN_ENERGIES_H_

#include <absl/status/statusor.h>

#include "core/graph/graph.h"

namespace basin {

// Energies form in double: where the operand of a kToFloat64 is a kReduceSum
// behind negations, additions, subtractions, and products and quotients with
// constants (a mean, net(x) + 0.5 * sum(x^2)), each sum goes through a
// kToFloat64 of its own, and one kCombineEnergies does the rest. Other values,
// gradients among them, stay as they are. For simple graphs, before they are
// fused. Pure; thread-safe.
absl::StatusOr<Graph> WidenEnergies(const Graph& graph);

}  // namespace basin

#endif  // BASIN_CORE_GRAPH_WIDEN_ENERGIES_H_
