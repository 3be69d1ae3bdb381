#include "core/onnx/model_reader.h"

#include <utility>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/function_reader.h"
#include "core/onnx/node_reader.h"
#include "core/onnx/proto_scan.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

absl::Status Invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

absl::Status CheckModel(const onnx::ModelProto& proto) {
  const onnx::GraphProto& graph = proto.graph();
  if (!proto.has_graph()) return Invalid("the file holds no graph");
  if (graph.sparse_initializer_size() > 0) {
    return absl::UnimplementedError("sparse initialisers are not supported");
  }
  return absl::OkStatus();
}

// The type as it is declared, where a DType stands for it.
absl::StatusOr<DType> DeclaredDType(int32_t onnx_type) {
  switch (onnx_type) {
    case onnx::TensorProto::INT32:
      return DType::kInt32;
    case onnx::TensorProto::UINT8:
      return DType::kUint8;
    case onnx::TensorProto::BOOL:
      return DType::kBool;
    default:
      return ImportedDType(onnx_type);
  }
}

absl::StatusOr<OnnxModel::ValueInfo> ReadValueInfo(
    const onnx::ValueInfoProto& proto, int64_t least_dim) {
  OnnxModel::ValueInfo info;
  info.name = proto.name();
  if (info.name.empty()) return Invalid("its name is empty");
  if (!proto.type().has_tensor_type()) {
    return absl::UnimplementedError("it is not a tensor");
  }
  const auto& type = proto.type().tensor_type();
  BASIN_ASSIGN_OR_RETURN(info.dtype, DeclaredDType(type.elem_type()));
  for (const auto& dim : type.shape().dim()) {
    if (dim.has_dim_value() && dim.dim_value() < least_dim) {
      return Invalid(absl::StrCat("dimension ", info.dims.size(), " is ",
                                  dim.dim_value(), ", expected at least ",
                                  least_dim));
    }
    info.dims.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
  }
  return info;
}

// The shape must be known but for the rows.
absl::Status CheckInput(const onnx::ValueInfoProto& proto,
                        const OnnxModel::ValueInfo& info,
                        int64_t max_elements) {
  if (!proto.type().tensor_type().has_shape()) {
    return Invalid("its shape is not stated");
  }
  std::vector<int64_t> row = info.dims;
  if (!row.empty() && row[0] == -1) row[0] = 1;
  for (size_t i = 1; i < row.size(); ++i) {
    if (row[i] != -1) continue;
    return absl::UnimplementedError(
        absl::StrCat("dimension ", i,
                     " is open; only dimension 0, the rows, "
                     "may be"));
  }
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(row));
  if (shape.num_elements() > max_elements) {
    return Invalid(absl::StrCat("shape ", shape.ToString(),
                                " is above the "
                                "limit of ",
                                max_elements, " elements"));
  }
  return absl::OkStatus();
}

absl::Status ReadInputs(ParsedModel& model) {
  NameSet names;
  for (const auto& proto : model.graph.input()) {
    const std::string prefix =
        absl::StrCat("input ", Quoted(proto.name()), ": ");
    if (!names.insert(proto.name()).second) {
      return Invalid(prefix + "its name is not unique");
    }
    if (model.constants.contains(proto.name())) continue;
    auto info = ReadValueInfo(proto, 1);
    if (!info.ok()) return Annotated(prefix, info.status());
    const absl::Status checked =
        CheckInput(proto, *info, model.limits.max_elements);
    if (!checked.ok()) return Annotated(prefix, checked);
    model.inputs.push_back(*std::move(info));
  }
  if (model.inputs.empty()) return Invalid("the graph has no inputs");
  return absl::OkStatus();
}

absl::Status ReadOutputs(ParsedModel& model, const NameSet& names) {
  for (const auto& proto : model.graph.output()) {
    const std::string prefix =
        absl::StrCat("output ", Quoted(proto.name()), ": ");
    if (!names.contains(proto.name())) {
      return Invalid(prefix + "no node makes it");
    }
    auto info = ReadValueInfo(proto, 0);
    if (!info.ok()) return Annotated(prefix, info.status());
    model.outputs.push_back(*std::move(info));
  }
  if (model.outputs.empty()) return Invalid("the graph has no outputs");
  return absl::OkStatus();
}

void ReadMetadata(const onnx::ModelProto& proto, OnnxMetadata& metadata) {
  metadata.producer = proto.producer_name();
  if (!proto.producer_version().empty()) {
    absl::StrAppend(&metadata.producer, " ", proto.producer_version());
  }
  metadata.graph_name = proto.graph().name();
  metadata.ir_version = proto.ir_version();
}

}  // namespace

absl::Status ReadModel(absl::string_view bytes, ParsedModel& model) {
  BASIN_ASSIGN_OR_RETURN(const int64_t estimate, EstimateParsedBytes(bytes));
  if (estimate > model.limits.max_parsed_bytes) {
    return Invalid(absl::StrCat("parsing the file may take ", estimate,
                                " bytes, the limit is ",
                                model.limits.max_parsed_bytes));
  }
  onnx::ModelProto proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Invalid("not an ONNX file: truncated or malformed protobuf");
  }
  BASIN_ASSIGN_OR_RETURN(model.metadata.opset, ReadOpset(proto.opset_import()));
  if (model.metadata.opset == 0) {
    return Invalid("no opset is stated: not an ONNX model");
  }
  BASIN_RETURN_IF_ERROR(CheckModel(proto));
  ReadMetadata(proto, model.metadata);
  model.graph.Swap(proto.mutable_graph());
  model.functions.Swap(proto.mutable_functions());
  model.constant_bytes_left = model.limits.max_constant_bytes;
  BASIN_ASSIGN_OR_RETURN(auto initializers,
                         ReadInitializers(model.graph, model));
  for (auto& [name, tensor] : initializers) {
    model.constants.emplace(name, std::move(tensor));
  }
  BASIN_RETURN_IF_ERROR(ReadInputs(model));
  NameSet names;
  for (const auto& [name, tensor] : model.constants) names.insert(name);
  for (const auto& input : model.inputs) names.insert(input.name);
  BASIN_RETURN_IF_ERROR(ReadNodes(model, names));
  return ReadOutputs(model, names);
}

}  // namespace basin::internal
