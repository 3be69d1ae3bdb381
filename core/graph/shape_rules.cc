#include "core/graph/shape_rules.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <variant>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

// Shape::Create() with the operation in the message.
absl::StatusOr<Shape> Create(const NodeDraft& draft, const Shape::Dims& dims) {
  absl::StatusOr<Shape> shape = Shape::Create(dims);
  if (shape.ok()) return shape;
  return DraftError(draft, shape.status().message());
}

absl::Status CheckAxis(const NodeDraft& draft, const Shape& shape, int axis) {
  if (axis >= 0 && axis < shape.rank()) return absl::OkStatus();
  return DraftError(
      draft, absl::StrCat("axis ", axis, " is not one of ", shape.ToString()));
}

bool EqualBut(const Shape& a, const Shape& b, int axis) {
  if (a.rank() != b.rank()) return false;
  for (int i = 0; i < a.rank(); ++i) {
    if (i != axis && a.dim(i) != b.dim(i)) return false;
  }
  return true;
}

absl::StatusOr<Shape> InputShape(const NodeDraft& draft) {
  return *draft.given;
}

absl::StatusOr<Shape> ConstantShape(const NodeDraft& draft) {
  const Tensor& value = draft.attrs<ConstantAttrs>().value;
  if (!IsReal(value) && value.dtype() != DType::kInt64) {
    return DraftError(draft,
                      absl::StrCat("expected float32, float64 or int64, got ",
                                   std::string(Name(value.dtype()))));
  }
  return value.shape();
}

absl::StatusOr<Shape> CombineShape(const NodeDraft& draft) {
  const auto& attrs = draft.attrs<CombineAttrs>();
  const bool is_mixture = attrs.kind == CombineAttrs::Kind::kMixture;
  const size_t terms = draft.inputs.size();
  bool fits = attrs.weights.size() == terms && attrs.temperature > 0 &&
              attrs.term >= 0 && static_cast<size_t>(attrs.term) < terms;
  Shape shape = draft.input(0);
  for (size_t i = 1; i < terms; ++i) {
    const Shape& other = draft.input(static_cast<int>(i));
    if (other.rank() > shape.rank()) shape = other;
  }
  for (size_t i = 0; fits && i < terms; ++i) {
    const Shape& energies = draft.input(static_cast<int>(i));
    const bool of_all_classes = energies.rank() == 1 && shape.rank() == 2 &&
                                energies.dim(0) == shape.dim(0);
    fits = (energies == shape || of_all_classes) &&
           (!is_mixture || attrs.weights[i] > 0);
  }
  if (fits && (is_mixture || draft.op == Op::kCombineEnergies)) return shape;
  return DraftError(draft,
                    "expected energies of one shape [N] or [N, K], or both, a "
                    "weight for each, and those of a mixture and the "
                    "temperature above 0");
}

absl::StatusOr<Shape> ElementwiseShape(const NodeDraft& draft) {
  const ScalarOp op = draft.attrs<ElementwiseAttrs>().op;
  if (static_cast<int>(draft.inputs.size()) != Arity(op)) {
    return DraftError(draft, absl::StrCat(std::string(Name(op)), " takes ",
                                          Arity(op), " operands"));
  }
  for (size_t i = 1; i < draft.inputs.size(); ++i) {
    if (!(draft.input(i) == draft.input(0))) {
      return DraftError(
          draft, absl::StrCat(std::string(Name(op)), ": the shapes differ"));
    }
  }
  return draft.input(0);
}

// What the operands of a fused node span together.
absl::StatusOr<Shape> JoinedShape(const NodeDraft& draft) {
  Shape::Dims dims = draft.input(0).dims();
  for (size_t i = 1; i < draft.inputs.size(); ++i) {
    const Shape& operand = draft.input(i);
    if (operand.rank() != static_cast<int>(dims.size())) {
      return DraftError(draft, "the operands differ in rank");
    }
    for (int axis = 0; axis < operand.rank(); ++axis) {
      if (dims[axis] == 1) dims[axis] = operand.dim(axis);
    }
  }
  return Create(draft, dims);
}

