#include "core/onnx/node_context.h"

#include <algorithm>

#include <absl/status/status.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"

namespace basin::internal {

using onnx::AttributeProto;

const Value* ImportState::Find(const std::string& name) const {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    if (scope->call != scopes.back().call) break;
    const auto value = scope->values.find(name);
    if (value != scope->values.end()) return &value->second;
  }
  return nullptr;
}

NodeContext::NodeContext(const onnx::NodeProto& node, ImportState& state)
    : node_(node), state_(state) {}

absl::Status NodeContext::Finish(const absl::Status& lowered) const {
  BASIN_RETURN_IF_ERROR(status_);
  BASIN_RETURN_IF_ERROR(state_.builder.status());
  BASIN_RETURN_IF_ERROR(lowered);
  for (const AttributeProto& attribute : node_.attribute()) {
    if (read_.count(attribute.name()) == 0 && Resolved(attribute) != nullptr) {
      return absl::UnimplementedError(absl::StrCat(
          "attribute ", Quoted(attribute.name()), " is not supported here; ",
          read_.empty()
              ? "none is"
              : absl::StrCat("those that are: ", absl::StrJoin(read_, ", "))));
    }
  }
  return absl::OkStatus();
}

absl::Status NodeContext::CheckGenerated(int64_t elements) const {
  if (elements <= state_.limits.max_generated_elements) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("makes a constant of ", elements, " elements, the limit is ",
                   state_.limits.max_generated_elements));
}

bool NodeContext::HasInput(int index) const {
  if (index >= node_.input_size() || node_.input(index).empty()) return false;
  // An input of a function that its call leaves out is absent inside, too.
  return state_.scopes.back().call->function == nullptr ||
         state_.Find(node_.input(index)) != nullptr;
}

bool NodeContext::HasOutput(int index) const {
  return index < node_.output_size() && !node_.output(index).empty();
}

void NodeContext::SetOutput(int index, Value value) {
  outputs_[index] = std::move(value);
}

absl::Status NodeContext::CheckInputs(int min, int max) const {
  if (num_inputs() >= min && num_inputs() <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("has ", num_inputs(), " inputs, expected ", min,
                   min == max ? "" : absl::StrCat(" to ", max)));
}

absl::StatusOr<Value> NodeContext::Input(int index) {
  if (!HasInput(index)) {
    return absl::InvalidArgumentError(
        absl::StrCat("input ", index, " is missing"));
  }
  const Value* value = state_.Find(node_.input(index));
  if (value == nullptr || !value->exists()) {
    return absl::InvalidArgumentError(
        absl::StrCat("input ", Quoted(node_.input(index)),
                     " is an optional output that Basin does not compute"));
  }
  return *value;
}

absl::StatusOr<ValueId> NodeContext::GraphInput(int index) {
  BASIN_ASSIGN_OR_RETURN(const Value value, Input(index));
  if (value.is_integer()) {
    return absl::InvalidArgumentError(
        absl::StrCat("input ", Quoted(node_.input(index)),
                     " is of an integer type, expected floating-point"));
  }
  return ToGraph(value, state_);
}

absl::StatusOr<Tensor> NodeContext::ConstantInput(int index) {
  BASIN_ASSIGN_OR_RETURN(const Value value, Input(index));
  if (value.is_constant()) return value.constant();
  return absl::UnimplementedError(
      absl::StrCat("input ", Quoted(node_.input(index)),
                   " depends on the model's inputs; it must be constant"));
}

absl::StatusOr<IntList> NodeContext::IntsInput(int index) {
  BASIN_ASSIGN_OR_RETURN(const Tensor tensor, ConstantInput(index));
  if (tensor.dtype() != DType::kInt64 || tensor.shape().rank() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "input ", Quoted(node_.input(index)), " is ",
        std::string(Name(tensor.dtype())), tensor.shape().ToString(),
        ", expected a list of integers"));
  }
  const auto values = tensor.data<int64_t>();
  return IntList(values.begin(), values.end());
}

