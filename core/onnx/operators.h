#ifndef BASIN_CORE_ONNX_OPERATORS_H_
#define BASIN_CORE_ONNX_OPERATORS_H_

// The table of operators: one lowering function each. To add one, write the
// function in the ops_*.cc file of its theme and add a row to that file's
// table. The reference for all of them is onnx/docs/Operators.md, and
// Changelog.md for older opsets.

#include <cstdint>

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/types/span.h>

#include "core/onnx/node_context.h"

namespace basin::internal {

// Writes the node's primitives and returns its first output.
using LowerFunction = absl::StatusOr<Value> (*)(NodeContext& n);

// `lower` holds from opset `since` until the next row of the same name.
struct Operator {
  absl::string_view name;
  int64_t since;
  LowerFunction lower;
};

absl::Span<const Operator> ElementwiseOperators();
absl::Span<const Operator> ActivationOperators();
absl::Span<const Operator> LogicOperators();
absl::Span<const Operator> ConstantOperators();
absl::Span<const Operator> GenerateOperators();
absl::Span<const Operator> ShapeOperators();
absl::Span<const Operator> IndexOperators();
absl::Span<const Operator> GatherOperators();
absl::Span<const Operator> ScatterOperators();
absl::Span<const Operator> PadOperators();
absl::Span<const Operator> ResizeOperators();
absl::Span<const Operator> EinsumOperators();
absl::Span<const Operator> LinearOperators();
absl::Span<const Operator> ConvolutionOperators();
absl::Span<const Operator> PoolOperators();
absl::Span<const Operator> NormalizationOperators();
absl::Span<const Operator> ReduceOperators();
absl::Span<const Operator> ControlOperators();
absl::Span<const Operator> RecurrentOperators();
absl::Span<const Operator> AttentionOperators();

// Unimplemented if there is none; the message says what is supported.
absl::StatusOr<LowerFunction> FindOperator(absl::string_view name,
                                           int64_t opset);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_OPERATORS_H_
