#ifndef BASIN_CORE_ONNX_NODE_CONTEXT_H_
#define BASIN_CORE_ONNX_NODE_CONTEXT_H_

// What a lowering function sees of the node it lowers.

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
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
#include "core/onnx/model_parts.h"
#include "core/onnx/onnx_model.h"
#include "core/onnx/onnx_proto.h"
#include "core/tensor/tensor.h"

namespace basin::internal {

// A value of the file while it is imported: either a value of the graph, or a
// constant that is known already. Its type is float32, which stands for every
// floating-point type (a constant's elements may be float64), or int64, which
// stands for every integer type and bool (0 and 1). In the graph integers are
// whole float32 numbers, exact up to 2^24.
class Value {
 public:
  Value() = default;
  Value(ValueId id)  // NOLINT: lowering returns graph values
      : Value(id, DType::kFloat32) {}
  Value(ValueId id, DType dtype) : value_(InGraph{id, dtype}) {}
  Value(Tensor constant)  // NOLINT: ... or constants
      : value_(std::move(constant)) {}

  // False where an error occurred, or an optional input is absent.
  bool exists() const {
    const InGraph* value = std::get_if<InGraph>(&value_);
    return is_constant() ||
           (value != nullptr && value->id != GraphBuilder::kNoValue);
  }
  bool is_constant() const { return std::holds_alternative<Tensor>(value_); }
  // REQUIRES: exists() && !is_constant().
  ValueId id() const { return std::get<InGraph>(value_).id; }
  // REQUIRES: is_constant().
  const Tensor& constant() const { return std::get<Tensor>(value_); }
  // kFloat32 or kInt64. REQUIRES: exists().
  DType dtype() const {
    if (!is_constant()) return std::get<InGraph>(value_).dtype;
    return IsReal(constant()) ? DType::kFloat32 : constant().dtype();
  }
  bool is_integer() const { return exists() && dtype() == DType::kInt64; }

 private:
  struct InGraph {
    ValueId id;
    DType dtype;
  };
  std::variant<std::monostate, InGraph, Tensor> value_;
};

// The call of a function that the file defines; or, without one, the model's
// own graph.
struct Call {
  const onnx::FunctionProto* function = nullptr;
  int64_t opset = 0;
  // What attributes of the body refer to, by name.
  absl::flat_hash_map<std::string, const onnx::AttributeProto*> attributes;
};

// The values that one graph, subgraph or function body has made so far.
struct Scope {
  std::shared_ptr<const Call> call;  // that the graph is a part of
  absl::flat_hash_map<std::string, Value> values;
};

// The state of one import; not thread-safe.
struct ImportState {
  const OnnxLimits& limits;
  const ModelParts& parts;
  const std::string& external_folder;
  // The imported row count; 0 while only constants are computed.
  const int64_t rows;
  const OnnxDoubles doubles;
  int64_t constant_bytes_left;
  int64_t nodes_left;  // that may still be unrolled
  GraphBuilder builder;
  std::vector<Scope> scopes;  // the innermost last; never empty
  // Graph nodes of constants, by Tensor::id() and dimensions. The graph keeps
  // the tensors alive, so ids stay unique.
  std::map<std::pair<const void*, Shape::Dims>, ValueId> constant_nodes;
  std::map<ValueId, int64_t> index_limits;  // see OnnxGraph

  // The value that a node of the innermost scope sees under this name, or
  // null: an inner one hides an outer one, a function sees its own only.
  const Value* Find(const std::string& name) const;
  int64_t opset() const { return scopes.back().call->opset; }
};

// The value as a node of the graph. InvalidArgument for constant integers
// that float32 does not hold exactly.
absl::StatusOr<ValueId> ToGraph(const Value& value, ImportState& state);

// One node: its inputs and attributes, checked, and the graph to write to.
// Errors of attributes and of value operations stick, as GraphBuilder's do;
// Finish() reports them.
class NodeContext {
 public:
  // Both must outlive this object.
  NodeContext(const onnx::NodeProto& node, ImportState& state);

  GraphBuilder& builder() { return state_.builder; }
  const onnx::NodeProto& node() const { return node_; }
  ImportState& state() { return state_; }
  int64_t opset() const { return state_.opset(); }
  int64_t rows() const { return state_.rows; }
  int64_t& constant_bytes_left() { return state_.constant_bytes_left; }
  // InvalidArgument if a constant of that many elements, which takes little to
  // ask for, is above the limit.
  absl::Status CheckGenerated(int64_t elements) const;
  const std::string& external_folder() const { return state_.external_folder; }
  OnnxDoubles doubles() const { return state_.doubles; }
  // The first error: a sticky one, `lowered`, or one for attributes that the
  // lowering did not read.
  absl::Status Finish(const absl::Status& lowered) const;