bool BroadcastsTo(const Shape& from, const Shape& to) {
  if (from.rank() != to.rank()) return false;
  for (int axis = 0; axis < to.rank(); ++axis) {
    if (from.dim(axis) != to.dim(axis) && from.dim(axis) != 1) return false;
  }
  return true;
}

absl::StatusOr<Shape> FusedShape(const NodeDraft& draft) {
  const ScalarProgram& program = draft.attrs<FusedAttrs>().program;
  BASIN_RETURN_IF_ERROR(Validate(program));
  if (program.num_operands != static_cast<int>(draft.inputs.size())) {
    return DraftError(draft, absl::StrCat("the program has ",
                                          program.num_operands, " operands"));
  }
  Shape shape;
  if (draft.given != nullptr) {
    shape = *draft.given;
  } else {
    BASIN_ASSIGN_OR_RETURN(shape, JoinedShape(draft));
  }
  for (size_t i = 0; i < draft.inputs.size(); ++i) {
    if (!BroadcastsTo(draft.input(i), shape)) {
      return DraftError(draft,
                        absl::StrCat("operand ", i, " does not broadcast to ",
                                     shape.ToString()));
    }
  }
  return shape;
}

absl::StatusOr<Shape> SameShape(const NodeDraft& draft) {
  return draft.input(0);
}

absl::StatusOr<Shape> ReshapeShape(const NodeDraft& draft) {
  if (draft.given->num_elements() != draft.input(0).num_elements()) {
    return DraftError(draft,
                      absl::StrCat("cannot become ", draft.given->ToString(),
                                   ": another number of elements"));
  }
  return *draft.given;
}

absl::StatusOr<Shape> BroadcastShape(const NodeDraft& draft) {
  if (!BroadcastsTo(draft.input(0), *draft.given)) {
    return DraftError(draft,
                      absl::StrCat("cannot become ", draft.given->ToString()));
  }
  return *draft.given;
}

absl::StatusOr<Shape> TransposeShape(const NodeDraft& draft) {
  const IntList& permutation = draft.attrs<TransposeAttrs>().permutation;
  const Shape& x = draft.input(0);
  IntList sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  bool valid = static_cast<int>(sorted.size()) == x.rank();
  for (size_t i = 0; valid && i < sorted.size(); ++i) {
    valid = sorted[i] == static_cast<int64_t>(i);
  }
  if (!valid) {
    return DraftError(draft, absl::StrCat("[", absl::StrJoin(permutation, ", "),
                                          "] does not permute its axes"));
  }
  Shape::Dims dims;
  for (const int64_t axis : permutation) {
    dims.push_back(x.dim(static_cast<int>(axis)));
  }
  return Create(draft, dims);
}

absl::StatusOr<Shape> SliceShape(const NodeDraft& draft) {
  const auto& attrs = draft.attrs<SliceAttrs>();
  const Shape& x = draft.input(0);
  const auto rank = static_cast<size_t>(x.rank());
  if (attrs.starts.size() != rank || attrs.limits.size() != rank ||
      attrs.strides.size() != rank) {
    return DraftError(draft,
                      "starts, limits and strides need one entry per "
                      "axis");
  }
  Shape::Dims dims;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t start = attrs.starts[i];
    const int64_t limit = attrs.limits[i];
    const int64_t stride = attrs.strides[i];
    if (start < 0 || limit < start || limit > x.dims()[i] || stride < 1) {
      return DraftError(
          draft, absl::StrCat("axis ", i, ": no slice from ", start, " to ",
                              limit, " by ", stride));
    }
    dims.push_back(limit == start ? 0 : (limit - start - 1) / stride + 1);
  }
  return Create(draft, dims);
}

