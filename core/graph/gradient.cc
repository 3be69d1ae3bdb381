#include "core/graph/gradient.h"

#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/graph/gradient_rules.h"
#include "core/graph/graph_builder.h"

namespace basin {
namespace {

using internal::GradientTask;
using internal::HasGradient;

absl::Status CheckArguments(const Graph& graph, ValueId energy, ValueId x) {
  for (const ValueId id : {energy, x}) {
    if (id < 0 || id >= graph.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("gradient: there is no value %", id));
    }
  }
  if (graph.node(x).dtype != DType::kFloat32 ||
      graph.node(energy).dtype != DType::kFloat32) {
    return absl::InvalidArgumentError("gradient: expected float32 values");
  }
  const Shape& rows = graph.shape(energy);
  const Shape& shape = graph.shape(x);
  if (rows.rank() != 1 || shape.rank() < 1 || rows.dim(0) != shape.dim(0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("gradient: expected energy [N] and x [N, ...], got ",
                     rows.ToString(), " and ", shape.ToString()));
  }
  return absl::OkStatus();
}

// For each value up to `energy`: does a change of `x` reach it?
std::vector<bool> DependsOn(const Graph& graph, ValueId energy, ValueId x) {
  std::vector<bool> depends(static_cast<size_t>(energy) + 1, false);
  if (x <= energy) depends[x] = true;
  for (ValueId id = x + 1; id <= energy; ++id) {
    const Node& node = graph.node(id);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (depends[node.inputs[i]] && HasGradient(node, static_cast<int>(i))) {
        depends[id] = true;
      }
    }
  }
  return depends;
}

}  // namespace

absl::StatusOr<Graph> Gradient(const Graph& graph, ValueId energy, ValueId x) {
  BASIN_RETURN_IF_ERROR(CheckArguments(graph, energy, x));
  const std::vector<bool> depends = DependsOn(graph, energy, x);
  GraphBuilder builder(graph);
  std::vector<ValueId> gradients(depends.size(), GraphBuilder::kNoValue);
  if (depends[energy]) {
    gradients[energy] =
        builder.BroadcastTo(builder.Constant(1.0f), graph.shape(energy));
  }
  for (ValueId id = energy; id > x; --id) {
    if (gradients[id] == GraphBuilder::kNoValue) continue;
    const Node& node = graph.node(id);
    const GradientTask task = {builder, node, id, gradients[id]};
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (!depends[input] || !HasGradient(node, static_cast<int>(i))) continue;
      const ValueId part = InputGradient(task, static_cast<int>(i));
      BASIN_RETURN_IF_ERROR(builder.status());
      ValueId& sum = gradients[input];
      sum = sum == GraphBuilder::kNoValue ? part : builder.Add(sum, part);
    }
  }
  ValueId result = x <= energy ? gradients[x] : GraphBuilder::kNoValue;
  if (result == GraphBuilder::kNoValue) {
    result = builder.BroadcastTo(builder.Constant(0.0f), graph.shape(x));
  }
  return std::move(builder).Build({energy, result});
}

}  // namespace basin
