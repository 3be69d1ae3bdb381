#include "core/graph/graph.h"

#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/graph/shape_rules.h"

namespace basin {
namespace {

// In the order of Op.
constexpr std::string_view kNames[] = {"input",
                                       "constant",
                                       "elementwise",
                                       "fused",
                                       "stop_gradient",
                                       "reshape",
                                       "broadcast",
                                       "transpose",
                                       "slice",
                                       "pad",
                                       "concat",
                                       "gather",
                                       "scatter_add",
                                       "take",
                                       "put_add",
                                       "top_k",
                                       "reduce_sum",
                                       "reduce_max",
                                       "matmul",
                                       "conv",
                                       "conv_backward_data",
                                       "conv_backward_weights",
                                       "max_pool",
                                       "max_pool_grad",
                                       "avg_pool",
                                       "avg_pool_grad",
                                       "to_float64",
                                       "combine_energies",
                                       "mixture_share"};

std::string List(const IntList& values) {
  return absl::StrCat("[", absl::StrJoin(values, ","), "]");
}

// Prints attributes, one overload a type; each starts with a space or is
// empty.
struct AttributePrinter {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(const InputAttrs& a) const {
    return absl::StrCat(
        " ", a.name, a.values == InputAttrs::Values::kBinary ? " binary" : "");
  }
  std::string operator()(const ConstantAttrs& a) const {
    const Tensor& value = a.value;
    if (value.num_elements() != 1 || value.dtype() != DType::kFloat32) {
      return absl::StrCat(" ", std::string(Name(value.dtype())));
    }
    return absl::StrCat(" ", value.data<float>()[0]);
  }
  std::string operator()(const ElementwiseAttrs& a) const {
    return absl::StrCat(" ", std::string(Name(a.op)));
  }
  std::string operator()(const FusedAttrs& a) const;
  std::string operator()(const TransposeAttrs& a) const {
    return absl::StrCat(" ", List(a.permutation));
  }
  std::string operator()(const SliceAttrs& a) const {
    return absl::StrCat(" starts=", List(a.starts), " limits=", List(a.limits),
                        " strides=", List(a.strides));
  }
  std::string operator()(const PadAttrs& a) const {
    return absl::StrCat(" before=", List(a.before), " after=", List(a.after),
                        " interior=", List(a.interior));
  }
  std::string operator()(const AxisAttrs& a) const {
    return absl::StrCat(" axis=", a.axis);
  }
  std::string operator()(const TopKAttrs& a) const {
    const bool largest = a.order == TopKAttrs::Order::kLargest;
    return absl::StrCat(" k=", a.k, largest ? "" : " smallest");
  }
  std::string operator()(const CombineAttrs& a) const {
    const bool is_sum = a.kind == CombineAttrs::Kind::kSum;
    std::string text = is_sum ? " sum" : " mixture";
    for (const double weight : a.weights) {
      absl::StrAppendFormat(&text, " %.17g", weight);
    }
    absl::StrAppendFormat(&text, " temperature=%.17g", a.temperature);
    return is_sum ? text : absl::StrCat(text, " term=", a.term);
  }
  std::string operator()(const ReduceAttrs& a) const {
    return absl::StrCat(" axes=", List(a.axes));
  }
  std::string operator()(const MatmulAttrs& a) const {
    return absl::StrCat(a.transpose_a ? " transpose_a" : "",
                        a.transpose_b ? " transpose_b" : "");
  }
  std::string operator()(const ConvAttrs& a) const {
    return absl::StrCat(" strides=", List(a.strides),
                        " dilations=", List(a.dilations),
                        " pads=", List(a.pads_before), List(a.pads_after),
                        " groups=", a.groups, LayoutText(a.layout));
  }
  std::string operator()(const PoolAttrs& a) const {
    return absl::StrCat(
        " kernel=", List(a.kernel), " strides=", List(a.strides),
        " pads=", List(a.pads_before), List(a.pads_after),
        a.count_include_pad ? " count_include_pad" : "", LayoutText(a.layout));
  }
  static const char* LayoutText(ImageLayout layout) {
    return layout == ImageLayout::kChannelsLast ? " channels_last" : "";
  }
};

std::string AttributePrinter::operator()(const FusedAttrs& a) const {
  const ScalarProgram& program = a.program;
  const int first = program.num_operands;
  int value = first + static_cast<int>(program.constants.size());
  std::string text = " {";
  for (size_t i = 0; i < program.constants.size(); ++i) {
    absl::StrAppend(&text, " $", first + i, "=", program.constants[i], ";");
  }
  for (const ScalarInstruction& instruction : program.instructions) {
    absl::StrAppend(&text, " $", value++, "=",
                    std::string(Name(instruction.op)));
    for (int i = 0; i < Arity(instruction.op); ++i) {
      absl::StrAppend(&text, " $", instruction.args[i]);
    }
    absl::StrAppend(&text, ";");
  }
  return absl::StrCat(text, " }");
}

DType ResultType(Op op, const Attributes& attributes) {
  if (op == Op::kToFloat64 || op == Op::kCombineEnergies) {
    return DType::kFloat64;
  }
  if (op != Op::kConstant) return DType::kFloat32;
  const Tensor& value = std::get<ConstantAttrs>(attributes).value;
  return IsReal(value) ? DType::kFloat32 : value.dtype();
}

}  // namespace

std::string_view Name(Op op) {
  const auto index = static_cast<size_t>(op);
  BASIN_CHECK(index < sizeof(kNames) / sizeof(kNames[0]));
  return kNames[index];
}

const Node& Graph::node(ValueId id) const {
  BASIN_CHECK(id >= 0 && id < size());
  return nodes_[static_cast<size_t>(id)];
}

void Graph::set_outputs(std::vector<ValueId> outputs) {
  for (const ValueId id : outputs) BASIN_CHECK(id >= 0 && id < size());
  outputs_ = std::move(outputs);
}

absl::StatusOr<ValueId> Graph::Add(Op op, absl::Span<const ValueId> inputs,
                                   Attributes attributes) {
  return Append(op, inputs, std::move(attributes), nullptr);
}

absl::StatusOr<ValueId> Graph::AddShaped(Op op,
                                         absl::Span<const ValueId> inputs,
                                         Attributes attributes,
                                         const Shape& shape) {
  return Append(op, inputs, std::move(attributes), &shape);
}

absl::StatusOr<ValueId> Graph::Append(Op op, absl::Span<const ValueId> inputs,
                                      Attributes attributes,
                                      const Shape* given) {
  BASIN_ASSIGN_OR_RETURN(
      Shape shape,
      internal::ResultShape({*this, op, inputs, attributes, given}));
  const DType dtype = ResultType(op, attributes);
  nodes_.push_back({op,
                    {inputs.begin(), inputs.end()},
                    std::move(attributes),
                    std::move(shape),
                    dtype});
  const ValueId id = size() - 1;
  if (op == Op::kInput) inputs_.push_back(id);
  return id;
}

std::string Graph::ToString() const {
  std::string text;
  const auto append = [](std::string* out, ValueId id) {
    absl::StrAppend(out, "%", id);
  };
  for (ValueId id = 0; id < size(); ++id) {
    const Node& n = node(id);
    absl::StrAppend(&text, "%", id, " = ", std::string(Name(n.op)), "(",
                    absl::StrJoin(n.inputs, ", ", append), ")",
                    std::visit(AttributePrinter(), n.attributes), " -> ",
                    n.shape.ToString(), "\n");
  }
  return absl::StrCat(text, "outputs ", absl::StrJoin(outputs_, ", ", append),
                      "\n");
}

std::string ToString(const Attributes& attributes) {
  return std::visit(AttributePrinter(), attributes);
}

}  // namespace basin
