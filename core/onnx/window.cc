#include "core/onnx/window.h"

#include <algorithm>
#include <string>
#include <utility>

#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

// As many results as the input has elements divided by the stride; an odd
// padding goes to the end (upper) or to the beginning.
void SamePads(const Shape& x, bool upper, Window& window) {
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const int64_t size = x.dims()[i + 2];
    const int64_t stride = window.strides[i];
    const int64_t extent = window.extent(i);
    const int64_t results = size / stride + (size % stride != 0 ? 1 : 0);
    const int64_t pads =
        std::max<int64_t>((results - 1) * stride + extent - size, 0);
    window.pads_before[i] = upper ? pads / 2 : pads - pads / 2;
    window.pads_after[i] = pads - window.pads_before[i];
  }
}

absl::Status ReadPads(NodeContext& n, const Shape& x, Window& window) {
  const size_t axes = window.kernel.size();
  BASIN_ASSIGN_OR_RETURN(const IntList pads,
                         ReadWindowList(n, "pads", 0, IntList(2 * axes, 0)));
  window.pads_before.assign(pads.begin(), pads.begin() + axes);
  window.pads_after.assign(pads.begin() + axes, pads.end());
  const std::string mode = n.String("auto_pad", "NOTSET");
  if (mode == "NOTSET") return absl::OkStatus();
  window.pads_before.assign(axes, 0);
  window.pads_after.assign(axes, 0);
  if (mode == "VALID") return absl::OkStatus();
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    return absl::InvalidArgumentError(
        absl::StrCat("auto_pad ", Quoted(mode),
                     ", expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"));
  }
  SamePads(x, mode == "SAME_UPPER", window);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<IntList> ReadWindowList(NodeContext& n, absl::string_view name,
                                       int64_t least, IntList default_value) {
  const size_t size = default_value.size();
  IntList list = n.Ints(name).value_or(std::move(default_value));
  const bool in_range = std::all_of(
      list.begin(), list.end(),
      [least](int64_t v) { return v >= least && v <= kMaxWindowParameter; });
  if (list.size() == size && in_range) return list;
  return absl::InvalidArgumentError(
      absl::StrCat(name, " [", absl::StrJoin(list, ", "), "]: expected ", size,
                   " numbers from ", least, " to ", kMaxWindowParameter));
}

absl::Status CheckImage(const Shape& x) {
  const int axes = x.rank() - 2;
  if (axes < 1 || axes > kMaxSpatialAxes) {
    return absl::UnimplementedError(
        absl::StrCat("input of shape ", x.ToString(),
                     "; [N, C] and one to three spatial axes are supported"));
  }
  for (int i = 2; i < x.rank(); ++i) {
    if (x.dim(i) < 1 || x.dim(i) > kMaxWindowParameter) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input of shape ", x.ToString(), ": spatial axes must be from 1 to ",
          kMaxWindowParameter));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadStepsAndPads(NodeContext& n, const Shape& x, Window& window) {
  const IntList ones(window.kernel.size(), 1);
  BASIN_ASSIGN_OR_RETURN(window.strides, ReadWindowList(n, "strides", 1, ones));
  BASIN_ASSIGN_OR_RETURN(window.dilations,
                         ReadWindowList(n, "dilations", 1, ones));
  return ReadPads(n, x, window);
}

ValueId PadImage(GraphBuilder& b, ValueId x, const IntList& before,
                 const IntList& after) {
  if (x == GraphBuilder::kNoValue) return x;
  const auto rank = static_cast<size_t>(b.shape(x).rank());
  PadAttrs pads{IntList(rank, 0), IntList(rank, 0), IntList(rank, 0)};
  std::copy(before.begin(), before.end(), pads.before.begin() + 2);
  std::copy(after.begin(), after.end(), pads.after.begin() + 2);
  return b.Pad(x, std::move(pads));
}

}  // namespace basin::internal