const AttributeProto* NodeContext::Find(absl::string_view name,
                                        AttributeProto::AttributeType type) {
  read_.insert(std::string(name));
  for (const AttributeProto& attribute : node_.attribute()) {
    if (attribute.name() != name) continue;
    const AttributeProto* const resolved = Resolved(attribute);
    if (resolved == nullptr || resolved->type() == type) return resolved;
    Fail(absl::InvalidArgumentError(
        absl::StrCat("attribute '", name, "' is of type ",
                     AttributeProto::AttributeType_Name(resolved->type()),
                     ", expected ", AttributeProto::AttributeType_Name(type))));
    return nullptr;
  }
  return nullptr;
}

bool NodeContext::HasAttribute(absl::string_view name) const {
  return std::any_of(node_.attribute().begin(), node_.attribute().end(),
                     [&](const auto& a) {
                       return a.name() == name && Resolved(a) != nullptr;
                     });
}

const AttributeProto* NodeContext::Resolved(
    const AttributeProto& attribute) const {
  if (attribute.ref_attr_name().empty()) return &attribute;
  const auto& given = state_.scopes.back().call->attributes;
  const auto found = given.find(attribute.ref_attr_name());
  return found == given.end() ? nullptr : found->second;
}

int64_t NodeContext::Int(absl::string_view name, int64_t default_value) {
  const auto* attribute = Find(name, AttributeProto::INT);
  return attribute != nullptr ? attribute->i() : default_value;
}

float NodeContext::Float(absl::string_view name, float default_value) {
  const auto* attribute = Find(name, AttributeProto::FLOAT);
  return attribute != nullptr ? attribute->f() : default_value;
}

std::string NodeContext::String(absl::string_view name,
                                std::string default_value) {
  const auto* attribute = Find(name, AttributeProto::STRING);
  return attribute != nullptr ? attribute->s() : std::move(default_value);
}

absl::optional<IntList> NodeContext::Ints(absl::string_view name) {
  const auto* attribute = Find(name, AttributeProto::INTS);
  if (attribute == nullptr) return absl::nullopt;
  return IntList(attribute->ints().begin(), attribute->ints().end());
}

std::vector<float> NodeContext::Floats(absl::string_view name) {
  const auto* attribute = Find(name, AttributeProto::FLOATS);
  if (attribute == nullptr) return {};
  return {attribute->floats().begin(), attribute->floats().end()};
}

std::vector<std::string> NodeContext::Strings(absl::string_view name) {
  const auto* attribute = Find(name, AttributeProto::STRINGS);
  if (attribute == nullptr) return {};
  return {attribute->strings().begin(), attribute->strings().end()};
}

absl::StatusOr<const onnx::GraphProto*> NodeContext::GraphAttribute(
    absl::string_view name) {
  const auto* attribute = Find(name, AttributeProto::GRAPH);
  if (attribute != nullptr) return &attribute->g();
  return absl::InvalidArgumentError(
      absl::StrCat("the attribute ", name, " is missing"));
}

const onnx::TensorProto* NodeContext::TensorAttribute(absl::string_view name) {
  const auto* attribute = Find(name, AttributeProto::TENSOR);
  return attribute != nullptr ? &attribute->t() : nullptr;
}

absl::StatusOr<int> NormalizedAxis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return absl::InvalidArgumentError(
        absl::StrCat("axis ", axis, " is outside of rank ", rank));
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

absl::StatusOr<IntList> NormalizedAxes(const IntList& axes, int rank) {
  IntList result;
  for (const int64_t axis : axes) {
    BASIN_ASSIGN_OR_RETURN(const int normalized, NormalizedAxis(axis, rank));
    result.push_back(normalized);
  }
  std::sort(result.begin(), result.end());
  const auto repeated = std::adjacent_find(result.begin(), result.end());
  if (repeated != result.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("axis ", *repeated, " occurs twice"));
  }
  return result;
}

}  // namespace basin::internal
