#include "core/onnx/lowering.h"

#include <memory>
#include <string>
#include <utility>

#include "core/base/status_macros.h"
#include "core/onnx/function_reader.h"

namespace basin::internal {
namespace {

constexpr int64_t kNamesPerNode = 16;

// What counts as one node; one with very many names counts as several.
int64_t CostOf(const onnx::NodeProto& node) {
  return 1 + (node.input_size() + node.output_size() + node.attribute_size()) /
                 kNamesPerNode;
}

// Lowers the nodes of a scope that was just entered.
template <typename Nodes>
absl::Status LowerNodes(const Nodes& nodes, ImportState& state) {
  for (const onnx::NodeProto& node : nodes) {
    BASIN_RETURN_IF_ERROR(TakeNodes(CostOf(node), state));
    const auto lower = FindLowering(node, state.parts, state.opset());
    if (!lower.ok()) {
      return absl::Status(lower.status().code(),
                          absl::StrCat(NodePrefix(node, state.opset()),
                                       lower.status().message()));
    }
    BASIN_RETURN_IF_ERROR(LowerNode(node, *lower, state));
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> OutputOf(const std::string& name,
                               const ImportState& state) {
  const Value* value = state.Find(name);
  if (value != nullptr && value->exists()) return *value;
  return absl::InvalidArgumentError(
      absl::StrCat("output ", Quoted(name),
                   " is made by no node that Basin "
                   "computes"));
}

// Enters a scope; leaves it when it goes.
class ScopeGuard {
 public:
  ScopeGuard(std::shared_ptr<const Call> call, ImportState& state)
      : state_(state) {
    state.scopes.push_back({std::move(call), {}});
  }
  ~ScopeGuard() { state_.scopes.pop_back(); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  ImportState& state_;
};

absl::Status CheckDepth(const ImportState& state) {
  const auto depth = static_cast<int64_t>(state.scopes.size());
  if (depth <= state.limits.max_depth) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("subgraphs and functions are nested more than ",
                   state.limits.max_depth, " deep"));
}

// The attributes that the body of `function` sees: those of the call, and the
// defaults of others.
absl::StatusOr<std::shared_ptr<const Call>> NewCall(
    const ModelFunction& function, NodeContext& n) {
  auto call = std::make_shared<Call>();
  call->function = function.proto;
  call->opset = function.opset;
  BASIN_RETURN_IF_ERROR(TakeNodes(
      static_cast<int64_t>(function.attributes.size()) / kNamesPerNode,
      n.state()));
  for (const auto& attribute : function.defaults) {
    call->attributes[attribute.name()] = &attribute;
  }
  for (const auto& attribute : n.node().attribute()) {
    const onnx::AttributeProto* given = n.Resolved(attribute);
    if (given == nullptr) continue;
    if (given->type() == onnx::AttributeProto::GRAPH) {
      return absl::UnimplementedError(
          "functions with subgraphs as attributes are not supported");
    }
    if (!function.attributes.contains(attribute.name())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the function has no attribute ", Quoted(attribute.name())));
    }
    call->attributes[attribute.name()] = given;
  }
  return std::shared_ptr<const Call>(std::move(call));
}

// Unrolls the call of a function that the file defines.
absl::StatusOr<Value> LowerCall(NodeContext& n) {
  ImportState& state = n.state();
  const ModelFunction& function =
      state.parts.functions.at({n.node().domain(), n.node().op_type()});
  const onnx::FunctionProto& proto = *function.proto;
  BASIN_RETURN_IF_ERROR(CheckDepth(state));
  BASIN_RETURN_IF_ERROR(n.CheckInputs(0, proto.input_size()));
  if (n.node().output_size() > proto.output_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", n.node().output_size(),
                     " outputs, the function has ", proto.output_size()));
  }
  BASIN_ASSIGN_OR_RETURN(const auto call, NewCall(function, n));
  absl::flat_hash_map<std::string, Value> arguments;
  for (int i = 0; i < n.num_inputs(); ++i) {
    if (!n.HasInput(i)) continue;
    BASIN_ASSIGN_OR_RETURN(arguments[proto.input(i)], n.Input(i));
  }
  for (const auto& attribute : n.node().attribute()) {
    n.Ignore(attribute.name());
  }
  const ScopeGuard guard(call, state);
  state.scopes.back().values = std::move(arguments);
  BASIN_RETURN_IF_ERROR(LowerNodes(proto.node(), state));
  for (int i = 1; i < n.num_outputs(); ++i) {
    if (!n.HasOutput(i)) continue;
    BASIN_ASSIGN_OR_RETURN(Value value, OutputOf(proto.output(i), state));
    n.SetOutput(i, std::move(value));
  }
  return n.HasOutput(0) ? OutputOf(proto.output(0), state) : Value();
}

}  // namespace

absl::StatusOr<LowerFunction> FindLowering(const onnx::NodeProto& node,
                                           const ModelParts& parts,
                                           int64_t opset) {
  if (parts.functions.contains({node.domain(), node.op_type()})) {
    return LowerCall;
  }
  if (IsDefaultDomain(node.domain())) {
    return FindOperator(node.op_type(), opset);
  }
  if (node.domain() == "com.microsoft") {
    return absl::UnimplementedError(
        "operator domain 'com.microsoft' is not supported: export without "
        "ONNX Runtime's own operators and fusions");
  }
  return absl::UnimplementedError(absl::StrCat(
      "operator domain ", Quoted(node.domain()),
      " is not supported, and the file defines no such function; the default "
      "domain and functions in the file are"));
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

absl::Status TakeNodes(int64_t nodes, ImportState& state) {
  if (nodes <= state.nodes_left) {
    state.nodes_left -= nodes;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unrolls to more than ", state.limits.max_unrolled_nodes,
                   " nodes, the limit"));
}

absl::Status LowerNode(const onnx::NodeProto& node, LowerFunction lower,
                       ImportState& state) {
  const int first = state.builder.graph().size();
  const auto folded = state.parts.constants.find(&node);
  if (folded != state.parts.constants.end()) {
    state.scopes.back().values[node.output(0)] = folded->second;
    return absl::OkStatus();
  }
  NodeContext context(node, state);
  auto result = lower(context);
  absl::Status status = context.Finish(result.status());
  if (status.ok()) status = CheckSizes(state, first);
  if (!status.ok()) {
    return absl::Status(
        status.code(),
        absl::StrCat(NodePrefix(node, state.opset()), status.message()));
  }
  auto& values = state.scopes.back().values;
  for (int i = 0; i < node.output_size(); ++i) {
    if (!context.HasOutput(i)) continue;
    const auto other = context.other_outputs().find(i);
    if (i == 0) {
      values[node.output(0)] = *std::move(result);
    } else if (other != context.other_outputs().end()) {
      values[node.output(i)] = other->second;
    } else {  // hides an outer value, and says that it is not computed
      values[node.output(i)] = Value();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Value>> LowerSubgraph(const onnx::GraphProto& graph,
                                                 absl::Span<const Value> inputs,
                                                 ImportState& state) {
  BASIN_RETURN_IF_ERROR(CheckDepth(state));
  if (static_cast<size_t>(graph.input_size()) != inputs.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the subgraph has ", graph.input_size(),
                     " inputs, expected ", inputs.size()));
  }
  const ScopeGuard guard(state.scopes.back().call, state);
  auto& values = state.scopes.back().values;
  const auto initializers = state.parts.initializers.find(&graph);
  const bool has_initializers = initializers != state.parts.initializers.end();
  const int64_t names =
      graph.input_size() + graph.output_size() +
      (has_initializers ? static_cast<int64_t>(initializers->second.size())
                        : 0);
  BASIN_RETURN_IF_ERROR(TakeNodes(names / kNamesPerNode, state));
  if (has_initializers) {
    for (const auto& [name, tensor] : initializers->second) {
      values[name] = tensor;
    }
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    values[graph.input(static_cast<int>(i)).name()] = inputs[i];
  }
  BASIN_RETURN_IF_ERROR(LowerNodes(graph.node(), state));
  std::vector<Value> outputs;
  for (const auto& output : graph.output()) {
    BASIN_ASSIGN_OR_RETURN(outputs.emplace_back(),
                           OutputOf(output.name(), state));
  }
  return outputs;
}

}  // namespace basin::internal
