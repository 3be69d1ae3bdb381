#include "core/graph/simplify.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "core/graph/fold.h"
#include "core/graph/passes.h"

namespace basin {
namespace internal {
namespace {

bool ShapeIsGiven(Op op) {
  switch (op) {
    case Op::kInput:
    case Op::kFused:
    case Op::kReshape:
    case Op::kBroadcast:
    case Op::kScatterAdd:
    case Op::kPutAdd:
    case Op::kConvBackwardData:
    case Op::kConvBackwardWeights:
    case Op::kAvgPoolGrad:
      return true;
    default:
      return false;
  }
}

ValueId AddTo(GraphBuilder& builder, Op op, absl::Span<const ValueId> inputs,
              Attributes attributes, const Shape& shape) {
  return ShapeIsGiven(op)
             ? builder.AddShapedNode(op, inputs, std::move(attributes), shape)
             : builder.AddNode(op, inputs, std::move(attributes));
}

// Equal keys mean equal values.
std::string KeyOf(Op op, absl::Span<const ValueId> inputs,
                  const Attributes& attributes, const Shape& shape) {
  constexpr size_t kComparedBytes = 64;  // of small constants
  std::string key =
      absl::StrCat(std::string(Name(op)), " ", absl::StrJoin(inputs, ","), " ",
                   shape.ToString(), ToString(attributes));
  if (op != Op::kConstant) return key;
  const Tensor& value = std::get<ConstantAttrs>(attributes).value;
  if (value.byte_size() <= kComparedBytes) {
    const auto* bytes = reinterpret_cast<const char*>(value.bytes());
    return absl::StrCat(key, "=", absl::string_view(bytes, value.byte_size()));
  }
  return absl::StrCat(key, "@", reinterpret_cast<uintptr_t>(value.id()));
}

// Whether the operation's result on constants may need rounding.
bool Rounds(Op op) { return op == Op::kElementwise || op == Op::kReduceSum; }

bool AllEqual(const IntList& values, int64_t wanted) {
  return std::all_of(values.begin(), values.end(),
                     [=](int64_t value) { return value == wanted; });
}

// Whether the permutation exchanges the last two axes and no other.
bool SwapsLastTwo(const IntList& permutation) {
  const auto rank = static_cast<int64_t>(permutation.size());
  if (rank < 2) return false;
  for (int64_t i = 0; i < rank - 2; ++i) {
    if (permutation[static_cast<size_t>(i)] != i) return false;
  }
  return permutation.back() == rank - 2;
}

// Whether axes longer than 1 keep their order, so that a reshape does it.
bool MovesOnlyOnes(const IntList& permutation, const Shape& from) {
  int64_t previous = -1;
  for (const int64_t axis : permutation) {
    if (from.dim(static_cast<int>(axis)) == 1) continue;
    if (axis < previous) return false;
    previous = axis;
  }
  return true;
}

}  // namespace

absl::StatusOr<Graph> Simplifier::Run() {
  const std::vector<bool> live = LiveValues(graph_);
  std::vector<ValueId> mapped(live.size(), GraphBuilder::kNoValue);
  for (ValueId id = 0; id < graph_.size(); ++id) {
    const Node& n = graph_.node(id);
    if (!live[id] && n.op != Op::kInput) continue;
    Inputs inputs;
    for (const ValueId input : n.inputs) inputs.push_back(mapped[input]);
    mapped[id] = Emit(n.op, std::move(inputs), n.attributes, n.shape);
    BASIN_RETURN_IF_ERROR(builder_.status());
  }
  std::vector<ValueId> outputs;
  for (const ValueId id : graph_.outputs()) outputs.push_back(mapped[id]);
  BASIN_ASSIGN_OR_RETURN(const Graph result,
                         std::move(builder_).Build(std::move(outputs)));
  return DropDead(result);
}

ValueId Simplifier::Emit(Op op, Inputs inputs, Attributes attributes,
                         Shape shape) {
  if (!builder_.status().ok()) return GraphBuilder::kNoValue;
  if (folding_ == Folding::kAll || !Rounds(op)) {
    if (auto value = Fold(builder_.graph(), op, inputs, attributes, shape)) {
      return EmitConstant(*std::move(value));
    }
  }
  if (auto value = Rewrite(op, inputs, attributes, shape)) return *value;
  return Share(op, std::move(inputs), std::move(attributes), shape);
}

ValueId Simplifier::EmitConstant(Tensor value) {
  const Shape shape = value.shape();
  return Share(Op::kConstant, {}, ConstantAttrs{std::move(value)}, shape);
}

ValueId Simplifier::EmitElementwise(ScalarOp op, Inputs inputs) {
  const Shape shape = node(inputs[0]).shape;
  return Emit(Op::kElementwise, std::move(inputs), ElementwiseAttrs{op}, shape);
}

ValueId Simplifier::EmitReshape(ValueId x, const Shape& shape) {
  return Emit(Op::kReshape, {x}, {}, shape);
}

ValueId Simplifier::EmitBroadcast(ValueId x, const Shape& shape) {
  return Emit(Op::kBroadcast, {x}, {}, shape);
}

ValueId Simplifier::EmitFilled(float value, const Shape& shape) {
  const Shape::Dims ones(static_cast<size_t>(shape.rank()), 1);
  const Tensor scalar = Tensor::Scalar(value);
  return EmitBroadcast(EmitConstant(scalar.Reshaped(*Shape::Create(ones))),
                       shape);
}

ValueId Simplifier::Share(Op op, Inputs inputs, Attributes attributes,
                          const Shape& shape) {
  // Inputs are arguments, each its own; a program's text rounds its constants.
  if (op == Op::kInput || op == Op::kFused) {
    return AddTo(builder_, op, inputs, std::move(attributes), shape);
  }
  if (op == Op::kElementwise) {
    const ScalarOp scalar = std::get<ElementwiseAttrs>(attributes).op;
    if (scalar == ScalarOp::kAdd || scalar == ScalarOp::kMul) {
      std::sort(inputs.begin(), inputs.end());
    }
  }
  const auto [place, is_new] = seen_.try_emplace(
      KeyOf(op, inputs, attributes, shape), GraphBuilder::kNoValue);
  if (is_new) {
    place->second = AddTo(builder_, op, inputs, std::move(attributes), shape);
  }
  return place->second;
}

Simplifier::Result Simplifier::Rewrite(Op op, const Inputs& inputs,
                                       const Attributes& attributes,
                                       const Shape& shape) {
  switch (op) {
    case Op::kStopGradient:
      return inputs[0];
    case Op::kReshape:
      return RewriteReshape(inputs[0], shape);
    case Op::kBroadcast:
      return RewriteBroadcast(inputs[0], shape);
    case Op::kTranspose:
      return RewriteTranspose(
          inputs[0], std::get<TransposeAttrs>(attributes).permutation, shape);
    case Op::kSlice: {
      const bool is_whole = node(inputs[0]).shape == shape;
      return is_whole ? Result(inputs[0]) : std::nullopt;
    }
    case Op::kPad: {
      const auto& attrs = std::get<PadAttrs>(attributes);
      const bool is_empty = AllEqual(attrs.before, 0) &&
                            AllEqual(attrs.after, 0) &&
                            AllEqual(attrs.interior, 0);
      return is_empty ? Result(inputs[0]) : std::nullopt;
    }
    case Op::kConcat:
      return inputs.size() == 1 ? Result(inputs[0]) : std::nullopt;
    case Op::kReduceSum:
    case Op::kReduceMax:
      return RewriteReduce(op, inputs[0],
                           std::get<ReduceAttrs>(attributes).axes, shape);
    case Op::kMatmul:
      return RewriteMatmul(inputs, std::get<MatmulAttrs>(attributes), shape);
    case Op::kElementwise:
      return RewriteElementwise(std::get<ElementwiseAttrs>(attributes).op,
                                inputs);
    default:
      return std::nullopt;
  }
}

Simplifier::Result Simplifier::RewriteReshape(ValueId x, const Shape& shape) {
  const Node from = node(x);
  if (from.shape == shape) return x;
  if (from.op == Op::kReshape) return EmitReshape(from.inputs[0], shape);
  if (from.op == Op::kBroadcast &&
      node(from.inputs[0]).shape.num_elements() == 1) {
    const Shape::Dims ones(static_cast<size_t>(shape.rank()), 1);
    return EmitBroadcast(EmitReshape(from.inputs[0], *Shape::Create(ones)),
                         shape);
  }
  return std::nullopt;
}

Simplifier::Result Simplifier::RewriteBroadcast(ValueId x, const Shape& shape) {
  const Node from = node(x);
  if (from.shape == shape) return x;
  if (from.op == Op::kBroadcast) return EmitBroadcast(from.inputs[0], shape);
  return std::nullopt;
}

Simplifier::Result Simplifier::RewriteTranspose(ValueId x,
                                                const IntList& permutation,
                                                const Shape& shape) {
  const Node from = node(x);
  if (MovesOnlyOnes(permutation, from.shape)) return EmitReshape(x, shape);
  if (from.op != Op::kTranspose) return std::nullopt;
  const IntList& first = std::get<TransposeAttrs>(from.attributes).permutation;
  IntList both;
  for (const int64_t axis : permutation) {
    both.push_back(first[static_cast<size_t>(axis)]);
  }
  return Emit(Op::kTranspose, {from.inputs[0]}, TransposeAttrs{both}, shape);
}

Simplifier::Result Simplifier::RewriteReduce(Op op, ValueId x,
                                             const IntList& axes,
                                             const Shape& shape) {
  const Node from = node(x);
  // Nothing to add up: all reduced axes have one element.
  if (from.shape.num_elements() == shape.num_elements() &&
      shape.num_elements() > 0) {
    return EmitReshape(x, shape);
  }
  if (from.op != Op::kBroadcast) return std::nullopt;
  // Copies along a reduced axis: count them instead.
  const Shape source = node(from.inputs[0]).shape;
  Shape::Dims dims = from.shape.dims();
  float copies = 1.0f;
  for (const int64_t axis : axes) {
    const auto i = static_cast<size_t>(axis);
    if (source.dims()[i] != 1 || dims[i] == 1) continue;
    copies *= static_cast<float>(dims[i]);
    dims[i] = 1;
  }
  if (dims == from.shape.dims()) return std::nullopt;
  const ValueId thin = EmitBroadcast(from.inputs[0], *Shape::Create(dims));
  const ValueId y = Emit(op, {thin}, ReduceAttrs{axes}, shape);
  if (op == Op::kReduceMax) return y;
  return EmitElementwise(ScalarOp::kMul, {y, EmitFilled(copies, shape)});
}

Simplifier::Result Simplifier::RewriteMatmul(const Inputs& inputs,
                                             const MatmulAttrs& attributes,
                                             const Shape& shape) {
  bool flags[] = {attributes.transpose_a, attributes.transpose_b};
  const int rank = shape.rank();
  for (int i = 0; i < 2; ++i) {
    const Node operand = node(inputs[i]);
    if (operand.op != Op::kTranspose ||
        !SwapsLastTwo(
            std::get<TransposeAttrs>(operand.attributes).permutation)) {
      continue;
    }
    Inputs untransposed = inputs;
    untransposed[i] = operand.inputs[0];
    flags[i] = !flags[i];
    return Emit(Op::kMatmul, untransposed, MatmulAttrs{flags[0], flags[1]},
                shape);
  }
  if (node(inputs[0]).shape.dim(flags[0] ? -2 : -1) != 1) return std::nullopt;
  // A column times a row: elementwise, and then fused with its neighbours.
  Shape::Dims column = shape.dims();
  column[rank - 1] = 1;
  Shape::Dims row = shape.dims();
  row[rank - 2] = 1;
  const ValueId a = EmitReshape(inputs[0], *Shape::Create(column));
  const ValueId b = EmitReshape(inputs[1], *Shape::Create(row));
  return EmitElementwise(ScalarOp::kMul,
                         {EmitBroadcast(a, shape), EmitBroadcast(b, shape)});
}

ValueId AddNodeOf(GraphBuilder& builder, const Node& node,
                  absl::Span<const ValueId> inputs) {
  return AddTo(builder, node.op, inputs, node.attributes, node.shape);
}

std::vector<bool> LiveValues(const Graph& graph) {
  std::vector<bool> live(static_cast<size_t>(graph.size()), false);
  for (const ValueId id : graph.outputs()) live[id] = true;
  for (ValueId id = graph.size() - 1; id >= 0; --id) {
    if (!live[id]) continue;
    for (const ValueId input : graph.node(id).inputs) live[input] = true;
  }
  return live;
}

absl::StatusOr<Graph> DropDead(const Graph& graph) {
  const std::vector<bool> live = LiveValues(graph);
  std::vector<ValueId> mapped(live.size(), GraphBuilder::kNoValue);
  GraphBuilder builder;
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& n = graph.node(id);
    if (!live[id] && n.op != Op::kInput) continue;
    Simplifier::Inputs inputs;
    for (const ValueId input : n.inputs) inputs.push_back(mapped[input]);
    mapped[id] = AddNodeOf(builder, n, inputs);
  }
  std::vector<ValueId> outputs;
  for (const ValueId id : graph.outputs()) outputs.push_back(mapped[id]);
  return std::move(builder).Build(std::move(outputs));
}

}  // namespace internal

absl::StatusOr<Graph> Simplify(const Graph& graph, Folding folding) {
  return internal::Simplifier(graph, folding).Run();
}

absl::StatusOr<Graph> Narrow(const Graph& graph) {
  GraphBuilder builder;
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op == Op::kConstant && node.dtype == DType::kFloat32) {
      builder.Constant(Narrowed(graph.attributes<ConstantAttrs>(id).value));
    } else {
      internal::AddNodeOf(builder, node, node.inputs);
    }
  }
  return std::move(builder).Build(graph.outputs());
}

absl::StatusOr<Graph> Optimize(const Graph& graph) {
  BASIN_ASSIGN_OR_RETURN(const Graph simple, Simplify(graph));
  return Fuse(simple);
}

}  // namespace basin
