#include "core/onnx/model_reader.h"

#include <utility>

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/proto_scan.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

constexpr int64_t kMinOpset = 11;
constexpr int64_t kMaxOpset = 20;

using NameSet = absl::flat_hash_set<absl::string_view>;

absl::Status Invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

absl::Status Annotated(const std::string& prefix, const absl::Status& status) {
  return {status.code(), absl::StrCat(prefix, status.message())};
}

bool IsDefaultDomain(const std::string& domain) {
  return domain.empty() || domain == "ai.onnx";
}

absl::StatusOr<int64_t> ReadOpset(const onnx::ModelProto& proto) {
  absl::optional<int64_t> opset;
  for (const auto& import : proto.opset_import()) {
    if (!IsDefaultDomain(import.domain())) continue;
    if (opset.has_value()) return Invalid("the opset is stated twice");
    opset = import.version();
  }
  if (!opset.has_value()) {
    return Invalid("no opset is stated: not an ONNX model");
  }
  if (*opset < kMinOpset || *opset > kMaxOpset) {
    return absl::UnimplementedError(
        absl::StrCat("opset ", *opset, " is not supported; opsets ", kMinOpset,
                     " to ", kMaxOpset, " are: export with one of these"));
  }
  return *opset;
}

absl::Status CheckModel(const onnx::ModelProto& proto,
                        const OnnxLimits& limits) {
  const onnx::GraphProto& graph = proto.graph();
  if (!proto.has_graph()) return Invalid("the file holds no graph");
  if (graph.node_size() > limits.max_nodes) {
    return Invalid(absl::StrCat("the file has ", graph.node_size(),
                                " nodes, the limit is ", limits.max_nodes));
  }
  if (proto.functions_size() > 0) {
    return absl::UnimplementedError("model functions are not supported");
  }
  if (graph.sparse_initializer_size() > 0) {
    return absl::UnimplementedError("sparse initialisers are not supported");
  }
  return absl::OkStatus();
}

absl::Status ReadInitializers(ParsedModel& model) {
  for (onnx::TensorProto& proto : *model.graph.mutable_initializer()) {
    const std::string prefix =
        absl::StrCat("initialiser ", Quoted(proto.name()), ": ");
    if (proto.name().empty() || model.constants.contains(proto.name())) {
      return Invalid(prefix + "its name is empty or not unique");
    }
    auto tensor =
        ReadTensor(proto, model.external_folder, model.constant_bytes_left);
    if (!tensor.ok()) return Annotated(prefix, tensor.status());
    if (tensor->dtype() == DType::kFloat32) {
      model.metadata.parameter_count += tensor->num_elements();
    }
    model.constants.emplace(proto.name(), *std::move(tensor));
    proto.Clear();  // large weights are not kept twice
  }
  model.graph.clear_initializer();
  return absl::OkStatus();
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
  BASIN_ASSIGN_OR_RETURN(info.dtype, ImportedDType(type.elem_type()));
  if (info.dtype != DType::kFloat32) {
    return absl::UnimplementedError(absl::StrCat(
        "element type ", OnnxTypeName(type.elem_type()), ", expected FLOAT"));
  }
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

absl::Status CheckAttributes(const onnx::NodeProto& node) {
  NameSet names;
  for (const auto& attribute : node.attribute()) {
    if (!names.insert(attribute.name()).second) {
      return Invalid(absl::StrCat("attribute ", Quoted(attribute.name()),
                                  " occurs twice"));
    }
    if (attribute.has_g() || attribute.graphs_size() > 0) {
      return absl::UnimplementedError("subgraphs are not supported");
    }
  }
  return absl::OkStatus();
}

// The names that nodes make or use, as far as they were read.
struct NameTable {
  NameSet made;        // by the nodes so far, inputs and initialisers
  NameSet made_later;  // by any node of the file
};

absl::Status CheckNames(const onnx::NodeProto& node, NameTable& names) {
  for (const std::string& input : node.input()) {
    if (input.empty() || names.made.contains(input)) continue;
    if (names.made_later.contains(input)) {
      return Invalid(absl::StrCat("input ", Quoted(input),
                                  " is made by this node or a later one: a "
                                  "cycle, or nodes out of order"));
    }
    return Invalid(absl::StrCat("input ", Quoted(input),
                                " is made by no node, input or initialiser"));
  }
  if (node.output_size() == 0) return Invalid("it has no output");
  for (const std::string& output : node.output()) {
    if (!output.empty() && !names.made.insert(output).second) {
      return Invalid(
          absl::StrCat("output ", Quoted(output), " is not a unique name"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LowerFunction> PlanNode(const onnx::NodeProto& node,
                                       int64_t opset, NameTable& names) {
  if (!IsDefaultDomain(node.domain())) {
    return absl::UnimplementedError(
        absl::StrCat("operator domain ", Quoted(node.domain()),
                     " is not supported; the default domain is"));
  }
  BASIN_ASSIGN_OR_RETURN(const LowerFunction lower,
                         FindOperator(node.op_type(), opset));
  BASIN_RETURN_IF_ERROR(CheckAttributes(node));
  BASIN_RETURN_IF_ERROR(CheckNames(node, names));
  return lower;
}

absl::Status ReadNodes(ParsedModel& model, NameTable& names) {
  for (const auto& node : model.graph.node()) {
    names.made_later.insert(node.output().begin(), node.output().end());
  }
  for (const auto& node : model.graph.node()) {
    const auto lower = PlanNode(node, model.metadata.opset, names);
    if (!lower.ok()) {
      return Annotated(NodePrefix(node, model.metadata.opset), lower.status());
    }
    ++model.metadata.operators[node.op_type()];
    model.nodes.push_back({&node, *lower});
  }
  return absl::OkStatus();
}

absl::Status ReadOutputs(ParsedModel& model, const NameTable& names) {
  for (const auto& proto : model.graph.output()) {
    const std::string prefix =
        absl::StrCat("output ", Quoted(proto.name()), ": ");
    if (!names.made.contains(proto.name())) {
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
  BASIN_ASSIGN_OR_RETURN(model.metadata.opset, ReadOpset(proto));
  BASIN_RETURN_IF_ERROR(CheckModel(proto, model.limits));
  ReadMetadata(proto, model.metadata);
  model.graph.Swap(proto.mutable_graph());
  model.constant_bytes_left = model.limits.max_constant_bytes;
  BASIN_RETURN_IF_ERROR(ReadInitializers(model));
  BASIN_RETURN_IF_ERROR(ReadInputs(model));
  NameTable names;
  for (const auto& [name, tensor] : model.constants) names.made.insert(name);
  for (const auto& input : model.inputs) names.made.insert(input.name);
  BASIN_RETURN_IF_ERROR(ReadNodes(model, names));
  return ReadOutputs(model, names);
}

}  // namespace basin::internal