absl::StatusOr<Shape> PadShape(const NodeDraft& draft) {
  const auto& attrs = draft.attrs<PadAttrs>();
  const Shape& x = draft.input(0);
  const auto rank = static_cast<size_t>(x.rank());
  if (attrs.before.size() != rank || attrs.after.size() != rank ||
      attrs.interior.size() != rank) {
    return DraftError(draft,
                      "before, after and interior need one entry per "
                      "axis");
  }
  Shape::Dims dims;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t gaps = std::max<int64_t>(x.dims()[i] - 1, 0);
    const int64_t pads[] = {attrs.before[i], attrs.after[i], attrs.interior[i]};
    const bool valid = std::all_of(
        std::begin(pads), std::end(pads),
        [](int64_t pad) { return pad >= 0 && pad <= Shape::kMaxElements; });
    if (!valid || (gaps > 0 && pads[2] > Shape::kMaxElements / gaps)) {
      return DraftError(draft, absl::StrCat("axis ", i, ": padding by ",
                                            absl::StrJoin(pads, ", "),
                                            " is negative or too much"));
    }
    dims.push_back(x.dims()[i] + pads[0] + pads[1] + gaps * pads[2]);
  }
  return Create(draft, dims);
}

absl::StatusOr<Shape> ConcatShape(const NodeDraft& draft) {
  const int axis = draft.attrs<AxisAttrs>().axis;
  BASIN_RETURN_IF_ERROR(CheckAxis(draft, draft.input(0), axis));
  Shape::Dims dims = draft.input(0).dims();
  for (size_t i = 1; i < draft.inputs.size(); ++i) {
    if (!EqualBut(draft.input(i), draft.input(0), axis)) {
      return DraftError(draft,
                        absl::StrCat("shapes differ beyond axis ", axis));
    }
    dims[axis] += draft.input(i).dim(axis);
    if (dims[axis] > Shape::kMaxElements) break;  // Create() refuses it
  }
  return Create(draft, dims);
}

