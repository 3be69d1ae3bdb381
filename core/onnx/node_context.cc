#include "core/onnx/node_context.h"

#include <algorithm>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/host_tensor.h"

namespace basin::internal {

using onnx::AttributeProto;

absl::StatusOr<ValueId> ToGraph(const Value& value, ImportState& state) {
  if (!value.exists()) return absl::InvalidArgumentError("there is no value");
  if (!value.is_constant()) return value.id();
  const Tensor& tensor = value.constant();
  if (tensor.dtype() != DType::kFloat32) {
    return absl::InvalidArgumentError(
        absl::StrCat("a constant of type ", std::string(Name(tensor.dtype())),
                     " meets the graph, which computes in float32"));
  }
  ValueId& id = state.constant_nodes
                    .try_emplace({tensor.id(), tensor.shape().dims()},
                                 GraphBuilder::kNoValue)
                    .first->second;
  if (id == GraphBuilder::kNoValue) id = state.builder.Constant(tensor);
  BASIN_RETURN_IF_ERROR(state.builder.status());
  return id;
}

NodeContext::NodeContext(const onnx::NodeProto& node, ImportState& state)
    : node_(node), state_(state) {}

absl::Status NodeContext::Finish(const absl::Status& lowered) const {
  BASIN_RETURN_IF_ERROR(status_);
  BASIN_RETURN_IF_ERROR(state_.builder.status());
  BASIN_RETURN_IF_ERROR(lowered);
  for (const AttributeProto& attribute : node_.attribute()) {
    if (read_.count(attribute.name()) == 0) {
      return absl::UnimplementedError(absl::StrCat(
          "attribute ", Quoted(attribute.name()), " is not supported here"));
    }
  }
  return absl::OkStatus();
}

bool NodeContext::HasInput(int index) const {
  return index < node_.input_size() && !node_.input(index).empty();
}

bool NodeContext::HasOutput(int index) const {
  return index < node_.output_size() && !node_.output(index).empty();
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
  const auto value = state_.values.find(node_.input(index));
  if (value == state_.values.end() || !value->second.exists()) {
    return absl::InvalidArgumentError(
        absl::StrCat("input ", Quoted(node_.input(index)),
                     " is an optional output that Basin does not compute"));
  }
  return value->second;
}

absl::StatusOr<ValueId> NodeContext::GraphInput(int index) {
  BASIN_ASSIGN_OR_RETURN(const Value value, Input(index));
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
    if (attribute.type() == type && attribute.ref_attr_name().empty()) {
      return &attribute;
    }
    Fail(absl::InvalidArgumentError(
        absl::StrCat("attribute '", name, "' is of type ",
                     AttributeProto::AttributeType_Name(attribute.type()),
                     ", expected ", AttributeProto::AttributeType_Name(type))));
    return nullptr;
  }
  return nullptr;
}

bool NodeContext::HasAttribute(absl::string_view name) const {
  return std::any_of(node_.attribute().begin(), node_.attribute().end(),
                     [&](const auto& a) { return a.name() == name; });
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

const onnx::TensorProto* NodeContext::TensorAttribute(absl::string_view name) {
  const auto* attribute = Find(name, AttributeProto::TENSOR);
  return attribute != nullptr ? &attribute->t() : nullptr;
}

const Shape& NodeContext::ShapeOf(const Value& value) const {
  static const Shape kNone;
  if (!value.exists()) return kNone;
  return value.is_constant() ? value.constant().shape()
                             : state_.builder.shape(value.id());
}

Value NodeContext::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
  return Value();
}

ValueId NodeContext::InGraph(const Value& value) {
  if (!value.exists()) return GraphBuilder::kNoValue;
  const auto id = ToGraph(value, state_);
  if (id.ok()) return *id;
  Fail(id.status());
  return GraphBuilder::kNoValue;
}

Value NodeContext::Elementwise(ScalarOp op, absl::Span<const Value> operands) {
  std::vector<Tensor> constants;
  for (const Value& operand : operands) {
    if (!operand.exists()) return Value();
    if (operand.is_constant()) constants.push_back(operand.constant());
  }
  if (constants.size() == operands.size()) {
    auto result = HostElementwise(op, constants, state_.constant_bytes_left);
    return result.ok() ? Value(*std::move(result)) : Fail(result.status());
  }
  ValueId ids[3];
  for (size_t i = 0; i < operands.size(); ++i) {
    ids[i] = InGraph(operands[i]);
    if (ids[i] == GraphBuilder::kNoValue) return Value();
  }
  switch (operands.size()) {
    case 1:
      return builder().Unary(op, ids[0]);
    case 2:
      return builder().Binary(op, ids[0], ids[1]);
    default:
      return builder().Select(ids[0], ids[1], ids[2]);
  }
}

Value NodeContext::Unary(ScalarOp op, const Value& x) {
  return Elementwise(op, {x});
}

Value NodeContext::Binary(ScalarOp op, const Value& a, const Value& b) {
  return Elementwise(op, {a, b});
}

Value NodeContext::Select(const Value& condition, const Value& a,
                          const Value& b) {
  return Elementwise(ScalarOp::kSelect, {condition, a, b});
}

Value NodeContext::Reshape(const Value& x, const Shape& shape) {
  if (!x.exists()) return Value();
  if (ShapeOf(x).num_elements() != shape.num_elements()) {
    return Fail(absl::InvalidArgumentError(absl::StrCat(
        "cannot reshape ", ShapeOf(x).ToString(), " to ", shape.ToString())));
  }
  if (x.is_constant()) return x.constant().Reshaped(shape);
  return ShapeOf(x) == shape ? x : Value(builder().Reshape(x.id(), shape));
}

Value NodeContext::Reshape(const Value& x, absl::Span<const int64_t> dims) {
  auto shape = Shape::Create(dims);
  return shape.ok() ? Reshape(x, *shape) : Fail(shape.status());
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
