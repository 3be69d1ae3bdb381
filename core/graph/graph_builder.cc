#include "core/graph/graph_builder.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"

namespace basin {
namespace {

// NumPy's rule on two dimension lists, aligned at their ends.
absl::StatusOr<Shape> BroadcastDims(const Shape::Dims& a,
                                    const Shape::Dims& b) {
  Shape::Dims dims = a.size() >= b.size() ? a : b;
  const Shape::Dims& shorter = a.size() >= b.size() ? b : a;
  const size_t offset = dims.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& dim = dims[offset + i];
    if (dim == 1) dim = shorter[i];
    if (dim != shorter[i] && shorter[i] != 1) {
      return absl::InvalidArgumentError("the shapes do not broadcast");
    }
  }
  return Shape::Create(dims);
}

Shape::Dims WithAxesOfOne(Shape::Dims dims, const IntList& axes) {
  for (const int64_t axis : axes) dims[static_cast<size_t>(axis)] = 1;
  return dims;
}

}  // namespace

bool GraphBuilder::IsConstant(ValueId id) const {
  return id >= 0 && id < graph_.size() && graph_.node(id).op == Op::kConstant;
}

const Tensor& GraphBuilder::ConstantValue(ValueId id) const {
  BASIN_CHECK(IsConstant(id));
  return graph_.attributes<ConstantAttrs>(id).value;
}

absl::StatusOr<Graph> GraphBuilder::Build(std::vector<ValueId> outputs) && {
  BASIN_RETURN_IF_ERROR(status_);
  if (!Known(outputs)) return status_;
  graph_.set_outputs(std::move(outputs));
  return std::move(graph_);
}

ValueId GraphBuilder::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
  return kNoValue;
}

bool GraphBuilder::Known(absl::Span<const ValueId> ids) {
  for (const ValueId id : ids) {
    if (id >= 0 && id < graph_.size()) continue;
    Fail(absl::InvalidArgumentError(absl::StrCat("there is no value %", id)));
  }
  return status_.ok();
}

ValueId GraphBuilder::Input(std::string name, const Shape& shape,
                            InputAttrs::Values values) {
  return AddShapedNode(Op::kInput, {}, InputAttrs{std::move(name), values},
                       shape);
}

ValueId GraphBuilder::Constant(Tensor value) {
  return AddNode(Op::kConstant, {}, ConstantAttrs{std::move(value)});
}

ValueId GraphBuilder::Constant(double value) {
  return Constant(RealScalar(value));
}

ValueId GraphBuilder::Elementwise(ScalarOp op,
                                  absl::InlinedVector<ValueId, 3> operands) {
  if (!Known(operands)) return kNoValue;
  Shape common = shape(operands[0]);
  for (const ValueId operand : operands) {
    auto joined = BroadcastDims(common.dims(), shape(operand).dims());
    if (!joined.ok()) {
      return Fail(absl::InvalidArgumentError(absl::StrCat(
          std::string(Name(op)), ": ", common.ToString(), " and ",
          shape(operand).ToString(), ": ", joined.status().message())));
    }
    common = *std::move(joined);
  }
  for (ValueId& operand : operands) operand = BroadcastTo(operand, common);
  return AddNode(Op::kElementwise, operands, ElementwiseAttrs{op});
}

ValueId GraphBuilder::Unary(ScalarOp op, ValueId x) {
  return Elementwise(op, {x});
}

ValueId GraphBuilder::Binary(ScalarOp op, ValueId a, ValueId b) {
  return Elementwise(op, {a, b});
}

ValueId GraphBuilder::Select(ValueId condition, ValueId if_true,
                             ValueId if_false) {
  return Elementwise(ScalarOp::kSelect, {condition, if_true, if_false});
}

ValueId GraphBuilder::Reshape(ValueId x, const Shape& shape) {
  if (!Known({x})) return kNoValue;
  if (graph_.shape(x) == shape) return x;
  return AddShapedNode(Op::kReshape, {x}, {}, shape);
}

