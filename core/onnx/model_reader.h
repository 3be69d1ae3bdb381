#ifndef BASIN_CORE_ONNX_MODEL_READER_H_
#define BASIN_CORE_ONNX_MODEL_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include "core/onnx/model_parts.h"
#include "core/onnx/onnx_model.h"
#include "core/onnx/onnx_proto.h"
#include "core/onnx/operators.h"
#include "core/tensor/tensor.h"

namespace basin::internal {

// One node with the function that lowers it.
struct PlannedNode {
  const onnx::NodeProto* proto;  // in ParsedModel::graph
  LowerFunction lower;
  std::vector<std::string> captures;  // what its subgraphs read
};

// A file that was found to be well-formed: names are unique, every value is
// made before it is used, and every operator of its graph is known: those of
// subgraphs and functions are looked up when they are lowered. Neither copied
// nor moved, as `nodes` and `parts` point into `graph` and `functions`.
struct ParsedModel {
  ParsedModel() = default;
  ParsedModel(const ParsedModel&) = delete;
  ParsedModel& operator=(const ParsedModel&) = delete;

  OnnxLimits limits;
  std::string external_folder;
  OnnxDoubles doubles = OnnxDoubles::kRound;
  onnx::GraphProto graph;  // without initialisers
  google::protobuf::RepeatedPtrField<onnx::FunctionProto> functions;
  ModelParts parts;
  OnnxMetadata metadata;
  std::vector<OnnxModel::ValueInfo> inputs;
  std::vector<OnnxModel::ValueInfo> outputs;
  absl::flat_hash_map<std::string, Tensor> constants;
  int64_t constant_bytes_left = 0;
  std::vector<PlannedNode> nodes;  // in order, without those folded away
  // The Constant nodes of subgraphs and functions, in order.
  std::vector<const onnx::NodeProto*> inner_constants;
};

// Fills `model`, whose limits, external_folder and doubles are set. It computes
// no node.
absl::Status ReadModel(absl::string_view bytes, ParsedModel& model);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_MODEL_READER_H_
