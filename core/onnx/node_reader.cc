#include "core/onnx/node_reader.h"

#include <algorithm>

#include "core/base/status_macros.h"
#include "core/onnx/function_reader.h"
#include "core/onnx/lowering.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

absl::Status Invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

// The names of one graph, as far as its nodes were read.
struct NameTable {
  NameTable* outer = nullptr;  // of the graph around a subgraph
  NameSet made;                // by nodes so far, inputs and initialisers
  NameSet made_later;          // by any node of the graph
  NameSet captured;            // taken from `outer`
};

bool IsMade(absl::string_view name, NameTable& names) {
  if (names.made.contains(name)) return true;
  if (names.outer == nullptr || !IsMade(name, *names.outer)) return false;
  names.captured.insert(name);
  return true;
}

bool IsMadeLater(absl::string_view name, const NameTable& names) {
  return names.made_later.contains(name) ||
         (names.outer != nullptr && IsMadeLater(name, *names.outer));
}

absl::Status CheckInputs(const onnx::NodeProto& node, NameTable& names) {
  for (const std::string& input : node.input()) {
    if (input.empty() || IsMade(input, names)) continue;
    if (IsMadeLater(input, names)) {
      return Invalid(absl::StrCat("input ", Quoted(input),
                                  " is made by this node or a later one: a "
                                  "cycle, or nodes out of order"));
    }
    return Invalid(absl::StrCat("input ", Quoted(input),
                                " is made by no node, input or initialiser"));
  }
  return absl::OkStatus();
}

absl::Status AddOutputs(const onnx::NodeProto& node, NameTable& names) {
  if (node.output_size() == 0) return Invalid("it has no output");
  for (const std::string& output : node.output()) {
    if (!output.empty() && !names.made.insert(output).second) {
      return Invalid(
          absl::StrCat("output ", Quoted(output), " is not a unique name"));
    }
  }
  return absl::OkStatus();
}

bool MayHaveSubgraphs(const onnx::NodeProto& node) {
  return IsDefaultDomain(node.domain()) &&
         (node.op_type() == "If" || node.op_type() == "Loop" ||
          node.op_type() == "Scan");
}

// Reads the nodes of graphs, subgraphs and functions. The depth of recursion
// is that of the protobuf message, which its parser limits.
class NodeReader {
 public:
  explicit NodeReader(ParsedModel& model) : model_(model) {}

  // `function` is null for the model's graph. Subgraphs of `node` read from
  // `names`; what they capture is added to `captures`.
  absl::Status Read(onnx::NodeProto& node, const ModelFunction* function,
                    NameTable& names, std::vector<std::string>& captures) {
    if (++node_count_ > model_.limits.max_nodes) {
      return Invalid(absl::StrCat("the file has more than ",
                                  model_.limits.max_nodes,
                                  " nodes, the limit"));
    }
    ++model_.metadata.operators[node.op_type()];
    BASIN_RETURN_IF_ERROR(CheckInputs(node, names));
    BASIN_RETURN_IF_ERROR(ReadAttributes(node, function, names, captures));
    return AddOutputs(node, names);
  }

  // All nodes of a list, below the model's own graph.
  absl::Status ReadInner(
      google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes,
      const ModelFunction* function, NameTable& names) {
    for (const auto& node : nodes) {
      names.made_later.insert(node.output().begin(), node.output().end());
    }
    const int64_t opset =
        function != nullptr ? function->opset : model_.metadata.opset;
    std::vector<std::string> captures;
    for (auto& node : nodes) {
      const absl::Status read = Read(node, function, names, captures);
      if (!read.ok()) return Annotated(NodePrefix(node, opset), read);
      if (IsConstant(node)) model_.inner_constants.push_back(&node);
    }
    return absl::OkStatus();
  }

 private:
  // Whether the node makes the same constant wherever it is lowered.
  bool IsConstant(const onnx::NodeProto& node) const {
    return node.op_type() == "Constant" && IsDefaultDomain(node.domain()) &&
           !model_.parts.functions.contains({node.domain(), "Constant"}) &&
           node.output_size() == 1 && !node.output(0).empty() &&
           std::all_of(node.attribute().begin(), node.attribute().end(),
                       [](const auto& a) { return a.ref_attr_name().empty(); });
  }

  absl::Status ReadAttributes(onnx::NodeProto& node,
                              const ModelFunction* function, NameTable& names,
                              std::vector<std::string>& captures) {
    NameSet seen;
    for (auto& attribute : *node.mutable_attribute()) {
      if (!seen.insert(attribute.name()).second) {
        return Invalid(absl::StrCat("attribute ", Quoted(attribute.name()),
                                    " occurs twice"));
      }
      if (!attribute.ref_attr_name().empty() && function == nullptr) {
        return Invalid(absl::StrCat("attribute ", Quoted(attribute.name()),
                                    " refers to one of a function, but the "
                                    "node is in none"));
      }
      if (!attribute.has_g() && attribute.graphs_size() == 0) continue;
      if (!MayHaveSubgraphs(node) || attribute.graphs_size() > 0) {
        return absl::UnimplementedError(
            "subgraphs are supported in If, Loop and Scan only, one in an "
            "attribute");
      }
      NameTable inner;
      inner.outer = &names;
      const absl::Status read =
          ReadSubgraph(*attribute.mutable_g(), function, inner);
      if (!read.ok()) {
        return Annotated(absl::StrCat(Quoted(attribute.name()), ": "), read);
      }
      for (const auto name : inner.captured) captures.emplace_back(name);
    }
    return absl::OkStatus();
  }

