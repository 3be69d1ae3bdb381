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
#include "core/onnx/lowering.h"
#include "core/onnx/model_reader.h"
#include "core/onnx/node_context.h"

namespace basin {
namespace internal {
namespace {

ImportState NewState(const ParsedModel& model, int64_t rows) {
  auto call = std::make_shared<Call>();
  call->opset = model.metadata.opset;
  Scope scope{std::move(call), {}};
  for (const auto& [name, tensor] : model.constants) {
    scope.values.emplace(name, tensor);
  }
  ImportState state{model.limits,
                    model.parts,
                    model.external_folder,
                    rows,
                    model.doubles,
                    model.constant_bytes_left,
                    model.limits.max_unrolled_nodes,
                    {},
                    {},
                    {},
                    {}};
  state.scopes.push_back(std::move(scope));
  return state;
}

bool AllInputsConstant(const PlannedNode& node, const ParsedModel& model) {
  const auto is_constant = [&](absl::string_view name) {
    return name.empty() || model.constants.contains(name);
  };
  const auto& inputs = node.proto->input();
  return std::all_of(inputs.begin(), inputs.end(), is_constant) &&
         std::all_of(node.captures.begin(), node.captures.end(), is_constant);
}

// Drops constants that no remaining node and no output reads.
void DropUnusedConstants(ParsedModel& model) {
  absl::flat_hash_set<absl::string_view> used;
  for (const PlannedNode& node : model.nodes) {
    used.insert(node.proto->input().begin(), node.proto->input().end());
    used.insert(node.captures.begin(), node.captures.end());
  }
  for (const auto& output : model.outputs) used.insert(output.name);
  absl::erase_if(model.constants, [&](const auto& entry) {
    return !used.contains(entry.first);
  });
}

// Computes the Constant nodes of subgraphs and functions.
absl::Status FoldInnerConstants(
    const std::vector<const onnx::NodeProto*>& nodes, ImportState& state,
    ModelParts& parts) {
  for (const onnx::NodeProto* node : nodes) {
    BASIN_ASSIGN_OR_RETURN(const LowerFunction lower,
                           FindOperator(node->op_type(), state.opset()));
    BASIN_RETURN_IF_ERROR(LowerNode(*node, lower, state));
    auto& values = state.scopes.back().values;
    parts.constants.emplace(node, values[node->output(0)].constant());
    values.erase(node->output(0));
  }
  return absl::OkStatus();
}

// Computes what depends on constants only, once for all imports.
absl::Status FoldConstants(ParsedModel& model) {
  ImportState inner = NewState(model, /*rows=*/0);
  inner.scopes.back().values.clear();
  BASIN_RETURN_IF_ERROR(
      FoldInnerConstants(model.inner_constants, inner, model.parts));
  model.constant_bytes_left = inner.constant_bytes_left;
  ImportState state = NewState(model, /*rows=*/0);
  std::vector<PlannedNode> remaining;
  for (const PlannedNode& node : model.nodes) {
    if (!AllInputsConstant(node, model)) {
      remaining.push_back(node);
      continue;
    }
    BASIN_RETURN_IF_ERROR(LowerNode(*node.proto, node.lower, state));
    const auto is_known = [&](const std::string& name) {
      const Value* value = state.Find(name);
      return value == nullptr || !value->exists() || value->is_constant();
    };
    const auto& names = node.proto->output();
    if (!std::all_of(names.begin(), names.end(), is_known)) {
      remaining.push_back(node);
      continue;
    }
    for (const std::string& name : names) {
      const Value* value = state.Find(name);
      if (value == nullptr || !value->exists()) continue;
      model.constants.emplace(name, value->constant());
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
    const bool is_float = input.dtype == DType::kFloat32;
    state.scopes.back().values[input.name] =
        Value(state.builder.Input(input.name, shape),
              is_float ? DType::kFloat32 : DType::kInt64);
  }
  BASIN_RETURN_IF_ERROR(state.builder.status());
  return CheckSizes(state, 0);
}

absl::StatusOr<OnnxGraph> BuildGraph(const ParsedModel& model,
                                     ImportState& state) {
  OnnxGraph result;
  std::vector<ValueId> outputs;
  for (const OnnxModel::ValueInfo& output : model.outputs) {
    const auto id = ToGraph(state.scopes.back().values[output.name], state);
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
  for (const ValueId id : state.builder.graph().inputs()) {
    const auto limit = state.index_limits.find(id);
    result.index_limits.push_back(
        limit == state.index_limits.end() ? 0 : limit->second);
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
    BASIN_RETURN_IF_ERROR(LowerNode(*node.proto, node.lower, state));
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
    const std::string& path, const OnnxLimits& limits, OnnxDoubles doubles) {
  BASIN_ASSIGN_OR_RETURN(const std::string bytes,
                         internal::ReadFile(path, limits.max_file_bytes));
  const auto folder = std::filesystem::path(path).parent_path();
  return Parse(bytes, folder.empty() ? "." : folder.string(), limits, doubles);
}

absl::StatusOr<std::shared_ptr<const OnnxModel>> OnnxModel::Parse(
    absl::string_view bytes, const std::string& external_folder,
    const OnnxLimits& limits, OnnxDoubles doubles) {
  if (bytes.size() > static_cast<uint64_t>(limits.max_file_bytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the model has ", bytes.size(), " bytes, the limit is ",
                     limits.max_file_bytes));
  }
  auto impl = std::make_unique<Impl>();
  impl->model.limits = limits;
  impl->model.external_folder = external_folder;
  impl->model.doubles = doubles;
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
