#ifndef BASIN_CORE_ONNX_LOWERING_H_
#define BASIN_CORE_ONNX_LOWERING_H_

// From nodes to primitives: one node, a subgraph, or a call of a function that
// the file defines. Loops and calls are unrolled: every node that is lowered
// inside of one takes from ImportState::nodes_left.

#include <cstdint>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/onnx/node_context.h"
#include "core/onnx/onnx_proto.h"
#include "core/onnx/operators.h"

namespace basin::internal {

// The function that lowers a node: that of the operator, or one that unrolls
// the function of the file which the node calls. Unimplemented if there is
// neither; com.microsoft and other domains are named.
absl::StatusOr<LowerFunction> FindLowering(const onnx::NodeProto& node,
                                           const ModelParts& parts,
                                           int64_t opset);

// Lowers one node and adds its outputs to the innermost scope. Errors name the
// node.
absl::Status LowerNode(const onnx::NodeProto& node, LowerFunction lower,
                       ImportState& state);

// InvalidArgument if a value of the graph, from node `first` on, is above the
// limit of elements.
absl::Status CheckSizes(const ImportState& state, int first);

// Lowers the subgraph of a node, which sees the values around it, with
// `inputs` for its inputs; gives its outputs. InvalidArgument if their number
// is not the subgraph's, or a limit is exceeded.
absl::StatusOr<std::vector<Value>> LowerSubgraph(const onnx::GraphProto& graph,
                                                 absl::Span<const Value> inputs,
                                                 ImportState& state);

// Takes `nodes` from what may still be unrolled. InvalidArgument, at once, if
// that is too little.
absl::Status TakeNodes(int64_t nodes, ImportState& state);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_LOWERING_H_