// The indices must be a constant vector with entries in [0, size).
absl::Status CheckIndices(const NodeDraft& draft, int64_t size) {
  const Node& indices = draft.graph.node(draft.inputs[1]);
  if (indices.op != Op::kConstant || indices.dtype != DType::kInt64 ||
      indices.shape.rank() != 1) {
    return DraftError(draft, "indices must be a constant int64 vector");
  }
  const Tensor& value = std::get<ConstantAttrs>(indices.attributes).value;
  for (const int64_t index : value.data<int64_t>()) {
    if (index < 0 || index >= size) {
      return DraftError(
          draft, absl::StrCat("index ", index, " is not in [0, ", size, ")"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Shape> GatherShape(const NodeDraft& draft) {
  const int axis = draft.attrs<AxisAttrs>().axis;
  const Shape& x = draft.input(0);
  BASIN_RETURN_IF_ERROR(CheckAxis(draft, x, axis));
  BASIN_RETURN_IF_ERROR(CheckIndices(draft, x.dim(axis)));
  Shape::Dims dims = x.dims();
  dims[axis] = draft.input(1).dim(0);
  return Create(draft, dims);
}

absl::StatusOr<Shape> ScatterAddShape(const NodeDraft& draft) {
  const int axis = draft.attrs<AxisAttrs>().axis;
  const Shape& dy = draft.input(0);
  BASIN_RETURN_IF_ERROR(CheckAxis(draft, dy, axis));
  if (!EqualBut(dy, *draft.given, axis)) {
    return DraftError(draft,
                      absl::StrCat("cannot become ", draft.given->ToString()));
  }
  BASIN_RETURN_IF_ERROR(CheckIndices(draft, draft.given->dim(axis)));
  if (dy.dim(axis) != draft.input(1).dim(0)) {
    return DraftError(
        draft, absl::StrCat("axis ", axis, " needs one entry per index"));
  }
  return *draft.given;
}

absl::StatusOr<Shape> ReduceShape(const NodeDraft& draft) {
  const IntList& axes = draft.attrs<ReduceAttrs>().axes;
  const Shape& x = draft.input(0);
  int64_t previous = -1;
  for (const int64_t axis : axes) {
    if (axis <= previous || axis >= x.rank()) {
      return DraftError(draft, absl::StrCat("axes [", absl::StrJoin(axes, ", "),
                                            "] are not ascending axes of it"));
    }
    if (draft.op == Op::kReduceMax && x.dim(static_cast<int>(axis)) == 0) {
      return DraftError(draft, "nothing has no maximum");
    }
    previous = axis;
  }
  Shape::Dims dims;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) {
      dims.push_back(x.dim(axis));
    }
  }
  return Create(draft, dims);
}

absl::StatusOr<Shape> MatmulShape(const NodeDraft& draft) {
  const auto& attrs = draft.attrs<MatmulAttrs>();
  const Shape& a = draft.input(0);
  const Shape& b = draft.input(1);
  if (a.rank() < 2 || a.rank() != b.rank()) {
    return DraftError(draft, "expected two operands of equal rank, 2 or more");
  }
  Shape::Dims dims = a.dims();
  const int last = a.rank() - 1;
  for (int axis = 0; axis < last - 1; ++axis) {
    if (a.dim(axis) != b.dim(axis)) {
      return DraftError(draft, absl::StrCat("batch axis ", axis, " differs"));
    }
  }
  const int64_t inner_a = a.dim(attrs.transpose_a ? last - 1 : last);
  const int64_t inner_b = b.dim(attrs.transpose_b ? last : last - 1);
  if (inner_a != inner_b) {
    return DraftError(draft, absl::StrCat("inner sizes ", inner_a, " and ",
                                          inner_b, " differ"));
  }
  dims[last - 1] = a.dim(attrs.transpose_a ? last : last - 1);
  dims[last] = b.dim(attrs.transpose_b ? last - 1 : last);
  return Create(draft, dims);
}

// Whether the caller states the result's shape.
enum class Given { kNever, kAlways, kOptional };

constexpr int kAny = -1;  // of inputs, at least one

struct Rule {
  int num_inputs;
  size_t attributes;  // Attributes::index()
  Given given;
  absl::StatusOr<Shape> (*shape)(const NodeDraft&);
};

template <typename T, typename... Ts>
constexpr size_t IndexIn(const std::variant<Ts...>*) {
  size_t index = 0;
  (void)((std::is_same_v<T, Ts> || (++index, false)) || ...);
  return index;
}

template <typename T>
constexpr size_t kIndex = IndexIn<T>(static_cast<const Attributes*>(nullptr));

Rule RuleOf(Op op) {
  switch (op) {
    case Op::kInput:
      return {0, kIndex<InputAttrs>, Given::kAlways, InputShape};
    case Op::kConstant:
      return {0, kIndex<ConstantAttrs>, Given::kNever, ConstantShape};
    case Op::kElementwise:
      return {kAny, kIndex<ElementwiseAttrs>, Given::kNever, ElementwiseShape};
    case Op::kFused:
      return {kAny, kIndex<FusedAttrs>, Given::kOptional, FusedShape};
    case Op::kCombineEnergies:
    case Op::kMixtureShare:
      return {kAny, kIndex<CombineAttrs>, Given::kNever, CombineShape};
    case Op::kStopGradient:
    case Op::kToFloat64:
      return {1, kIndex<std::monostate>, Given::kNever, SameShape};
    case Op::kReshape:
      return {1, kIndex<std::monostate>, Given::kAlways, ReshapeShape};
    case Op::kBroadcast:
      return {1, kIndex<std::monostate>, Given::kAlways, BroadcastShape};
    case Op::kTranspose:
      return {1, kIndex<TransposeAttrs>, Given::kNever, TransposeShape};
    case Op::kSlice:
      return {1, kIndex<SliceAttrs>, Given::kNever, SliceShape};
    case Op::kPad:
      return {1, kIndex<PadAttrs>, Given::kNever, PadShape};
    case Op::kConcat:
      return {kAny, kIndex<AxisAttrs>, Given::kNever, ConcatShape};
    case Op::kGather:
      return {2, kIndex<AxisAttrs>, Given::kNever, GatherShape};
    case Op::kScatterAdd:
      return {2, kIndex<AxisAttrs>, Given::kAlways, ScatterAddShape};
    case Op::kTake:
      return {2, kIndex<std::monostate>, Given::kNever, TakeShape};
    case Op::kPutAdd:
      return {2, kIndex<std::monostate>, Given::kAlways, PutAddShape};
    case Op::kTopK:
      return {1, kIndex<TopKAttrs>, Given::kNever, TopKShape};
    case Op::kReduceSum:
    case Op::kReduceMax:
      return {1, kIndex<ReduceAttrs>, Given::kNever, ReduceShape};
    case Op::kMatmul:
      return {2, kIndex<MatmulAttrs>, Given::kNever, MatmulShape};
    case Op::kConv:
      return {2, kIndex<ConvAttrs>, Given::kNever, ConvShape};
    case Op::kConvBackwardData:
      return {2, kIndex<ConvAttrs>, Given::kAlways, ConvBackwardDataShape};
    case Op::kConvBackwardWeights:
      return {2, kIndex<ConvAttrs>, Given::kAlways, ConvBackwardWeightsShape};
    case Op::kMaxPool:
    case Op::kAvgPool:
      return {1, kIndex<PoolAttrs>, Given::kNever, PoolShape};
    case Op::kMaxPoolGrad:
      return {2, kIndex<PoolAttrs>, Given::kNever, MaxPoolGradShape};
    case Op::kAvgPoolGrad:
      return {1, kIndex<PoolAttrs>, Given::kAlways, AvgPoolGradShape};
  }
  BASIN_CHECK(false);
  return {};
}

absl::Status CheckInputs(const NodeDraft& draft, const Rule& rule) {
  for (const ValueId input : draft.inputs) {
    if (input < 0 || input >= draft.graph.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          std::string(Name(draft.op)), ": there is no value %", input));
    }
  }
  const int count = static_cast<int>(draft.inputs.size());
  if (rule.num_inputs == kAny ? count < 1 : count != rule.num_inputs) {
    return DraftError(draft, absl::StrCat("wrong number of inputs, ", count));
  }
  const bool indexed = draft.op == Op::kGather || draft.op == Op::kScatterAdd;
  const bool combines =
      draft.op == Op::kCombineEnergies || draft.op == Op::kMixtureShare;
  const DType wanted = combines ? DType::kFloat64 : DType::kFloat32;
  for (int i = 0; i < count; ++i) {
    const DType dtype = draft.graph.node(draft.inputs[i]).dtype;
    if (dtype != wanted && !(indexed && i == 1)) {
      return DraftError(
          draft, absl::StrCat("input ", i, " is ", std::string(Name(dtype)),
                              ", expected ", std::string(Name(wanted))));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DraftError(const NodeDraft& draft, absl::string_view problem) {
  const auto append = [&](std::string* out, ValueId id) {
    absl::StrAppend(out, draft.graph.shape(id).ToString());
  };
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(Name(draft.op)), "(",
                   absl::StrJoin(draft.inputs, ", ", append), "): ", problem));
}

absl::StatusOr<Shape> ResultShape(const NodeDraft& draft) {
  const Rule rule = RuleOf(draft.op);
  BASIN_RETURN_IF_ERROR(CheckInputs(draft, rule));
  if (draft.attributes.index() != rule.attributes) {
    return DraftError(draft, "attributes of another operation");
  }
  const bool given = draft.given != nullptr;
  if (rule.given != Given::kOptional &&
      given != (rule.given == Given::kAlways)) {
    return DraftError(draft, given ? "its shape is computed, not given"
                                   : "its shape must be given");
  }
  return rule.shape(draft);
}

}  // namespace basin::internal
