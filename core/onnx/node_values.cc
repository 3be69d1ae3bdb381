// NodeContext's operations on values: at once for constants, else as nodes of
// the graph.

#include <algorithm>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/host_tensor.h"
#include "core/onnx/node_context.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

// Whole numbers as float32, each of them exact.
absl::StatusOr<Tensor> ExactFloats(const Tensor& integers,
                                   int64_t& bytes_left) {
  BASIN_ASSIGN_OR_RETURN(const Tensor floats,
                         HostCast(integers, DType::kFloat32, bytes_left));
  BASIN_ASSIGN_OR_RETURN(const Tensor back,
                         HostCast(Narrowed(floats), DType::kInt64, bytes_left));
  const auto given = integers.data<int64_t>();
  const auto held = back.data<int64_t>();
  const auto differs = std::mismatch(given.begin(), given.end(), held.begin());
  if (differs.first == given.end()) return Narrowed(floats);
  return absl::InvalidArgumentError(
      absl::StrCat("the integer ", *differs.first,
                   " meets the graph, which computes in float32 and does not "
                   "hold it exactly"));
}

}  // namespace

absl::StatusOr<ValueId> ToGraph(const Value& value, ImportState& state) {
  if (!value.exists()) return absl::InvalidArgumentError("there is no value");
  if (!value.is_constant()) return value.id();
  const Tensor& tensor = value.constant();
  if (value.is_integer()) {
    BASIN_ASSIGN_OR_RETURN(const Tensor floats,
                           ExactFloats(tensor, state.constant_bytes_left));
    return state.builder.Constant(floats);
  }
  ValueId& id = state.constant_nodes
                    .try_emplace({tensor.id(), tensor.shape().dims()},
                                 GraphBuilder::kNoValue)
                    .first->second;
  if (id == GraphBuilder::kNoValue) id = state.builder.Constant(tensor);
  BASIN_RETURN_IF_ERROR(state.builder.status());
  return id;
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

Value NodeContext::Or(absl::StatusOr<Tensor> constant) {
  return constant.ok() ? Value(*std::move(constant)) : Fail(constant.status());
}

ValueId NodeContext::InGraph(const Value& value) {
  if (!value.exists()) return GraphBuilder::kNoValue;
  const auto id = ToGraph(value, state_);
  if (id.ok()) return *id;
  Fail(id.status());
  return GraphBuilder::kNoValue;
}

absl::StatusOr<Tensor> NodeContext::Settled(const Tensor& constant) {
  const DType wanted =
      state_.doubles == OnnxDoubles::kKeep ? DType::kFloat64 : DType::kFloat32;
  if (!IsReal(constant) || constant.dtype() == wanted) return constant;
  BASIN_RETURN_IF_ERROR(TakeFromBudget(wanted, constant.num_elements(),
                                       state_.constant_bytes_left));
  return wanted == DType::kFloat64 ? Widened(constant) : Narrowed(constant);
}

Value NodeContext::OnHost(ScalarOp op, std::vector<Tensor> operands) {
  Shape shape;
  int64_t largest = 0;
  for (Tensor& operand : operands) {
    auto settled = Settled(operand);
    if (!settled.ok()) return Fail(settled.status());
    operand = *std::move(settled);
    const auto joined = BroadcastShapes(shape, operand.shape());
    if (!joined.ok()) return Fail(joined.status());
    shape = *joined;
    largest = std::max(largest, operand.num_elements());
  }
  if (shape.num_elements() > largest) {
    const absl::Status checked = CheckGenerated(shape.num_elements());
    if (!checked.ok()) return Fail(checked);
  }
  return Or(HostElementwise(op, operands, state_.constant_bytes_left));
}

Value NodeContext::Elementwise(ScalarOp op, absl::Span<const Value> operands) {
  std::vector<Tensor> constants;
  for (const Value& operand : operands) {
    if (!operand.exists()) return Value();
    if (operand.is_constant()) constants.push_back(operand.constant());
  }
  const size_t first = op == ScalarOp::kSelect ? 1 : 0;
  const DType dtype = operands[first].dtype();
  for (size_t i = first; i < operands.size(); ++i) {
    if (operands[i].dtype() == dtype) continue;
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("operands differ in type: ", std::string(Name(dtype)),
                     " and ", std::string(Name(operands[i].dtype())))));
  }
  if (constants.size() == operands.size()) {
    return OnHost(op, std::move(constants));
  }
  ValueId ids[3];
  for (size_t i = 0; i < operands.size(); ++i) {
    ids[i] = InGraph(operands[i]);
    if (ids[i] == GraphBuilder::kNoValue) return Value();
  }
  const DType result = IsComparison(op) ? DType::kInt64 : dtype;
  switch (operands.size()) {
    case 1:
      return {builder().Unary(op, ids[0]), result};
    case 2:
      return {builder().Binary(op, ids[0], ids[1]), result};
    default:
      return {builder().Select(ids[0], ids[1], ids[2]), result};
  }
}