  // Inputs. Optional ones are absent if their name is empty.
  int num_inputs() const { return node_.input_size(); }
  bool HasInput(int index) const;
  absl::StatusOr<Value> Input(int index);
  // As a value of the graph. InvalidArgument for integers: operators that
  // take them use Input(), and say the type of what they return.
  absl::StatusOr<ValueId> GraphInput(int index);
  // Unimplemented if it is not known at import.
  absl::StatusOr<Tensor> ConstantInput(int index);
  // A constant list of integers, of rank 0 or 1.
  absl::StatusOr<IntList> IntsInput(int index);
  // InvalidArgument unless there are `min` to `max` inputs.
  absl::Status CheckInputs(int min, int max) const;
  // Whether a non-empty name is given to output `index`.
  bool HasOutput(int index) const;
  int num_outputs() const { return node_.output_size(); }
  // Outputs other than the first, which the lowering function returns. Those
  // that are not set cannot be read by other nodes. REQUIRES: index >= 1.
  void SetOutput(int index, Value value);
  // By index, from 1 on.
  const std::map<int, Value>& other_outputs() const { return outputs_; }

  // Attributes, or the default if absent; a wrong type sticks as an error.
  int64_t Int(absl::string_view name, int64_t default_value);
  float Float(absl::string_view name, float default_value);
  std::string String(absl::string_view name, std::string default_value);
  absl::optional<IntList> Ints(absl::string_view name);
  std::vector<float> Floats(absl::string_view name);
  const onnx::TensorProto* TensorAttribute(absl::string_view name);
  std::vector<std::string> Strings(absl::string_view name);
  // InvalidArgument if it is missing.
  absl::StatusOr<const onnx::GraphProto*> GraphAttribute(
      absl::string_view name);
  bool HasAttribute(absl::string_view name) const;
  // The attribute itself, or the one of the call that it refers to: null if
  // the call does not give it.
  const onnx::AttributeProto* Resolved(
      const onnx::AttributeProto& attribute) const;
  // The attribute has no effect on what is computed.
  void Ignore(absl::string_view name) { read_.insert(std::string(name)); }

  // Values. Operations on constants are computed at once; a value that does
  // not exist, after an error, gives another one. Operands have one type, and
  // so has the result, but for comparisons, whose result is an integer, and
  // conditions, which may be of any type. Quotients of integers truncate.
  const Shape& ShapeOf(const Value& value) const;
  ValueId InGraph(const Value& value);
  Value Unary(ScalarOp op, const Value& x);
  Value Binary(ScalarOp op, const Value& a, const Value& b);
  Value Select(const Value& condition, const Value& a, const Value& b);
  // To int64 truncates.
  Value Cast(const Value& x, DType dtype);
  // `value` of x's type, as a scalar.
  Value NumberLike(const Value& x, int64_t value);
  Value Reshape(const Value& x, const Shape& shape);
  Value Reshape(const Value& x, absl::Span<const int64_t> dims);
  Value Reshape(const Value& x, std::initializer_list<int64_t> dims) {
    return Reshape(x, absl::MakeConstSpan(dims.begin(), dims.size()));
  }
  // NumPy's broadcast_to.
  Value BroadcastTo(const Value& x, const Shape& shape);
  Value Transpose(const Value& x, const IntList& permutation);
  Value Slice(const Value& x, const SliceAttrs& attributes);
  // x[start : start + size] along `axis`. REQUIRES: within x.
  Value SliceAxis(const Value& x, int axis, int64_t start, int64_t size);
  Value Concat(absl::Span<const Value> xs, int axis);
  // Picks `indices` along `axis`. REQUIRES: each in [0, size of the axis).
  Value Pick(const Value& x, absl::Span<const int64_t> indices, int axis);
  // `axes` ascending; they stay, of size 1.
  Value ReduceSum(const Value& x, const IntList& axes);
  Value ReduceMax(const Value& x, const IntList& axes);
  // Real numbers as float64 or float32, as doubles() says; others as they are.
  absl::StatusOr<Tensor> Settled(const Tensor& constant);
  // Makes `status` the error, if none stuck yet.
  Value Fail(absl::Status status);

 private:
  const onnx::AttributeProto* Find(absl::string_view name,
                                   onnx::AttributeProto::AttributeType type);
  Value Elementwise(ScalarOp op, absl::Span<const Value> operands);
  Value OnHost(ScalarOp op, std::vector<Tensor> operands);
  Value Reduce(Op op, const Value& x, const IntList& axes);
  Value Truncated(const Value& x);
  // A value of x's type, or the error.
  Value Or(absl::StatusOr<Tensor> constant);

  const onnx::NodeProto& node_;
  ImportState& state_;
  absl::Status status_;
  std::set<std::string> read_;
  std::map<int, Value> outputs_;
};

// A real constant, for formulas: n.Binary(ScalarOp::kMul, x, Number(2)).
inline Value Number(double value) { return RealScalar(value); }

// `axis` counted from the front. InvalidArgument unless -rank <= axis < rank.
absl::StatusOr<int> NormalizedAxis(int64_t axis, int rank);
// The same for a list without duplicates; ascending.
absl::StatusOr<IntList> NormalizedAxes(const IntList& axes, int rank);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_NODE_CONTEXT_H_
