// Operators that make a value larger: padding, repetition, broadcasting.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/host_tensor.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

// Bounds each pad, so that sums do not overflow.
constexpr int64_t kMaxPad = int64_t{1} << 24;

enum class PadMode { kConstant, kReflect, kEdge, kWrap };

absl::StatusOr<PadMode> ReadMode(NodeContext& n) {
  const std::string mode = n.String("mode", "constant");
  if (mode == "constant") return PadMode::kConstant;
  if (mode == "reflect") return PadMode::kReflect;
  if (mode == "edge") return PadMode::kEdge;
  // Since opset 19, but PyTorch writes it before.
  if (mode == "wrap") return PadMode::kWrap;
  return absl::InvalidArgumentError(absl::StrCat(
      "mode is ", Quoted(mode), ", expected constant, reflect, edge or wrap"));
}

// By axis of the value; negative ones cut.
struct Pads {
  IntList before;
  IntList after;
};

absl::StatusOr<Pads> ByAxis(const IntList& pads, const IntList& axes,
                            int rank) {
  if (pads.size() != 2 * axes.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(pads.size(), " pads for ", axes.size(),
                     " axes, expected two for each"));
  }
  BASIN_RETURN_IF_ERROR(NormalizedAxes(axes, rank).status());
  Pads result{IntList(static_cast<size_t>(rank), 0),
              IntList(static_cast<size_t>(rank), 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t before = pads[i];
    const int64_t after = pads[i + axes.size()];
    for (const int64_t pad : {before, after}) {
      if (pad >= -kMaxPad && pad <= kMaxPad) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("a pad of ", pad, ", expected at most ", kMaxPad));
    }
    BASIN_ASSIGN_OR_RETURN(const int axis, NormalizedAxis(axes[i], rank));
    result.before[axis] = before;
    result.after[axis] = after;
  }
  return result;
}

// Where element `i` of the padded axis comes from.
int64_t Source(PadMode mode, int64_t i, int64_t size) {
  if (mode == PadMode::kEdge || size == 1) {
    return std::clamp<int64_t>(i, 0, size - 1);
  }
  const int64_t period = mode == PadMode::kWrap ? size : 2 * (size - 1);
  const int64_t place = ((i % period) + period) % period;
  return place < size ? place : period - place;
}

absl::StatusOr<Value> PadFromInside(NodeContext& n, Value x, PadMode mode,
                                    const Pads& pads) {
  for (size_t i = 0; i < pads.before.size(); ++i) {
    const auto axis = static_cast<int>(i);
    if (pads.before[i] == 0 && pads.after[i] == 0) continue;
    const int64_t size = n.ShapeOf(x).dim(axis);
    if (size < 1 || size > kMaxPad) {
      return absl::InvalidArgumentError(
          absl::StrCat("pads axis ", axis, " of ", n.ShapeOf(x).ToString(),
                       ", expected 1 to ", kMaxPad, " elements there"));
    }
    std::vector<int64_t> sources;
    for (int64_t at = -pads.before[i]; at < size + pads.after[i]; ++at) {
      sources.push_back(Source(mode, at, size));
    }
    x = sources.empty() ? n.SliceAxis(x, axis, 0, 0) : n.Pick(x, sources, axis);
    if (!x.exists()) break;
  }
  return x;
}

// The value without what negative pads cut.
absl::StatusOr<Value> Cut(NodeContext& n, Value x, Pads& pads) {
  for (size_t i = 0; i < pads.before.size(); ++i) {
    const auto axis = static_cast<int>(i);
    const int64_t size = n.ShapeOf(x).dim(axis);
    const int64_t start = std::max<int64_t>(-pads.before[i], 0);
    const int64_t end = size - std::max<int64_t>(-pads.after[i], 0);
    if (start > end) {
      return absl::InvalidArgumentError(absl::StrCat(
          "pads cut more of axis ", axis, " than its ", size, " elements"));
    }
    if (end - start < size) x = n.SliceAxis(x, axis, start, end - start);
    pads.before[i] = std::max<int64_t>(pads.before[i], 0);
    pads.after[i] = std::max<int64_t>(pads.after[i], 0);
  }
  return x;
}

bool IsZero(const Value& value) {
  return value.is_constant() && value.dtype() == DType::kFloat32 &&
         RealAt(value.constant(), 0) == 0;
}

