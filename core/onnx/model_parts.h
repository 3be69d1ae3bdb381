#ifndef BASIN_CORE_ONNX_MODEL_PARTS_H_
#define BASIN_CORE_ONNX_MODEL_PARTS_H_

// What nodes of a file refer to beyond the values of their graph.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include "core/onnx/onnx_proto.h"
#include "core/tensor/tensor.h"

namespace basin::internal {

// A function that the file defines.
struct ModelFunction {
  const onnx::FunctionProto* proto = nullptr;  // in ParsedModel
  int64_t opset = 0;  // of the default domain, in its body
  // The names of all attributes, and the values of those with a default.
  absl::flat_hash_set<std::string> attributes;
  std::vector<onnx::AttributeProto> defaults;
};

// Constants inside of subgraphs and functions are converted once, as those of
// the model's graph are, not at each of their uses.
struct ModelParts {
  // By domain and name.
  absl::flat_hash_map<std::pair<std::string, std::string>, ModelFunction>
      functions;
  // Of subgraphs.
  absl::flat_hash_map<const onnx::GraphProto*,
                      std::vector<std::pair<std::string, Tensor>>>
      initializers;
  // What Constant nodes of subgraphs and functions make.
  absl::flat_hash_map<const onnx::NodeProto*, Tensor> constants;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_MODEL_PARTS_H_
