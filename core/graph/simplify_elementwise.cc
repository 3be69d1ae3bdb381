#include <algorithm>

#include "core/graph/fold.h"
#include "core/graph/simplify.h"

namespace basin::internal {

bool Simplifier::IsElementwise(ValueId id, ScalarOp op) const {
  const Node& n = node(id);
  return n.op == Op::kElementwise &&
         std::get<ElementwiseAttrs>(n.attributes).op == op;
}

Simplifier::Result Simplifier::RewriteElementwise(ScalarOp op,
                                                  const Inputs& inputs) {
  Result result;
  if (inputs.size() == 1) result = RewriteUnary(op, inputs[0]);
  if (inputs.size() == 2) result = RewriteBinary(op, inputs[0], inputs[1]);
  return result.has_value() ? result : RewriteOnBroadcasts(op, inputs);
}

Simplifier::Result Simplifier::RewriteUnary(ScalarOp op, ValueId x) {
  if (op == ScalarOp::kNeg && IsElementwise(x, ScalarOp::kNeg)) {
    return node(x).inputs[0];
  }
  return std::nullopt;
}

Simplifier::Result Simplifier::RewriteBinary(ScalarOp op, ValueId a,
                                             ValueId b) {
  const std::optional<float> scalar_a = ScalarOf(builder_.graph(), a);
  const std::optional<float> scalar_b = ScalarOf(builder_.graph(), b);
  switch (op) {
    case ScalarOp::kAdd:
      if (scalar_b == 0.0f) return a;
      if (scalar_a == 0.0f) return b;
      if (IsElementwise(b, ScalarOp::kNeg)) {
        return EmitElementwise(ScalarOp::kSub, {a, node(b).inputs[0]});
      }
      return std::nullopt;
    case ScalarOp::kSub:
      if (scalar_b == 0.0f) return a;
      if (scalar_a == 0.0f) return EmitElementwise(ScalarOp::kNeg, {b});
      if (IsElementwise(b, ScalarOp::kNeg)) {
        return EmitElementwise(ScalarOp::kAdd, {a, node(b).inputs[0]});
      }
      return std::nullopt;
    case ScalarOp::kMul:
      if (scalar_b == 1.0f) return a;
      if (scalar_a == 1.0f) return b;
      if (scalar_b == -1.0f) return EmitElementwise(ScalarOp::kNeg, {a});
      if (scalar_a == -1.0f) return EmitElementwise(ScalarOp::kNeg, {b});
      return std::nullopt;
    case ScalarOp::kDiv:
      if (scalar_b == 1.0f) return a;
      if (scalar_a == 1.0f) return EmitElementwise(ScalarOp::kReciprocal, {b});
      return std::nullopt;
    case ScalarOp::kPow:
      return scalar_b.has_value() ? RewritePow(a, *scalar_b) : std::nullopt;
    default:
      return std::nullopt;
  }
}

Simplifier::Result Simplifier::RewritePow(ValueId x, float exponent) {
  if (exponent == 1.0f) return x;
  if (exponent == -1.0f) return EmitElementwise(ScalarOp::kReciprocal, {x});
  const bool is_square = exponent == 2.0f;
  if (!is_square && exponent != 3.0f) return std::nullopt;
  const ValueId square = EmitElementwise(ScalarOp::kMul, {x, x});
  return is_square ? square : EmitElementwise(ScalarOp::kMul, {square, x});
}

// f(broadcast(x), broadcast(y)) = broadcast(f(x, y)): fewer elements to
// compute, and what depends on constants only becomes a small constant.
Simplifier::Result Simplifier::RewriteOnBroadcasts(ScalarOp op,
                                                   const Inputs& inputs) {
  const Shape shape = node(inputs[0]).shape;
  Shape::Dims dims(static_cast<size_t>(shape.rank()), 1);
  Inputs sources;
  for (const ValueId input : inputs) {
    if (node(input).op != Op::kBroadcast) return std::nullopt;
    sources.push_back(node(input).inputs[0]);
    const Shape& from = node(sources.back()).shape;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (dims[i] == 1) dims[i] = from.dims()[i];
    }
  }
  if (dims == shape.dims()) return std::nullopt;
  const Shape small = *Shape::Create(dims);
  for (ValueId& source : sources) source = EmitBroadcast(source, small);
  return EmitBroadcast(EmitElementwise(op, sources), shape);
}

}  // namespace basin::internal
