#ifndef BASIN_CORE_ONNX_NODE_READER_H_
#define BASIN_CORE_ONNX_NODE_READER_H_

// Reads the nodes of a file, with their subgraphs and the functions that they
// call, without computing any.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include "core/onnx/model_reader.h"
#include "core/onnx/onnx_proto.h"

namespace basin::internal {

using NameSet = absl::flat_hash_set<absl::string_view>;

// `status` with a prefix to its message.
absl::Status Annotated(const std::string& prefix, const absl::Status& status);

// Converts the initialisers of a graph and clears the originals, so that large
// weights are not kept twice. Names are unique. Takes the memory from
// model.constant_bytes_left, and counts parameters.
absl::StatusOr<std::vector<std::pair<std::string, Tensor>>> ReadInitializers(
    onnx::GraphProto& graph, ParsedModel& model);

// Checks the nodes of model.functions and model.graph, lists the functions, and
// fills model.nodes. Names are unique, and made before they are used. `made`
// holds the names of inputs and initialisers; those of the nodes' outputs are
// added.
absl::Status ReadNodes(ParsedModel& model, NameSet& made);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_NODE_READER_H_
