#ifndef BASIN_CORE_ONNX_NODE_CONTEXT_H_
#define BASIN_CORE_ONNX_NODE_CONTEXT_H_

// What a lowering function sees of the node it lowers.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/types/optional.h>

#include "core/graph/graph_builder.h"
#include "core/onnx/onnx_model.h"
#include "core/onnx/onnx_proto.h"
#include "core/tensor/tensor.h"

namespace basin::internal {

// A value of the file while it is imported: either a float32 value of the
// graph, or a constant that is known already, float32 or int64.
class Value {
 public:
  Value() = default;
  Value(ValueId id) : value_(id) {}  // NOLINT: lowering returns graph values
  Value(Tensor constant)             // NOLINT: ... or constants
      : value_(std::move(constant)) {}

  // False where an error occurred, or an optional input is absent.
  bool exists() const {
    const ValueId* id = std::get_if<ValueId>(&value_);
    return is_constant() || (id != nullptr && *id != GraphBuilder::kNoValue);
  }
  bool is_constant() const { return std::holds_alternative<Tensor>(value_); }
  // REQUIRES: exists() && !is_constant().
  ValueId id() const { return std::get<ValueId>(value_); }
  // REQUIRES: is_constant().
  const Tensor& constant() const { return std::get<Tensor>(value_); }

 private:
  std::variant<std::monostate, ValueId, Tensor> value_;
};

// The state of one import; not thread-safe.
struct ImportState {
  const OnnxLimits& limits;
  const int64_t opset;
  const std::string& external_folder;
  // The imported row count; 0 while only constants are computed.
  const int64_t rows;
  int64_t constant_bytes_left;
  GraphBuilder builder;
  absl::flat_hash_map<std::string, Value> values;
  // Graph nodes of constants, by Tensor::id() and dimensions. The graph keeps
  // the tensors alive, so ids stay unique.
  std::map<std::pair<const void*, Shape::Dims>, ValueId> constant_nodes;
};

// The value as a node of the graph. InvalidArgument for integers.
absl::StatusOr<ValueId> ToGraph(const Value& value, ImportState& state);

// One node: its inputs and attributes, checked, and the graph to write to.
// Errors of attributes and of value operations stick, as GraphBuilder's do;
// Finish() reports them.
class NodeContext {
 public:
  // Both must outlive this object.
  NodeContext(const onnx::NodeProto& node, ImportState& state);

  GraphBuilder& builder() { return state_.builder; }
  int64_t opset() const { return state_.opset; }
  int64_t rows() const { return state_.rows; }
  int64_t& constant_bytes_left() { return state_.constant_bytes_left; }
  const std::string& external_folder() const { return state_.external_folder; }
  // The first error: a sticky one, `lowered`, or one for attributes that the
  // lowering did not read.
  absl::Status Finish(const absl::Status& lowered) const;

  // Inputs. Optional ones are absent if their name is empty.
  int num_inputs() const { return node_.input_size(); }
  bool HasInput(int index) const;
  absl::StatusOr<Value> Input(int index);
  // As a float32 value of the graph.
  absl::StatusOr<ValueId> GraphInput(int index);
  // Unimplemented if it is not known at import.
  absl::StatusOr<Tensor> ConstantInput(int index);
  // A constant list of integers, of rank 0 or 1.
  absl::StatusOr<IntList> IntsInput(int index);
  // InvalidArgument unless there are `min` to `max` inputs.
  absl::Status CheckInputs(int min, int max) const;
  // Whether a non-empty name is given to output `index`.
  bool HasOutput(int index) const;

  // Attributes, or the default if absent; a wrong type sticks as an error.
  int64_t Int(absl::string_view name, int64_t default_value);
  float Float(absl::string_view name, float default_value);
  std::string String(absl::string_view name, std::string default_value);
  absl::optional<IntList> Ints(absl::string_view name);
  std::vector<float> Floats(absl::string_view name);
  const onnx::TensorProto* TensorAttribute(absl::string_view name);
  bool HasAttribute(absl::string_view name) const;
  // The attribute has no effect on what is computed.
  void Ignore(absl::string_view name) { read_.insert(std::string(name)); }

  // Values. Operations on constants are computed at once; a value that does
  // not exist, after an error, gives another one.
  const Shape& ShapeOf(const Value& value) const;
  ValueId InGraph(const Value& value);
  Value Unary(ScalarOp op, const Value& x);
  Value Binary(ScalarOp op, const Value& a, const Value& b);
  Value Select(const Value& condition, const Value& a, const Value& b);
  Value Reshape(const Value& x, const Shape& shape);
  Value Reshape(const Value& x, absl::Span<const int64_t> dims);
  // Makes `status` the error, if none stuck yet.
  Value Fail(absl::Status status);

 private:
  const onnx::AttributeProto* Find(absl::string_view name,
                                   onnx::AttributeProto::AttributeType type);
  Value Elementwise(ScalarOp op, absl::Span<const Value> operands);

  const onnx::NodeProto& node_;
  ImportState& state_;
  absl::Status status_;
  std::set<std::string> read_;
};

// A float32 constant, for formulas: n.Binary(ScalarOp::kMul, x, Number(2)).
inline Value Number(float value) { return Tensor::Scalar(value); }

// `axis` counted from the front. InvalidArgument unless -rank <= axis < rank.
absl::StatusOr<int> NormalizedAxis(int64_t axis, int rank);
// The same for a list without duplicates; ascending.
absl::StatusOr<IntList> NormalizedAxes(const IntList& axes, int rank);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_NODE_CONTEXT_H_