ValueId GraphBuilder::BroadcastTo(ValueId x, const Shape& shape) {
  if (!Known({x})) return kNoValue;
  const Shape& from = graph_.shape(x);
  if (from == shape) return x;
  if (from.rank() < shape.rank()) {
    Shape::Dims dims(static_cast<size_t>(shape.rank() - from.rank()), 1);
    dims.insert(dims.end(), from.dims().begin(), from.dims().end());
    x = Reshape(x, *Shape::Create(dims));
    if (!Known({x}) || graph_.shape(x) == shape) return x;
  }
  return AddShapedNode(Op::kBroadcast, {x}, {}, shape);
}

ValueId GraphBuilder::Transpose(ValueId x, IntList permutation) {
  return AddNode(Op::kTranspose, {x}, TransposeAttrs{std::move(permutation)});
}

ValueId GraphBuilder::Slice(ValueId x, SliceAttrs attributes) {
  return AddNode(Op::kSlice, {x}, std::move(attributes));
}

ValueId GraphBuilder::Pad(ValueId x, PadAttrs attributes) {
  return AddNode(Op::kPad, {x}, std::move(attributes));
}

ValueId GraphBuilder::Concat(absl::Span<const ValueId> xs, int axis) {
  return AddNode(Op::kConcat, xs, AxisAttrs{axis});
}

ValueId GraphBuilder::Gather(ValueId x, ValueId indices, int axis) {
  return AddNode(Op::kGather, {x, indices}, AxisAttrs{axis});
}

ValueId GraphBuilder::ScatterAdd(ValueId dy, ValueId indices, int axis,
                                 const Shape& shape) {
  return AddShapedNode(Op::kScatterAdd, {dy, indices}, AxisAttrs{axis}, shape);
}

ValueId GraphBuilder::Take(ValueId x, ValueId indices) {
  return AddNode(Op::kTake, {x, indices}, {});
}

ValueId GraphBuilder::PutAdd(ValueId dy, ValueId indices, int64_t size) {
  if (!Known({dy, indices})) return kNoValue;
  Shape::Dims dims = shape(dy).dims();
  if (dims.size() > 1) dims[1] = size;  // the shape rule refuses another rank
  auto to = Shape::Create(dims);
  if (!to.ok()) return Fail(to.status());
  return AddShapedNode(Op::kPutAdd, {dy, indices}, {}, *to);
}

ValueId GraphBuilder::TopK(ValueId x, TopKAttrs attributes) {
  return AddNode(Op::kTopK, {x}, attributes);
}

ValueId GraphBuilder::Reduce(Op op, ValueId x, IntList axes,
                             ReducedAxes reduced) {
  const ValueId y = AddNode(op, {x}, ReduceAttrs{axes});
  if (y == kNoValue || reduced == ReducedAxes::kDrop) return y;
  return Reshape(y, *Shape::Create(WithAxesOfOne(shape(x).dims(), axes)));
}

ValueId GraphBuilder::ReduceSum(ValueId x, IntList axes, ReducedAxes reduced) {
  return Reduce(Op::kReduceSum, x, std::move(axes), reduced);
}

ValueId GraphBuilder::ReduceMax(ValueId x, IntList axes, ReducedAxes reduced) {
  return Reduce(Op::kReduceMax, x, std::move(axes), reduced);
}

ValueId GraphBuilder::LogSumExp(ValueId x, IntList axes, ReducedAxes reduced) {
  // The maximum cancels in the derivative, so none needs to flow through it.
  const ValueId max = StopGradient(ReduceMax(x, axes, ReducedAxes::kKeep));
  const ValueId sum =
      ReduceSum(Unary(ScalarOp::kExp, Sub(x, max)), axes, ReducedAxes::kKeep);
  const ValueId y = Add(max, Unary(ScalarOp::kLog, sum));
  if (y == kNoValue || reduced == ReducedAxes::kKeep) return y;
  Shape::Dims dims;
  for (int64_t axis = 0; axis < shape(x).rank(); ++axis) {
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) {
      dims.push_back(shape(x).dim(static_cast<int>(axis)));
    }
  }
  return Reshape(y, *Shape::Create(dims));
}