  absl::Status ReadSubgraph(onnx::GraphProto& graph,
                            const ModelFunction* function, NameTable& names) {
    if (graph.sparse_initializer_size() > 0) {
      return absl::UnimplementedError("sparse initialisers are not supported");
    }
    BASIN_ASSIGN_OR_RETURN(auto initializers, ReadInitializers(graph, model_));
    for (const auto& input : graph.input()) {
      if (input.name().empty() || !names.made.insert(input.name()).second) {
        return Invalid(absl::StrCat("input ", Quoted(input.name()),
                                    ": its name is empty or not unique"));
      }
    }
    const auto& kept =
        model_.parts.initializers.emplace(&graph, std::move(initializers))
            .first->second;
    for (const auto& [name, tensor] : kept) names.made.insert(name);
    BASIN_RETURN_IF_ERROR(ReadInner(*graph.mutable_node(), function, names));
    for (const auto& output : graph.output()) {
      if (IsMade(output.name(), names)) continue;
      return Invalid(absl::StrCat("output ", Quoted(output.name()),
                                  " is made by no node"));
    }
    return absl::OkStatus();
  }

  ParsedModel& model_;
  int64_t node_count_ = 0;
};

absl::Status ReadFunctionBody(onnx::FunctionProto& proto,
                              const ModelFunction& function,
                              NodeReader& reader) {
  NameTable names;
  for (const std::string& input : proto.input()) {
    if (input.empty() || !names.made.insert(input).second) {
      return Invalid(absl::StrCat("input ", Quoted(input),
                                  ": its name is empty or not unique"));
    }
  }
  BASIN_RETURN_IF_ERROR(
      reader.ReadInner(*proto.mutable_node(), &function, names));
  for (const std::string& output : proto.output()) {
    if (names.made.contains(output)) continue;
    return Invalid(
        absl::StrCat("output ", Quoted(output), " is made by no node"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Annotated(const std::string& prefix, const absl::Status& status) {
  return {status.code(), absl::StrCat(prefix, status.message())};
}

absl::StatusOr<std::vector<std::pair<std::string, Tensor>>> ReadInitializers(
    onnx::GraphProto& graph, ParsedModel& model) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  absl::flat_hash_set<std::string> names;
  for (onnx::TensorProto& proto : *graph.mutable_initializer()) {
    const std::string prefix =
        absl::StrCat("initialiser ", Quoted(proto.name()), ": ");
    if (proto.name().empty() || !names.insert(proto.name()).second) {
      return Invalid(prefix + "its name is empty or not unique");
    }
    auto tensor = ReadTensor(proto, model.external_folder,
                             model.constant_bytes_left, model.doubles);
    if (!tensor.ok()) return Annotated(prefix, tensor.status());
    if (IsReal(*tensor)) {
      model.metadata.parameter_count += tensor->num_elements();
    }
    tensors.emplace_back(proto.name(), *std::move(tensor));
    proto.Clear();
  }
  graph.clear_initializer();
  return tensors;
}

absl::Status ReadNodes(ParsedModel& model, NameSet& made) {
  NodeReader reader(model);
  BASIN_RETURN_IF_ERROR(ListFunctions(model));
  for (auto& proto : model.functions) {
    const auto& function =
        model.parts.functions.at({proto.domain(), proto.name()});
    const absl::Status read = ReadFunctionBody(proto, function, reader);
    if (!read.ok()) {
      return Annotated(absl::StrCat("function ", Quoted(proto.name()), ": "),
                       read);
    }
  }
  NameTable names;
  names.made.swap(made);
  for (const auto& node : model.graph.node()) {
    names.made_later.insert(node.output().begin(), node.output().end());
  }
  const int64_t opset = model.metadata.opset;
  for (auto& node : *model.graph.mutable_node()) {
    const auto lower = FindLowering(node, model.parts, opset);
    if (!lower.ok()) return Annotated(NodePrefix(node, opset), lower.status());
    PlannedNode planned{&node, *lower, {}};
    const absl::Status read =
        reader.Read(node, nullptr, names, planned.captures);
    if (!read.ok()) return Annotated(NodePrefix(node, opset), read);
    model.nodes.push_back(std::move(planned));
  }
  names.made.swap(made);
  return CheckCalls(model);
}

}  // namespace basin::internal
