#include "core/graph/gradient.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/graph/gradient_rules.h"
#include "core/graph/graph_builder.h"

namespace basin {
namespace {

using internal::GradientTask;
using internal::HasGradient;

absl::Status CheckArguments(const Graph& graph, ValueId energy, ValueId x) {
  for (const ValueId id : {energy, x}) {
    if (id < 0 || id >= graph.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("gradient: there is no value %", id));
    }
  }
  const DType type = graph.node(energy).dtype;
  if (graph.node(x).dtype != DType::kFloat32 ||
      (type != DType::kFloat32 && type != DType::kFloat64)) {
    return absl::InvalidArgumentError("gradient: expected real values");
  }
  const Shape& rows = graph.shape(energy);
  const Shape& shape = graph.shape(x);
  if (rows.rank() != 1 || shape.rank() < 1 || rows.dim(0) != shape.dim(0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("gradient: expected energy [N] and x [N, ...], got ",
                     rows.ToString(), " and ", shape.ToString()));
  }
  return absl::OkStatus();
}

// For each value up to `energy`: does a change of `x` reach it?
std::vector<bool> DependsOn(const Graph& graph, ValueId energy, ValueId x) {
  std::vector<bool> depends(static_cast<size_t>(energy) + 1, false);
  if (x <= energy) depends[x] = true;
  for (ValueId id = x + 1; id <= energy; ++id) {
    const Node& node = graph.node(id);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (depends[node.inputs[i]] && HasGradient(node, static_cast<int>(i))) {
        depends[id] = true;
      }
    }
  }
  return depends;
}

// One gradient that is zero but for a range of one axis, as that of a slice is.
struct Placed {
  ValueId value;   // a kPad node
  ValueId inside;  // what it pads
  int axis;
  int64_t start;
  int64_t end;
};

// `value` as such a gradient, if it is one.
std::optional<Placed> AsPlaced(const Graph& graph, ValueId value) {
  const Node& node = graph.node(value);
  if (node.op != Op::kPad) return std::nullopt;
  const auto& pads = graph.attributes<PadAttrs>(value);
  std::optional<Placed> placed;
  for (int axis = 0; axis < node.shape.rank(); ++axis) {
    const auto a = static_cast<size_t>(axis);
    if (pads.interior[a] != 0) return std::nullopt;
    if (pads.before[a] == 0 && pads.after[a] == 0) continue;
    if (placed.has_value()) return std::nullopt;
    placed = Placed{value, node.inputs[0], axis, pads.before[a],
                    node.shape.dim(axis) - pads.after[a]};
  }
  return placed;
}

// Ranges of one axis that follow each other, joined, with zeros in gaps.
ValueId Joined(GraphBuilder& b, const std::vector<Placed>& row,
               const Shape& shape) {
  if (row.size() == 1) return row[0].value;
  const int axis = row[0].axis;
  std::vector<ValueId> pieces;
  int64_t end = 0;
  const auto fill_to = [&](int64_t start) {
    if (start == end) return;
    Shape::Dims dims = shape.dims();
    dims[static_cast<size_t>(axis)] = start - end;
    pieces.push_back(b.BroadcastTo(b.Constant(0.0f), *Shape::Create(dims)));
  };
  for (const Placed& placed : row) {
    fill_to(placed.start);
    pieces.push_back(placed.inside);
    end = placed.end;
  }
  fill_to(shape.dim(axis));
  return b.Concat(pieces, axis);
}

// Replaces those of `parts` that are the gradients of slices by fewer whole
// ones: T slices of one value cost one concatenation instead of T sums.
std::vector<ValueId> JoinSlices(GraphBuilder& b,
                                const std::vector<ValueId>& parts) {
  constexpr size_t kMaxRows = 8;  // of ranges that overlap each other
  if (parts.size() < 2) return parts;
  std::vector<ValueId> joined;
  std::vector<Placed> slices;
  for (const ValueId part : parts) {
    const auto placed = AsPlaced(b.graph(), part);
    if (placed.has_value()) slices.push_back(*placed);
    if (!placed.has_value()) joined.push_back(part);
  }
  std::stable_sort(
      slices.begin(), slices.end(), [](const Placed& u, const Placed& v) {
        return std::tie(u.axis, u.start) < std::tie(v.axis, v.start);
      });
  std::vector<std::vector<Placed>> rows;
  for (const Placed& slice : slices) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& r) {
      return r.back().axis == slice.axis && r.back().end <= slice.start;
    });
    if (row != rows.end()) {
      row->push_back(slice);
    } else if (rows.size() < kMaxRows) {
      rows.push_back({slice});
    } else {
      joined.push_back(slice.value);
    }
  }
  for (const auto& row : rows) {
    joined.push_back(Joined(b, row, b.shape(row[0].value)));
  }
  return joined;
}

// The sum of at least one value.
ValueId Sum(GraphBuilder& b, const std::vector<ValueId>& parts) {
  const std::vector<ValueId> joined = JoinSlices(b, parts);
  ValueId sum = joined[0];
  for (size_t i = 1; i < joined.size(); ++i) sum = b.Add(sum, joined[i]);
  return sum;
}

}  // namespace

absl::StatusOr<Graph> Gradient(const Graph& graph, ValueId energy, ValueId x) {
  BASIN_RETURN_IF_ERROR(CheckArguments(graph, energy, x));
  const std::vector<bool> depends = DependsOn(graph, energy, x);
  GraphBuilder builder(graph);
  // What each use of a value contributes to its gradient.
  std::vector<std::vector<ValueId>> parts(depends.size());
  if (depends[energy]) {
    parts[energy] = {
        builder.BroadcastTo(builder.Constant(1.0f), graph.shape(energy))};
  }
  for (ValueId id = energy; id > x; --id) {
    if (parts[id].empty()) continue;
    const Node& node = graph.node(id);
    const GradientTask task = {builder, node, id, Sum(builder, parts[id])};
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (!depends[input] || !HasGradient(node, static_cast<int>(i))) continue;
      parts[input].push_back(InputGradient(task, static_cast<int>(i)));
      BASIN_RETURN_IF_ERROR(builder.status());
    }
  }
  const ValueId result =
      x <= energy && !parts[x].empty()
          ? Sum(builder, parts[x])
          : builder.BroadcastTo(builder.Constant(0.0f), graph.shape(x));
  return std::move(builder).Build({energy, result});
}

}  // namespace basin
