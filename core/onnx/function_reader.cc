#include "core/onnx/function_reader.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr int64_t kMinOpset = 7;
constexpr int64_t kMaxOpset = 23;

absl::Status Invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

// FunctionProto.attribute_proto, of ONNX 1.13: newer than the message that
// Basin is built with, so the parser keeps it as bytes.
constexpr int kAttributeProtoField = 11;

absl::StatusOr<std::vector<onnx::AttributeProto>> ReadDefaults(
    const onnx::FunctionProto& function) {
  std::vector<onnx::AttributeProto> defaults;
  const std::string& bytes = function.unknown_fields();
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  while (const uint32_t tag = in.ReadTag()) {
    if (WireFormatLite::GetTagFieldNumber(tag) != kAttributeProtoField) {
      if (!WireFormatLite::SkipField(&in, tag)) break;
      continue;
    }
    std::string text;
    uint32_t length;
    if (!in.ReadVarint32(&length) ||
        length > static_cast<uint32_t>(std::numeric_limits<int>::max()) ||
        !in.ReadString(&text, static_cast<int>(length)) ||
        !defaults.emplace_back().ParseFromString(text)) {
      return Invalid("a default attribute is malformed");
    }
    if (defaults.back().has_g() || defaults.back().graphs_size() > 0) {
      return absl::UnimplementedError(
          "functions with subgraphs as attributes are not supported");
    }
  }
  return defaults;
}

// How many nodes each function unrolls to, at least: no loop runs, and of two
// branches the shorter one is taken. Numbers saturate above the limit.
class CallSizes {
 public:
  explicit CallSizes(const ParsedModel& model)
      : model_(model), most_(model.limits.max_unrolled_nodes + 1) {}

  // Of what is lowered inside of the node.
  absl::StatusOr<int64_t> Inside(const onnx::NodeProto& node) {
    const auto& functions = model_.parts.functions;
    const auto called = functions.find({node.domain(), node.op_type()});
    if (called != functions.end()) return Of(*called->second.proto);
    int64_t least = node.op_type() == "If" ? most_ : 0;
    for (const auto& attribute : node.attribute()) {
      if (!attribute.has_g()) continue;
      BASIN_ASSIGN_OR_RETURN(const int64_t size, Sum(attribute.g().node()));
      least = std::min(least, size);
    }
    return least;
  }

 private:
  template <typename Nodes>
  absl::StatusOr<int64_t> Sum(const Nodes& nodes) {
    int64_t sum = 0;
    for (const onnx::NodeProto& node : nodes) {
      BASIN_ASSIGN_OR_RETURN(const int64_t size, Inside(node));
      sum = std::min(sum + 1 + size, most_);
    }
    return sum;
  }

  absl::StatusOr<int64_t> Of(const onnx::FunctionProto& function) {
    const auto [entry, is_new] = sizes_.try_emplace(&function, kInProgress);
    if (!is_new && entry->second != kInProgress) return entry->second;
    if (!is_new) {
      return Invalid(absl::StrCat("function ", Quoted(function.name()),
                                  " calls itself; recursion is not supported"));
    }
    if (++depth_ > model_.limits.max_depth) {
      return Invalid(absl::StrCat("functions call each other more than ",
                                  model_.limits.max_depth, " deep"));
    }
    BASIN_ASSIGN_OR_RETURN(const int64_t size, Sum(function.node()));
    --depth_;
    sizes_[&function] = size;
    return size;
  }

  static constexpr int64_t kInProgress = -1;

  const ParsedModel& model_;
  const int64_t most_;
  int64_t depth_ = 0;
  absl::flat_hash_map<const onnx::FunctionProto*, int64_t> sizes_;
};

}  // namespace

absl::StatusOr<int64_t> ReadOpset(
    const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>&
        imports) {
  int64_t opset = 0;
  bool is_stated = false;
  for (const auto& import : imports) {
    if (!IsDefaultDomain(import.domain())) continue;
    if (is_stated) return Invalid("the opset is stated twice");
    is_stated = true;
    opset = import.version();
  }
  if (is_stated && (opset < kMinOpset || opset > kMaxOpset)) {
    return absl::UnimplementedError(
        absl::StrCat("opset ", opset, " is not supported; opsets ", kMinOpset,
                     " to ", kMaxOpset, " are: export with one of these"));
  }
  return opset;
}

absl::Status ListFunctions(ParsedModel& model) {
  for (const auto& proto : model.functions) {
    const std::string prefix =
        absl::StrCat("function ", Quoted(proto.name()), ": ");
    ModelFunction function;
    function.proto = &proto;
    const auto opset = ReadOpset(proto.opset_import());
    if (!opset.ok()) {
      return absl::Status(opset.status().code(),
                          prefix + std::string(opset.status().message()));
    }
    function.opset = *opset != 0 ? *opset : model.metadata.opset;
    auto defaults = ReadDefaults(proto);
    if (!defaults.ok()) {
      return absl::Status(defaults.status().code(),
                          prefix + std::string(defaults.status().message()));
    }
    function.defaults = *std::move(defaults);
    function.attributes.insert(proto.attribute().begin(),
                               proto.attribute().end());
    for (const auto& attribute : function.defaults) {
      function.attributes.insert(attribute.name());
    }
    if (proto.name().empty() ||
        !model.parts.functions
             .try_emplace({proto.domain(), proto.name()}, std::move(function))
             .second) {
      return Invalid(prefix + "its name is empty or not unique");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCalls(const ParsedModel& model) {
  CallSizes sizes(model);
  for (const auto& function : model.functions) {
    onnx::NodeProto call;
    call.set_domain(function.domain());
    call.set_op_type(function.name());
    BASIN_RETURN_IF_ERROR(sizes.Inside(call).status());
  }
  int64_t sum = 0;
  for (const PlannedNode& node : model.nodes) {
    BASIN_ASSIGN_OR_RETURN(const int64_t size, sizes.Inside(*node.proto));
    sum += size;
    if (sum <= model.limits.max_unrolled_nodes) continue;
    return Invalid(absl::StrCat(
        NodePrefix(*node.proto, model.metadata.opset), "unrolls to more than ",
        model.limits.max_unrolled_nodes, " nodes, the limit"));
  }
  return absl::OkStatus();
}

}  // namespace basin::internal
