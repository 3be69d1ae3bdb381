#include "core/graph/fold.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

namespace basin::internal {
namespace {

constexpr int64_t kMaxFoldedElements = 1 << 14;

using Strides = Shape::Dims;

// Of a row-major array.
Strides StridesOf(const Shape& shape) {
  Strides strides(static_cast<size_t>(shape.rank()), 1);
  for (int i = shape.rank() - 2; i >= 0; --i) {
    strides[i] = strides[i + 1] * shape.dim(i + 1);
  }
  return strides;
}

// Calls visit(i, j) for the i-th element of `shape` in row-major order, where
// j = offset + sum of coordinate times stride.
template <typename Visitor>
void ForEach(const Shape& shape, const Strides& strides, int64_t offset,
             Visitor visit) {
  Shape::Dims coordinates(static_cast<size_t>(shape.rank()), 0);
  int64_t j = offset;
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    visit(i, j);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      j += strides[axis];
      if (++coordinates[axis] < shape.dim(axis)) break;
      j -= strides[axis] * shape.dim(axis);
      coordinates[axis] = 0;
    }
  }
}

// Computes on operands of T, which all real operands have.
template <typename T>
class Folder {
 public:
  Folder(std::vector<Tensor> operands, const Attributes& attributes,
         const Shape& shape)
      : operands_(std::move(operands)),
        attributes_(attributes),
        shape_(shape) {}

  std::optional<Tensor> Compute(Op op) const {
    switch (op) {
      case Op::kElementwise:
        return Elementwise();
      case Op::kTranspose:
        return Transpose();
      case Op::kSlice:
        return Slice();
      case Op::kConcat:
        return Concat();
      case Op::kGather:
        return Gather();
      case Op::kReduceSum:
      case Op::kReduceMax:
        return Reduce(op);
      default:
        return std::nullopt;
    }
  }

 private:
  const Tensor& input(size_t i) const { return operands_[i]; }
  const T* data(size_t i) const { return input(i).template data<T>().data(); }

  Tensor Elementwise() const {
    Tensor result(DTypeOf<T>(), shape_);
    T* out = result.mutable_data<T>().data();
    const ScalarOp op = std::get<ElementwiseAttrs>(attributes_).op;
    const size_t last = operands_.size() - 1;
    const T* a = data(0);
    const T* b = data(std::min<size_t>(1, last));
    const T* c = data(std::min<size_t>(2, last));
    for (int64_t i = 0; i < shape_.num_elements(); ++i) {
      if constexpr (std::is_same_v<T, float>) {
        out[i] = EvaluateScalar(op, a[i], b[i], c[i]);
      } else {
        out[i] = EvaluateInDouble(op, a[i], b[i], c[i]);
      }
    }
    return result;
  }

  // Element by element from input 0.
  Tensor Pick(const Strides& strides, int64_t offset) const {
    Tensor result(DTypeOf<T>(), shape_);
    T* out = result.mutable_data<T>().data();
    const T* in = data(0);
    ForEach(shape_, strides, offset,
            [&](int64_t i, int64_t j) { out[i] = in[j]; });
    return result;
  }

  Tensor Transpose() const {
    const Strides from = StridesOf(input(0).shape());
    Strides strides;
    for (const int64_t axis :
         std::get<TransposeAttrs>(attributes_).permutation) {
      strides.push_back(from[static_cast<size_t>(axis)]);
    }
    return Pick(strides, 0);
  }

  Tensor Slice() const {
    const auto& attrs = std::get<SliceAttrs>(attributes_);
    Strides strides = StridesOf(input(0).shape());
    int64_t offset = 0;
    for (size_t i = 0; i < strides.size(); ++i) {
      offset += attrs.starts[i] * strides[i];
      strides[i] *= attrs.strides[i];
    }
    return Pick(strides, offset);
  }

  Tensor Concat() const {
    const int axis = std::get<AxisAttrs>(attributes_).axis;
    const Strides strides = StridesOf(shape_);
    Tensor result(DTypeOf<T>(), shape_);
    T* out = result.mutable_data<T>().data();
    int64_t offset = 0;
    for (size_t k = 0; k < operands_.size(); ++k) {
      const T* in = data(k);
      ForEach(input(k).shape(), strides, offset,
              [&](int64_t i, int64_t j) { out[j] = in[i]; });
      offset += input(k).shape().dim(axis) * strides[axis];
    }
    return result;
  }