// Towards zero.
Value NodeContext::Truncated(const Value& x) {
  return Binary(ScalarOp::kMul, Unary(ScalarOp::kSign, x),
                Unary(ScalarOp::kFloor, Unary(ScalarOp::kAbs, x)));
}

Value NodeContext::Unary(ScalarOp op, const Value& x) {
  return Elementwise(op, {x});
}

Value NodeContext::Binary(ScalarOp op, const Value& a, const Value& b) {
  const Value result = Elementwise(op, {a, b});
  const bool is_quotient = op == ScalarOp::kDiv && result.is_integer();
  return is_quotient && !result.is_constant() ? Truncated(result) : result;
}

Value NodeContext::Select(const Value& condition, const Value& a,
                          const Value& b) {
  return Elementwise(ScalarOp::kSelect, {condition, a, b});
}

Value NodeContext::Cast(const Value& x, DType dtype) {
  if (!x.exists()) return Value();
  if (x.is_constant()) {
    return Or(HostCast(x.constant(), dtype, state_.constant_bytes_left));
  }
  if (dtype == x.dtype()) return x;
  const Value number = x.is_integer() ? x : Truncated(x);
  return number.exists() ? Value(number.id(), dtype) : Value();
}

Value NodeContext::NumberLike(const Value& x, int64_t value) {
  if (x.is_integer()) return Tensor::Scalar<int64_t>(value);
  return RealScalar(static_cast<double>(value));
}

Value NodeContext::Reshape(const Value& x, const Shape& shape) {
  if (!x.exists()) return Value();
  if (ShapeOf(x).num_elements() != shape.num_elements()) {
    return Fail(absl::InvalidArgumentError(absl::StrCat(
        "cannot reshape ", ShapeOf(x).ToString(), " to ", shape.ToString())));
  }
  if (x.is_constant()) return x.constant().Reshaped(shape);
  if (ShapeOf(x) == shape) return x;
  return {builder().Reshape(x.id(), shape), x.dtype()};
}

Value NodeContext::Reshape(const Value& x, absl::Span<const int64_t> dims) {
  auto shape = Shape::Create(dims);
  return shape.ok() ? Reshape(x, *shape) : Fail(shape.status());
}

Value NodeContext::BroadcastTo(const Value& x, const Shape& shape) {
  if (!x.exists()) return Value();
  const auto joined = BroadcastShapes(ShapeOf(x), shape);
  if (!joined.ok() || !(*joined == shape)) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("shape ", ShapeOf(x).ToString(),
                     " cannot be broadcast to ", shape.ToString())));
  }
  if (ShapeOf(x) == shape) return x;
  if (x.is_constant()) {
    const absl::Status checked = CheckGenerated(shape.num_elements());
    if (!checked.ok()) return Fail(checked);
    return Or(HostBroadcast(x.constant(), shape, state_.constant_bytes_left));
  }
  return {builder().BroadcastTo(x.id(), shape), x.dtype()};
}

