#ifndef BASIN_CORE_ONNX_INDEX_VALUES_H_
#define BASIN_CORE_ONNX_INDEX_VALUES_H_

// What gathering and scattering operators share. Indices count from the end
// where they are negative. Constant ones are checked; those that depend on the
// model's inputs and lie outside of their axis become a place beyond all axes,
// for which kTake and kPutAdd give NaN, as nothing can be refused while a model
// runs. Inputs that are indices as they are get a limit: see OnnxGraph.

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/onnx/node_context.h"

namespace basin::internal {

// [.., n, ..] -> [.., n]: `axis` becomes the last one.
Value AxisToEnd(NodeContext& n, const Value& x, int axis);
// The inverse.
Value EndToAxis(NodeContext& n, const Value& x, int axis);

// Indices in [0, size), or beyond all axes. InvalidArgument if they are no
// integers, or a constant one is not in [-size, size).
absl::StatusOr<Value> PlacesIn(NodeContext& n, const Value& indices,
                               int64_t size);

// Indices [.., q] of the first q of `dims` as places in row-major order: [..].
// REQUIRES: q <= dims.size().
absl::StatusOr<Value> FlatPlaces(NodeContext& n, const Value& indices,
                                 absl::Span<const int64_t> dims);

// x [B, V, D], places [B, K] -> [B, K, D]. REQUIRES: constant places in [0, V).
Value TakeRows(NodeContext& n, const Value& x, const Value& places);

// The product of dimensions; InvalidArgument if no shape may have them.
absl::StatusOr<int64_t> CountOf(absl::Span<const int64_t> dims);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_INDEX_VALUES_H_
