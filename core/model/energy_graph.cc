#include "core/model/energy_graph.h"

#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "core/graph/graph_builder.h"

namespace basin::internal {
namespace {

// "[N, 1, 28, 28]": what is open is written as N.
std::string DimsToString(const std::vector<int64_t>& dims) {
  return absl::StrCat(
      "[",
      absl::StrJoin(dims, ", ",
                    [](std::string* out, int64_t dim) {
                      absl::StrAppend(out, dim < 0 ? "N" : absl::StrCat(dim));
                    }),
      "]");
}

std::string Names(const std::vector<OnnxModel::ValueInfo>& values) {
  return absl::StrCat(
      "'",
      absl::StrJoin(values, "', '",
                    [](std::string* out, const OnnxModel::ValueInfo& value) {
                      absl::StrAppend(out, value.name);
                    }),
      "'");
}

// Dimensions that the file leaves open agree with anything: the import
// checks them.
bool Agree(const std::vector<int64_t>& dims, const Shape& state) {
  if (static_cast<int>(dims.size()) != state.rank() + 1) return false;
  for (int axis = 0; axis < state.rank(); ++axis) {
    const int64_t dim = dims[static_cast<size_t>(axis) + 1];
    if (dim >= 0 && dim != state.dim(axis)) return false;
  }
  return true;
}

Shape WithRows(int64_t rows, const Shape& state) {
  std::vector<int64_t> dims = {rows};
  dims.insert(dims.end(), state.dims().begin(), state.dims().end());
  auto shape = Shape::Create(dims);
  return shape.ok() ? *std::move(shape) : Shape();
}

// The place of the output that the energy is made of.
absl::StatusOr<size_t> FindOutput(const OnnxGraph& onnx,
                                  const std::string& wanted) {
  if (onnx.graph.outputs().size() == 1) return 0;
  for (size_t i = 0; i < onnx.output_names.size(); ++i) {
    if (onnx.output_names[i] == wanted) return i;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("model.onnx: expected one output, or one named '", wanted,
                   "'; got '", absl::StrJoin(onnx.output_names, "', '"), "'"));
}

absl::Status ShapeError(const OnnxGraph& onnx, size_t output,
                        const std::string& expected, int rows) {
  return absl::InvalidArgumentError(
      absl::StrCat("model.onnx: output '", onnx.output_names[output],
                   "': expected ", expected, " with N = ", rows, ", got ",
                   onnx.graph.shape(onnx.graph.outputs()[output]).ToString()));
}

}  // namespace

absl::Status MatchInput(const OnnxModel& onnx, ModelSettings* settings) {
  ModelInfo& info = settings->info;
  if (onnx.inputs().size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.onnx: expected one input, got ",
                     onnx.inputs().size(), ": ", Names(onnx.inputs())));
  }
  const OnnxModel::ValueInfo& input = onnx.inputs().front();
  if (!info.input_name.empty() && info.input_name != input.name) {
    return absl::InvalidArgumentError(
        absl::StrCat("config.pbtxt: input.name is '", info.input_name,
                     "', but the input of model.onnx is '", input.name, "'"));
  }
  if (input.dtype != DType::kFloat32 && input.dtype != DType::kFloat64) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.onnx: input '", input.name,
                     "': expected a floating-point type, got ",
                     std::string(Name(input.dtype))));
  }
  if (!Agree(input.dims, info.state_shape)) {
    return absl::InvalidArgumentError(
        absl::StrCat("config.pbtxt: input.shape ", info.state_shape.ToString(),
                     ", but input '", input.name, "' of model.onnx has ",
                     DimsToString(input.dims)));
  }
  if (input.dims[0] >= 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.onnx: input '", input.name, "' has the fixed row count ",
        input.dims[0], ": export it with an open (dynamic) first axis"));
  }
  info.input_name = input.name;
  info.parameters = onnx.metadata().parameter_count;
  for (const auto& [name, count] : onnx.metadata().operators) {
    info.operators.push_back(absl::StrCat(name, " x", count));
  }
  return absl::OkStatus();
}

absl::StatusOr<Graph> EnergyGraph(const OnnxModel& onnx,
                                  const ModelSettings& settings, int rows) {
  BASIN_ASSIGN_OR_RETURN(OnnxGraph imported, onnx.Import(rows));
  const Graph& graph = imported.graph;
  const Shape wanted = WithRows(rows, settings.info.state_shape);
  if (graph.inputs().size() != 1 ||
      !(graph.shape(graph.inputs()[0]) == wanted)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "config.pbtxt: input.shape ", settings.info.state_shape.ToString(),
        ", but for ", rows, " rows model.onnx takes ",
        graph.shape(graph.inputs()[0]).ToString()));
  }
  const bool classifier = settings.family == ModelFamily::kClassifier;
  BASIN_ASSIGN_OR_RETURN(
      const size_t place,
      FindOutput(imported, classifier ? "logits" : "energy"));
  ValueId output = graph.outputs()[place];
  const Shape& shape = graph.shape(output);
  const bool has_rows = shape.rank() >= 1 && shape.dim(0) == rows;
  if (classifier && !(has_rows && shape.rank() == 2 && shape.dim(1) >= 1)) {
    return ShapeError(imported, place, "logits [N, K]", rows);
  }
  if (!classifier && !(has_rows && shape.num_elements() == rows)) {
    return ShapeError(imported, place, "energies [N] or [N, 1]", rows);
  }
  GraphBuilder builder(std::move(imported.graph));
  if (classifier) {
    output = builder.Unary(
        ScalarOp::kNeg,
        builder.LogSumExp(output, {1}, GraphBuilder::ReducedAxes::kDrop));
  }
  const ValueId energy = builder.Reshape(output, Shape({rows}));
  return std::move(builder).Build({energy});
}

int64_t ConstantBytes(const Graph& graph) {
  absl::flat_hash_set<const void*> seen;
  int64_t bytes = 0;
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (graph.node(id).op != Op::kConstant) continue;
    const Tensor& value = graph.attributes<ConstantAttrs>(id).value;
    if (seen.insert(value.id()).second) {
      bytes += static_cast<int64_t>(value.byte_size());
    }
  }
  return bytes;
}

}  // namespace basin::internal