ValueId GraphBuilder::Matmul(ValueId a, ValueId b, MatmulAttrs attributes) {
  if (!Known({a, b})) return kNoValue;
  const Shape shape_a = shape(a);
  const Shape shape_b = shape(b);
  const int rank_a = shape_a.rank();
  const int rank_b = shape_b.rank();
  // Rows of every batch times one matrix: one large product.
  if (rank_a > 2 && rank_b == 2 && !attributes.transpose_a) {
    const int64_t inner = shape_a.dim(-1);
    int64_t rows = 1;
    for (int i = 0; i < rank_a - 1; ++i) rows *= shape_a.dim(i);
    const ValueId y =
        AddNode(Op::kMatmul, {Reshape(a, Shape({rows, inner})), b}, attributes);
    if (y == kNoValue) return y;
    Shape::Dims dims = shape_a.dims();
    dims.back() = shape(y).dim(1);
    auto result = Shape::Create(dims);
    return result.ok() ? Reshape(y, *result) : Fail(result.status());
  }
  if (rank_a < 2 || rank_b < 2) {
    return AddNode(Op::kMatmul, {a, b}, attributes);  // which says why not
  }
  const auto batch =
      BroadcastDims({shape_a.dims().begin(), shape_a.dims().end() - 2},
                    {shape_b.dims().begin(), shape_b.dims().end() - 2});
  if (!batch.ok()) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("matmul(", shape_a.ToString(), ", ", shape_b.ToString(),
                     "): ", batch.status().message())));
  }
  const auto stretch = [&](ValueId x, const Shape& from) {
    Shape::Dims dims = batch->dims();
    dims.insert(dims.end(), from.dims().end() - 2, from.dims().end());
    auto to = Shape::Create(dims);
    return to.ok() ? BroadcastTo(x, *to) : Fail(to.status());
  };
  return AddNode(Op::kMatmul, {stretch(a, shape_a), stretch(b, shape_b)},
                 attributes);
}

ValueId GraphBuilder::Conv(ValueId x, ValueId w, ConvAttrs attributes) {
  return AddNode(Op::kConv, {x, w}, std::move(attributes));
}

ValueId GraphBuilder::ConvBackwardData(ValueId dy, ValueId w,
                                       ConvAttrs attributes,
                                       const Shape& x_shape) {
  return AddShapedNode(Op::kConvBackwardData, {dy, w}, std::move(attributes),
                       x_shape);
}

ValueId GraphBuilder::MaxPool(ValueId x, PoolAttrs attributes) {
  return AddNode(Op::kMaxPool, {x}, std::move(attributes));
}

ValueId GraphBuilder::AvgPool(ValueId x, PoolAttrs attributes) {
  return AddNode(Op::kAvgPool, {x}, std::move(attributes));
}

ValueId GraphBuilder::StopGradient(ValueId x) {
  return AddNode(Op::kStopGradient, {x}, {});
}

ValueId GraphBuilder::ToFloat64(ValueId x) {
  if (!Known({x}) || graph_.node(x).dtype == DType::kFloat64) return x;
  return AddNode(Op::kToFloat64, {x}, {});
}

ValueId GraphBuilder::CombineEnergies(absl::Span<const ValueId> energies,
                                      CombineAttrs attributes) {
  std::vector<ValueId> wide;
  for (const ValueId energy : energies) wide.push_back(ToFloat64(energy));
  return AddNode(Op::kCombineEnergies, wide, std::move(attributes));
}

ValueId GraphBuilder::AddNode(Op op, absl::Span<const ValueId> inputs,
                              Attributes attributes) {
  if (!Known(inputs)) return kNoValue;
  auto id = graph_.Add(op, inputs, std::move(attributes));
  return id.ok() ? *id : Fail(id.status());
}

ValueId GraphBuilder::AddShapedNode(Op op, absl::Span<const ValueId> inputs,
                                    Attributes attributes, const Shape& shape) {
  if (!Known(inputs)) return kNoValue;
  auto id = graph_.AddShaped(op, inputs, std::move(attributes), shape);
  return id.ok() ? *id : Fail(id.status());
}

}  // namespace basin