Value NodeContext::Transpose(const Value& x, const IntList& permutation) {
  if (!x.exists()) return Value();
  if (x.is_constant()) {
    return Or(
        HostTranspose(x.constant(), permutation, state_.constant_bytes_left));
  }
  return {builder().Transpose(x.id(), permutation), x.dtype()};
}

Value NodeContext::Slice(const Value& x, const SliceAttrs& attributes) {
  if (!x.exists()) return Value();
  if (x.is_constant()) {
    return Or(HostSlice(x.constant(), attributes, state_.constant_bytes_left));
  }
  return {builder().Slice(x.id(), attributes), x.dtype()};
}

Value NodeContext::SliceAxis(const Value& x, int axis, int64_t start,
                             int64_t size) {
  const Shape::Dims& dims = ShapeOf(x).dims();
  SliceAttrs attributes{IntList(dims.size(), 0),
                        IntList(dims.begin(), dims.end()),
                        IntList(dims.size(), 1)};
  if (!x.exists()) return Value();
  attributes.starts[axis] = start;
  attributes.limits[axis] = start + size;
  return Slice(x, attributes);
}

// All of one type, and of one shape beyond `axis`.
Value NodeContext::Concat(absl::Span<const Value> xs, int axis) {
  std::vector<Tensor> constants;
  std::vector<ValueId> ids;
  for (const Value& x : xs) {
    if (!x.exists()) return Value();
    if (x.dtype() != xs[0].dtype()) {
      return Fail(absl::InvalidArgumentError(absl::StrCat(
          "inputs differ in type: ", std::string(Name(xs[0].dtype())), " and ",
          std::string(Name(x.dtype())))));
    }
    if (!x.is_constant()) continue;
    auto settled = Settled(x.constant());
    if (!settled.ok()) return Fail(settled.status());
    constants.push_back(*std::move(settled));
  }
  if (constants.size() == xs.size()) {
    return Or(HostConcat(constants, axis, state_.constant_bytes_left));
  }
  for (const Value& x : xs) ids.push_back(InGraph(x));
  return {builder().Concat(ids, axis), xs[0].dtype()};
}

Value NodeContext::Pick(const Value& x, absl::Span<const int64_t> indices,
                        int axis) {
  if (!x.exists()) return Value();
  if (x.is_constant()) {
    return Or(
        HostGather(x.constant(), indices, axis, state_.constant_bytes_left));
  }
  if (indices.size() == 1) {  // its gradient is cheaper than a scatter
    return SliceAxis(x, axis, indices[0], 1);
  }
  const auto taken =
      TakeFromBudget(DType::kInt64, static_cast<int64_t>(indices.size()),
                     state_.constant_bytes_left);
  if (!taken.ok()) return Fail(taken);
  const Shape list = Shape({static_cast<int64_t>(indices.size())});
  const ValueId ids = builder().Constant(Tensor::Of<int64_t>(list, indices));
  return {builder().Gather(x.id(), ids, axis), x.dtype()};
}

Value NodeContext::Reduce(Op op, const Value& x, const IntList& axes) {
  if (!x.exists()) return Value();
  if (x.is_constant()) {
    const auto settled = Settled(x.constant());
    if (!settled.ok()) return Fail(settled.status());
    return Or(HostReduce(op, *settled, axes, state_.constant_bytes_left));
  }
  constexpr auto kKeep = GraphBuilder::ReducedAxes::kKeep;
  return {op == Op::kReduceSum ? builder().ReduceSum(x.id(), axes, kKeep)
                               : builder().ReduceMax(x.id(), axes, kKeep),
          x.dtype()};
}

Value NodeContext::ReduceSum(const Value& x, const IntList& axes) {
  return Reduce(Op::kReduceSum, x, axes);
}

Value NodeContext::ReduceMax(const Value& x, const IntList& axes) {
  return Reduce(Op::kReduceMax, x, axes);
}

}  // namespace basin::internal
