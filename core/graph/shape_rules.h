#ifndef BASIN_CORE_GRAPH_SHAPE_RULES_H_
#define BASIN_CORE_GRAPH_SHAPE_RULES_H_

// One shape rule for each operation. Whatever a model file asks for comes
// through here before any memory is taken for it, so the rules refuse, and
// never overflow on, any attribute.

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/types/span.h>

#include "core/graph/graph.h"

namespace basin::internal {

// A node that may be added to `graph`. Borrows everything.
struct NodeDraft {
  const Graph& graph;
  Op op;
  absl::Span<const ValueId> inputs;
  const Attributes& attributes;
  const Shape* given;  // the wanted result shape; null: to be computed

  const Shape& input(int i) const { return graph.shape(inputs[i]); }
  template <typename T>
  const T& attrs() const {
    return std::get<T>(attributes);
  }
};

// "conv([2, 3, 8, 8], [4, 3, 9, 9]): the kernel exceeds ...".
absl::Status DraftError(const NodeDraft& draft, absl::string_view problem);

// The result's shape, or InvalidArgument if the draft does not fit together.
absl::StatusOr<Shape> ResultShape(const NodeDraft& draft);

// The rules of operations on indices that are values of the graph.
// REQUIRES: as below.
absl::StatusOr<Shape> TakeShape(const NodeDraft& draft);
absl::StatusOr<Shape> PutAddShape(const NodeDraft& draft);
absl::StatusOr<Shape> TopKShape(const NodeDraft& draft);

// The rules of convolutions and pools. REQUIRES: the number of inputs and the
// type of the attributes are right.
absl::StatusOr<Shape> ConvShape(const NodeDraft& draft);
absl::StatusOr<Shape> ConvBackwardDataShape(const NodeDraft& draft);
absl::StatusOr<Shape> ConvBackwardWeightsShape(const NodeDraft& draft);
absl::StatusOr<Shape> PoolShape(const NodeDraft& draft);
absl::StatusOr<Shape> MaxPoolGradShape(const NodeDraft& draft);
absl::StatusOr<Shape> AvgPoolGradShape(const NodeDraft& draft);

}  // namespace basin::internal

#endif  // BASIN_CORE_GRAPH_SHAPE_RULES_H_
