#ifndef BASIN_CORE_GRAPH_FOLD_H_
#define BASIN_CORE_GRAPH_FOLD_H_

#include <optional>

#include <absl/types/span.h>

#include "core/graph/graph.h"

namespace basin::internal {

// The one element that `id` holds everywhere: a float32 constant, reshaped or
// broadcast at will.
std::optional<float> ScalarOf(const Graph& graph, ValueId id);

// The operation's result, if it depends on constants and broadcasts of
// constants only, and is worth computing now. Large constants are never copied,
// so that all plans of a model share its weights, and kBroadcast itself is
// never folded: it is cheaper to read the small operand. kReshape shares its
// elements at any size.
std::optional<Tensor> Fold(const Graph& graph, Op op,
                           absl::Span<const ValueId> inputs,
                           const Attributes& attributes, const Shape& shape);

}  // namespace basin::internal

#endif  // BASIN_CORE_GRAPH_FOLD_H_