  Tensor Gather() const {
    const int axis = std::get<AxisAttrs>(attributes_).axis;
    const auto indices = input(1).template data<int64_t>();
    const Strides from = StridesOf(input(0).shape());
    const Strides to = StridesOf(shape_);
    Shape::Dims dims = shape_.dims();
    dims[axis] = 1;
    Tensor result(DTypeOf<T>(), shape_);
    T* out = result.mutable_data<T>().data();
    const T* in = data(0);
    for (size_t k = 0; k < indices.size(); ++k) {
      // `to` and `from` differ along `axis` and outwards of it.
      std::vector<int64_t> targets;
      ForEach(*Shape::Create(dims), to, static_cast<int64_t>(k) * to[axis],
              [&](int64_t, int64_t j) { targets.push_back(j); });
      ForEach(*Shape::Create(dims), from, indices[k] * from[axis],
              [&](int64_t i, int64_t j) {
                out[targets[static_cast<size_t>(i)]] = in[j];
              });
    }
    return result;
  }

  Tensor Reduce(Op op) const {
    const Shape& from = input(0).shape();
    const IntList& axes = std::get<ReduceAttrs>(attributes_).axes;
    const Strides kept = StridesOf(shape_);
    Strides strides;
    size_t next = 0;
    for (int64_t axis = 0; axis < from.rank(); ++axis) {
      const bool gone = std::find(axes.begin(), axes.end(), axis) != axes.end();
      strides.push_back(gone ? 0 : kept[next++]);
    }
    const bool is_sum = op == Op::kReduceSum;
    const double start =
        is_sum ? 0.0 : -std::numeric_limits<double>::infinity();
    std::vector<double> sums(static_cast<size_t>(shape_.num_elements()), start);
    const T* in = data(0);
    ForEach(from, strides, 0, [&](int64_t i, int64_t j) {
      double& sum = sums[static_cast<size_t>(j)];
      sum = is_sum ? sum + in[i] : std::max<double>(sum, in[i]);
    });
    Tensor result(DTypeOf<T>(), shape_);
    std::transform(sums.begin(), sums.end(), result.mutable_data<T>().begin(),
                   [](double sum) { return static_cast<T>(sum); });
    return result;
  }

  const std::vector<Tensor> operands_;
  const Attributes& attributes_;
  const Shape& shape_;
};

// The elements of a constant, or of a broadcast one written out.
std::optional<Tensor> OperandOf(const Graph& graph, ValueId id) {
  const Node& node = graph.node(id);
  if (node.op == Op::kConstant) {
    return graph.attributes<ConstantAttrs>(id).value;
  }
  if (node.op != Op::kBroadcast ||
      graph.node(node.inputs[0]).op != Op::kConstant) {
    return std::nullopt;
  }
  const Tensor& source = graph.attributes<ConstantAttrs>(node.inputs[0]).value;
  Strides strides = StridesOf(source.shape());
  for (size_t i = 0; i < strides.size(); ++i) {
    if (source.shape().dims()[i] == 1) strides[i] = 0;
  }
  Tensor result(source.dtype(), node.shape);
  const size_t size = ByteSize(source.dtype());
  ForEach(node.shape, strides, 0, [&](int64_t i, int64_t j) {
    std::memcpy(result.mutable_bytes() + static_cast<size_t>(i) * size,
                source.bytes() + static_cast<size_t>(j) * size, size);
  });
  return result;
}

}  // namespace

std::optional<float> ScalarOf(const Graph& graph, ValueId id) {
  while (graph.node(id).op == Op::kReshape ||
         graph.node(id).op == Op::kBroadcast) {
    id = graph.node(id).inputs[0];
  }
  const Node& node = graph.node(id);
  if (node.op != Op::kConstant || node.shape.num_elements() != 1) {
    return std::nullopt;
  }
  const Tensor& value = graph.attributes<ConstantAttrs>(id).value;
  if (value.dtype() != DType::kFloat32) return std::nullopt;
  return value.data<float>()[0];
}

std::optional<Tensor> Fold(const Graph& graph, Op op,
                           absl::Span<const ValueId> inputs,
                           const Attributes& attributes, const Shape& shape) {
  bool any_constant = false;
  int64_t elements = shape.num_elements();
  for (const ValueId input : inputs) {
    any_constant = any_constant || graph.node(input).op == Op::kConstant;
    elements = std::max(elements, graph.shape(input).num_elements());
  }
  if (!any_constant) return std::nullopt;
  if (op == Op::kReshape) {
    return graph.attributes<ConstantAttrs>(inputs[0]).value.Reshaped(shape);
  }
  if (elements > kMaxFoldedElements) return std::nullopt;
  std::vector<Tensor> operands;
  for (const ValueId input : inputs) {
    std::optional<Tensor> operand = OperandOf(graph, input);
    if (!operand.has_value()) return std::nullopt;
    operands.push_back(*std::move(operand));
  }
  const auto is_wide = [](const Tensor& operand) {
    return operand.dtype() == DType::kFloat64;
  };
  if (std::none_of(operands.begin(), operands.end(), is_wide)) {
    return Folder<float>(std::move(operands), attributes, shape).Compute(op);
  }
  for (Tensor& operand : operands) {
    if (IsReal(operand)) operand = Widened(operand);
  }
  return Folder<double>(std::move(operands), attributes, shape).Compute(op);
}

}  // namespace basin::internal