// `fill` is a scalar.
absl::StatusOr<Value> PadWith(NodeContext& n, const Value& given,
                              const Value& fill, Pads pads) {
  BASIN_ASSIGN_OR_RETURN(Value x, Cut(n, given, pads));
  if (!x.is_constant() && x.exists() && IsZero(fill)) {
    const IntList none(pads.before.size(), 0);
    return Value(n.builder().Pad(x.id(), {pads.before, pads.after, none}));
  }
  for (size_t i = 0; i < pads.before.size(); ++i) {
    std::vector<Value> parts;
    for (const int64_t size : {pads.before[i], int64_t{-1}, pads.after[i]}) {
      Shape::Dims dims = n.ShapeOf(x).dims();
      if (size == 0 || dims.size() <= i) continue;
      dims[i] = size;
      if (size < 0) {
        parts.push_back(x);
        continue;
      }
      BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
      parts.push_back(n.BroadcastTo(fill, shape));
    }
    if (parts.size() > 1) x = n.Concat(parts, static_cast<int>(i));
  }
  return x;
}

IntList AllAxes(int rank) {
  IntList axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

// Before opset 11 pads and value are attributes.
absl::StatusOr<Value> LowerPadByAttribute(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const int rank = n.ShapeOf(x).rank();
  BASIN_ASSIGN_OR_RETURN(const PadMode mode, ReadMode(n));
  const Value fill = Number(n.Float("value", 0));
  IntList given;
  if (auto list = n.Ints("pads")) given = *std::move(list);
  BASIN_ASSIGN_OR_RETURN(const Pads pads, ByAxis(given, AllAxes(rank), rank));
  return mode == PadMode::kConstant ? PadWith(n, x, fill, pads)
                                    : PadFromInside(n, x, mode, pads);
}

absl::StatusOr<Value> LowerPad(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, n.opset() < 18 ? 3 : 4));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const PadMode mode, ReadMode(n));
  BASIN_ASSIGN_OR_RETURN(const IntList given, n.IntsInput(1));
  IntList axes = AllAxes(n.ShapeOf(x).rank());
  if (n.HasInput(3)) {
    BASIN_ASSIGN_OR_RETURN(axes, n.IntsInput(3));
  }
  BASIN_ASSIGN_OR_RETURN(const Pads pads,
                         ByAxis(given, axes, n.ShapeOf(x).rank()));
  if (mode != PadMode::kConstant) return PadFromInside(n, x, mode, pads);
  Value fill = n.NumberLike(x, 0);
  if (n.HasInput(2)) {
    BASIN_ASSIGN_OR_RETURN(fill, n.Input(2));
    fill = n.Reshape(fill, Shape());
  }
  return PadWith(n, x, fill, pads);
}

absl::StatusOr<Value> LowerExpand(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const IntList dims, n.IntsInput(1));
  BASIN_ASSIGN_OR_RETURN(const Shape given, Shape::Create(dims));
  BASIN_ASSIGN_OR_RETURN(const Shape shape,
                         BroadcastShapes(n.ShapeOf(x), given));
  return n.BroadcastTo(x, shape);
}

// Axis by axis: [outer, d inner] -> [outer, repeats, d inner].
absl::StatusOr<Value> LowerTile(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const IntList repeats, n.IntsInput(1));
  Shape::Dims dims = n.ShapeOf(x).dims();
  if (repeats.size() != dims.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(repeats.size(), " repeats for an input of shape ",
                     n.ShapeOf(x).ToString()));
  }
  for (size_t i = dims.size(); i-- > 0;) {
    if (repeats[i] == 1) continue;
    BASIN_ASSIGN_OR_RETURN(
        const Shape outer,
        Shape::Create(absl::MakeConstSpan(dims).subspan(0, i)));
    BASIN_ASSIGN_OR_RETURN(const Shape inner,
                           Shape::Create(absl::MakeConstSpan(dims).subspan(i)));
    BASIN_ASSIGN_OR_RETURN(const Shape to,
                           Shape::Create({outer.num_elements(), repeats[i],
                                          inner.num_elements()}));
    x = n.Reshape(x, {outer.num_elements(), 1, inner.num_elements()});
    dims[i] *= repeats[i];
    x = n.Reshape(n.BroadcastTo(x, to), dims);
    if (!x.exists()) break;
  }
  return x;
}

constexpr Operator kOperators[] = {
    {"Expand", 8, LowerExpand},
    {"Pad", 2, LowerPadByAttribute},
    {"Pad", 11, LowerPad},
    {"Tile", 6, LowerTile},
};

}  // namespace

absl::Span<const Operator> PadOperators() { return kOperators; }

}  // namespace basin::internal
