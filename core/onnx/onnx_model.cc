#include "core/onnx/onnx_model.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/onnx/model_reader.h"
#include "core/onnx/node_context.h"

namespace basin {
namespace internal {
namespace {

ImportState NewState(const ParsedModel& model, int64_t rows) {
  ImportState state{model.limits,
                    model.metadata.opset,
                    model.external_folder,
                    rows,
                    model.constant_bytes_left,
                    {},
                    {},
                    {}};
  for (const auto& [name, tensor] : model.constants) {
    state.values.emplace(name, tensor);
  }
  return state;
}

absl::Status CheckSizes(const ImportState& state, int first) {
  const Graph& graph = state.builder.graph();
  for (ValueId id = first; id < graph.size(); ++id) {
    if (graph.shape(id).num_elements() > state.limits.max_elements) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a value of shape ", graph.shape(id).ToString(),
          " is above the limit of ", state.limits.max_elements, " elements"));
    }
  }
  return absl::OkStatus();
}

// Lowers one node and gives its first output.
absl::StatusOr<Value> LowerNode(const PlannedNode& node, ImportState& state) {
  const int first = state.builder.graph().size();
  NodeContext context(*node.proto, state);
  auto result = node.lower(context);
  absl::Status status = context.Finish(result.status());
  if (status.ok()) status = CheckSizes(state, first);
  if (status.ok()) return result;
  return absl::Status(
      status.code(),
      absl::StrCat(NodePrefix(*node.proto, state.opset), status.message()));
}

bool AllInputsConstant(const onnx::NodeProto& node, const ParsedModel& model) {
  return std::all_of(node.input().begin(), node.input().end(),
                     [&](const std::string& name) {
                       return name.empty() || model.constants.contains(name);
                     });
}

// Drops constants that no remaining node and no output reads.
void DropUnusedConstants(ParsedModel& model) {
  absl::flat_hash_set<absl::string_view> used;
  for (const PlannedNode& node : model.nodes) {
    used.insert(node.proto->input().begin(), node.proto->input().end());
  }
  for (const auto& output : model.outputs) used.insert(output.name);
  absl::erase_if(model.constants, [&](const auto& entry) {
    return !used.contains(entry.first);
  });
}

// Computes what depends on constants only, once for all imports.
absl::Status FoldConstants(ParsedModel& model) {
  ImportState state = NewState(model, /*rows=*/0);
  std::vector<PlannedNode> remaining;
  for (const PlannedNode& node : model.nodes) {
    if (!AllInputsConstant(*node.proto, model)) {
      remaining.push_back(node);
      continue;
    }
    BASIN_ASSIGN_OR_RETURN(const Value value, LowerNode(node, state));
    const std::string& name = node.proto->output(0);
    if (value.is_constant()) {
      model.constants.emplace(name, value.constant());
      state.values[name] = value;
    } else {
      remaining.push_back(node);
    }
  }
  model.nodes = std::move(remaining);
  model.constant_bytes_left = state.constant_bytes_left;
  DropUnusedConstants(model);
  return absl::OkStatus();
}

absl::Status AddInputs(const ParsedModel& model, ImportState& state) {
  const int64_t rows = state.rows;
  const OnnxModel::ValueInfo& first = model.inputs[0];
  if (!first.dims.empty() && first.dims[0] != -1 && first.dims[0] != rows) {
    return absl::InvalidArgumentError(absl::StrCat(
        "input ", Quoted(first.name), " is fixed to ", first.dims[0],
        " rows, expected ", rows, ": export it with a dynamic dimension 0"));
  }
  for (const OnnxModel::ValueInfo& input : model.inputs) {
    std::vector<int64_t> dims = input.dims;
    if (!dims.empty() && dims[0] == -1) dims[0] = rows;
    BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
    state.values[input.name] = state.builder.Input(input.name, shape);
  }
  BASIN_RETURN_IF_ERROR(state.builder.status());
  return CheckSizes(state, 0);
}

absl::StatusOr<OnnxGraph> BuildGraph(const ParsedModel& model,
                                     ImportState& state) {
  OnnxGraph result;
  std::vector<ValueId> outputs;
  for (const OnnxModel::ValueInfo& output : model.outputs) {
    const auto id = ToGraph(state.values[output.name], state);
    if (!id.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "output ", Quoted(output.name), ": ", id.status().message()));
    }
    outputs.push_back(*id);
    result.output_names.push_back(output.name);
  }
  for (const auto& input : model.inputs) {
    result.input_names.push_back(input.name);
  }
  BASIN_ASSIGN_OR_RETURN(result.graph,
                         std::move(state.builder).Build(std::move(outputs)));
  return result;
}

absl::StatusOr<OnnxGraph> ImportModel(const ParsedModel& model, int64_t rows) {
  if (rows < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows is ", rows, ", expected at least 1"));
  }
  ImportState state = NewState(model, rows);
  BASIN_RETURN_IF_ERROR(AddInputs(model, state));
  for (const PlannedNode& node : model.nodes) {
    BASIN_ASSIGN_OR_RETURN(Value value, LowerNode(node, state));
    const std::string& name = node.proto->output(0);
    if (!name.empty()) state.values[name] = std::move(value);
  }
  return BuildGraph(model, state);
}

absl::StatusOr<std::string> ReadFile(const std::string& path,
                                     int64_t max_bytes) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat("there is no file '", path, "'"));
  }
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > static_cast<uint64_t>(max_bytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("file '", path, "' has ", error ? 0 : size,
                     " bytes, the limit is ", max_bytes));
  }
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) {
    return absl::InvalidArgumentError(
        absl::StrCat("file '", path, "' cannot be read"));
  }
  return bytes;
}

}  // namespace
}  // namespace internal

struct OnnxModel::Impl {
  internal::ParsedModel model;
};

OnnxModel::OnnxModel(std::unique_ptr<const Impl> impl)
    : impl_(std::move(impl)) {}

OnnxModel::~OnnxModel() = default;

absl::StatusOr<std::shared_ptr<const OnnxModel>> OnnxModel::Load(
    const std::string& path, const OnnxLimits& limits) {
  BASIN_ASSIGN_OR_RETURN(const std::string bytes,
                         internal::ReadFile(path, limits.max_file_bytes));
  const auto folder = std::filesystem::path(path).parent_path();
  return Parse(bytes, folder.empty() ? "." : folder.string(), limits);
}

absl::StatusOr<std::shared_ptr<const OnnxModel>> OnnxModel::Parse(
    absl::string_view bytes, const std::string& external_folder,
    const OnnxLimits& limits) {
  if (bytes.size() > static_cast<uint64_t>(limits.max_file_bytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the model has ", bytes.size(), " bytes, the limit is ",
                     limits.max_file_bytes));
  }
  auto impl = std::make_unique<Impl>();
  impl->model.limits = limits;
  impl->model.external_folder = external_folder;
  BASIN_RETURN_IF_ERROR(internal::ReadModel(bytes, impl->model));
  BASIN_RETURN_IF_ERROR(internal::FoldConstants(impl->model));
  return std::shared_ptr<const OnnxModel>(new OnnxModel(std::move(impl)));
}

const std::vector<OnnxModel::ValueInfo>& OnnxModel::inputs() const {
  return impl_->model.inputs;
}

const std::vector<OnnxModel::ValueInfo>& OnnxModel::outputs() const {
  return impl_->model.outputs;
}

const OnnxMetadata& OnnxModel::metadata() const {
  return impl_->model.metadata;
}

absl::StatusOr<OnnxGraph> OnnxModel::Import(int64_t rows) const {
  return internal::ImportModel(impl_->model, rows);
}

}  // namespace basin
