#include "core/graph/widen_energies.h"

#include <optional>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/graph/graph_builder.h"
#include "core/graph/simplify.h"

namespace basin {
namespace {

size_t At(ValueId id) { return static_cast<size_t>(id); }

std::optional<ScalarOp> ScalarOpOf(const Node& node) {
  if (node.op != Op::kElementwise) return std::nullopt;
  return std::get<ElementwiseAttrs>(node.attributes).op;
}

// What rows of energies are, as far as it is linear in sums: a sum of
// weights[id] * value id, and a constant.
class LinearForms {
 public:
  explicit LinearForms(const Graph& graph) : graph_(graph) {
    has_sum_.resize(At(graph.size()));
    for (ValueId id = 0; id < graph.size(); ++id) has_sum_[At(id)] = Find(id);
  }

  struct Term {
    double weight = 0;
    ValueId value = GraphBuilder::kNoValue;
  };
  struct Form {
    std::vector<Term> terms;
    double constant = 0;
  };

  // Of value `energy`; nothing if no sum is part of it.
  std::optional<Form> Of(ValueId energy) const {
    if (!has_sum_[At(energy)]) return std::nullopt;
    Form form;
    std::vector<double> weights(At(energy) + 1);
    std::vector<bool> reached(At(energy) + 1);
    weights[At(energy)] = 1;
    reached[At(energy)] = true;
    const auto add = [&](ValueId id, double weight) {
      if (const auto constant = UniformConstant(id)) {
        form.constant += weight * *constant;
        return;
      }
      weights[At(id)] += weight;
      reached[At(id)] = true;
    };
    for (ValueId id = energy; id >= 0; --id) {
      if (!reached[At(id)]) continue;
      const double weight = weights[At(id)];
      if (has_sum_[At(id)] && graph_.node(id).op != Op::kReduceSum) {
        AddOperands(graph_.node(id), weight, add);
      } else {
        form.terms.push_back({weight, id});
      }
    }
    return form;
  }

 private:
  bool HasSum(ValueId id) const { return has_sum_[At(id)]; }

  // Whether `id` is linear in a sum.
  bool Find(ValueId id) const {
    const Node& node = graph_.node(id);
    if (node.op == Op::kReduceSum) {
      return graph_.shape(node.inputs[0]).num_elements() > 0;
    }
    if (node.op == Op::kReshape) return HasSum(node.inputs[0]);
    const std::optional<ScalarOp> op = ScalarOpOf(node);
    if (!op.has_value()) return false;
    const auto is_constant = [&](size_t i) {
      return UniformConstant(node.inputs[i]).has_value();
    };
    switch (*op) {
      case ScalarOp::kNeg:
        return HasSum(node.inputs[0]);
      case ScalarOp::kAdd:
      case ScalarOp::kSub:
        return HasSum(node.inputs[0]) || HasSum(node.inputs[1]);
      case ScalarOp::kMul:
        return (HasSum(node.inputs[0]) && is_constant(1)) ||
               (HasSum(node.inputs[1]) && is_constant(0));
      case ScalarOp::kDiv:
        return HasSum(node.inputs[0]) && is_constant(1);
      default:
        return false;
    }
  }

  // Calls add(operand, weight of it) for what `node`, of `weight`, is made of.
  // REQUIRES: the node is linear in a sum, and none itself.
  template <typename Add>
  void AddOperands(const Node& node, double weight, const Add& add) const {
    const std::optional<ScalarOp> op = ScalarOpOf(node);
    if (!op.has_value()) return add(node.inputs[0], weight);  // a reshape
    switch (*op) {
      case ScalarOp::kNeg:
        return add(node.inputs[0], -weight);
      case ScalarOp::kAdd:
        add(node.inputs[0], weight);
        return add(node.inputs[1], weight);
      case ScalarOp::kSub:
        add(node.inputs[0], weight);
        return add(node.inputs[1], -weight);
      case ScalarOp::kDiv:
        return add(node.inputs[0], weight / *UniformConstant(node.inputs[1]));
      default: {
        const auto second = UniformConstant(node.inputs[1]);
        if (second.has_value()) return add(node.inputs[0], weight * *second);
        add(node.inputs[1], weight * *UniformConstant(node.inputs[0]));
      }
    }
  }

  // The value of all elements of a constant that has one.
  std::optional<double> UniformConstant(ValueId id) const {
    const Node* node = &graph_.node(id);
    while (node->op == Op::kReshape || node->op == Op::kBroadcast) {
      node = &graph_.node(node->inputs[0]);
    }
    if (node->op != Op::kConstant || node->dtype != DType::kFloat32) {
      return std::nullopt;
    }
    const auto values =
        std::get<ConstantAttrs>(node->attributes).value.data<float>();
    if (values.empty()) return std::nullopt;
    for (const float value : values) {
      if (value != values[0]) return std::nullopt;
    }
    return values[0];
  }

  const Graph& graph_;
  std::vector<bool> has_sum_;  // by ValueId
};

// The energy of `form` in double; its terms' values are named by `mapped`, and
// those that are there in double already by `wide`.
ValueId Emit(const LinearForms::Form& form, const Shape& shape,
             const std::vector<ValueId>& mapped, std::vector<ValueId>& wide,
             GraphBuilder& builder) {
  std::vector<ValueId> energies;
  CombineAttrs attributes;
  for (const LinearForms::Term& term : form.terms) {
    ValueId& known = wide[At(term.value)];
    if (known == GraphBuilder::kNoValue || builder.shape(known) != shape) {
      known = builder.ToFloat64(builder.Reshape(mapped[At(term.value)], shape));
    }
    energies.push_back(known);
    attributes.weights.push_back(term.weight);
  }
  if (form.constant != 0) {
    const ValueId ones = builder.BroadcastTo(builder.Constant(1.0), shape);
    energies.push_back(builder.ToFloat64(ones));
    attributes.weights.push_back(form.constant);
  }
  if (energies.size() == 1 && attributes.weights[0] == 1) return energies[0];
  return builder.CombineEnergies(energies, std::move(attributes));
}

}  // namespace

absl::StatusOr<Graph> WidenEnergies(const Graph& graph) {
  const LinearForms forms(graph);
  GraphBuilder builder;
  std::vector<ValueId> mapped(At(graph.size()), GraphBuilder::kNoValue);
  std::vector<ValueId> wide(At(graph.size()), GraphBuilder::kNoValue);
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op == Op::kToFloat64) {
      if (const auto form = forms.Of(node.inputs[0])) {
        mapped[At(id)] = Emit(*form, node.shape, mapped, wide, builder);
        continue;
      }
    }
    std::vector<ValueId> inputs;
    for (const ValueId input : node.inputs) inputs.push_back(mapped[At(input)]);
    mapped[At(id)] = internal::AddNodeOf(builder, node, inputs);
    BASIN_RETURN_IF_ERROR(builder.status());
  }
  std::vector<ValueId> outputs;
  for (const ValueId id : graph.outputs()) outputs.push_back(mapped[At(id)]);
  return std::move(builder).Build(std::move(outputs));
}

}  // namespace basin
