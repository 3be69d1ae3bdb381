// Operators that join and cut values.

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

absl::StatusOr<Value> LowerConcat(NodeContext& n) {
  std::vector<Value> values;
  for (int i = 0; i < n.num_inputs(); ++i) {
    BASIN_ASSIGN_OR_RETURN(values.emplace_back(), n.Input(i));
  }
  if (values.empty() || !n.HasAttribute("axis")) {
    return absl::InvalidArgumentError("needs an input and the attribute axis");
  }
  BASIN_ASSIGN_OR_RETURN(
      const int axis,
      NormalizedAxis(n.Int("axis", 0), n.ShapeOf(values[0]).rank()));
  return n.Concat(values, axis);
}

// One axis of a slice. Python's rules: a place is clamped to the axis, and the
// start of a negative step to its last element.
absl::StatusOr<Value> SliceAlong(NodeContext& n, const Value& x, int axis,
                                 int64_t start, int64_t end, int64_t step) {
  const int64_t size = n.ShapeOf(x).dim(axis);
  const int64_t lowest = step > 0 ? 0 : -1;
  const int64_t highest = step > 0 ? size : size - 1;
  const auto clamped = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + size : at, lowest, highest);
  };
  if (step == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("step 0 of axis ", axis, ", expected another number"));
  }
  if (step > 0) {
    const Shape::Dims& dims = n.ShapeOf(x).dims();
    SliceAttrs attributes{IntList(dims.size(), 0),
                          IntList(dims.begin(), dims.end()),
                          IntList(dims.size(), 1)};
    attributes.starts[axis] = clamped(start);
    attributes.limits[axis] = std::max(clamped(end), attributes.starts[axis]);
    attributes.strides[axis] = step;
    return n.Slice(x, attributes);
  }
  BASIN_RETURN_IF_ERROR(n.CheckGenerated(size));  // of a list of places
  std::vector<int64_t> indices;
  const int64_t last = clamped(end);
  for (int64_t i = clamped(start); i > last;) {
    indices.push_back(i);
    if (step <= last - i) break;  // also where i + step would overflow
    i += step;
  }
  if (indices.empty()) return n.SliceAxis(x, axis, 0, 0);
  return n.Pick(x, indices, axis);
}

struct SliceBounds {
  IntList starts;
  IntList ends;
  IntList axes;
  IntList steps;
};

// From all axes, in order, by 1.
void SetDefaults(SliceBounds& bounds) {
  for (size_t i = 0; i < bounds.starts.size(); ++i) {
    bounds.axes.push_back(static_cast<int64_t>(i));
    bounds.steps.push_back(1);
  }
}

absl::StatusOr<Value> Sliced(NodeContext& n, const SliceBounds& bounds) {
  BASIN_ASSIGN_OR_RETURN(Value x, n.Input(0));
  const size_t count = bounds.starts.size();
  if (bounds.ends.size() != count || bounds.axes.size() != count ||
      bounds.steps.size() != count) {
    return absl::InvalidArgumentError(
        "starts, ends, axes and steps differ in length");
  }
  const int rank = n.ShapeOf(x).rank();
  BASIN_RETURN_IF_ERROR(NormalizedAxes(bounds.axes, rank).status());
  for (size_t i = 0; i < count; ++i) {
    BASIN_ASSIGN_OR_RETURN(const int axis,
                           NormalizedAxis(bounds.axes[i], rank));
    BASIN_ASSIGN_OR_RETURN(x, SliceAlong(n, x, axis, bounds.starts[i],
                                         bounds.ends[i], bounds.steps[i]));
    if (!x.exists()) break;
  }
  return x;
}

// Before opset 10 the bounds are attributes.
absl::StatusOr<Value> LowerSliceByAttribute(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  SliceBounds bounds;
  if (auto starts = n.Ints("starts")) bounds.starts = *std::move(starts);
  if (auto ends = n.Ints("ends")) bounds.ends = *std::move(ends);
  SetDefaults(bounds);
  if (auto axes = n.Ints("axes")) bounds.axes = *std::move(axes);
  return Sliced(n, bounds);
}

absl::StatusOr<Value> LowerSlice(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 5));
  SliceBounds bounds;
  BASIN_ASSIGN_OR_RETURN(bounds.starts, n.IntsInput(1));
  BASIN_ASSIGN_OR_RETURN(bounds.ends, n.IntsInput(2));
  SetDefaults(bounds);
  if (n.HasInput(3)) {
    BASIN_ASSIGN_OR_RETURN(bounds.axes, n.IntsInput(3));
  }
  if (n.HasInput(4)) {
    BASIN_ASSIGN_OR_RETURN(bounds.steps, n.IntsInput(4));
  }
  return Sliced(n, bounds);
}

// As equal as can be, the last the smallest.
absl::StatusOr<IntList> EqualParts(NodeContext& n, int64_t size) {
  const int64_t count = n.Int("num_outputs", n.num_outputs());
  if (count < 1 || count > n.num_outputs()) {
    return absl::InvalidArgumentError(
        absl::StrCat(count, " parts for ", n.num_outputs(), " outputs"));
  }
  const int64_t part = size / count + (size % count != 0 ? 1 : 0);
  if (n.opset() < 18 && part * count != size) {
    return absl::InvalidArgumentError(
        absl::StrCat("an axis of ", size, " elements does not split into ",
                     count, " equal parts"));
  }
  IntList parts;
  for (int64_t i = 0, left = size; i < count; ++i) {
    parts.push_back(std::min(part, left));
    left -= parts.back();
  }
  return parts;
}

// Given, by attribute before opset 13, or equal.
absl::StatusOr<IntList> PartSizes(NodeContext& n, int64_t size) {
  if (n.HasInput(1)) return n.IntsInput(1);
  if (auto given = n.Ints("split")) return *std::move(given);
  return EqualParts(n, size);
}

absl::StatusOr<Value> LowerSplit(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, n.opset() < 13 ? 1 : 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const int axis,
                         NormalizedAxis(n.Int("axis", 0), n.ShapeOf(x).rank()));
  const int64_t size = n.ShapeOf(x).dim(axis);
  BASIN_ASSIGN_OR_RETURN(const IntList parts, PartSizes(n, size));
  int64_t left = size;
  for (const int64_t part : parts) {
    const bool fits = left >= 0 && part >= 0 && part <= left;
    left = fits ? left - part : -1;
  }
  if (left != 0 || static_cast<int>(parts.size()) != n.num_outputs()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parts [", absl::StrJoin(parts, ", "), "] for ", n.num_outputs(),
        " outputs do not make up an axis of ", size, " elements"));
  }
  int64_t start = parts[0];
  for (int i = 1; i < n.num_outputs(); ++i) {
    n.SetOutput(i, n.SliceAxis(x, axis, start, parts[i]));
    start += parts[i];
  }
  return n.SliceAxis(x, axis, 0, parts[0]);
}

constexpr Operator kOperators[] = {
    {"Concat", 4, LowerConcat},
    {"Slice", 1, LowerSliceByAttribute},
    {"Slice", 10, LowerSlice},
    {"Split", 2, LowerSplit},
};

}  // namespace

absl::Span<const Operator> IndexOperators() { return kOperators; }

}  // namespace basin::internal
