// Branches and loops, unrolled: If, Loop and Scan where their condition or
// number of iterations is known at import.

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/lowering.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

// A constant with one integer element; `what` names it in errors.
absl::StatusOr<int64_t> KnownInteger(const Value& value,
                                     absl::string_view what) {
  if (!value.is_constant()) {
    return absl::UnimplementedError(
        absl::StrCat("the ", what,
                     " depends on the model's inputs; it must be known when "
                     "the model is loaded"));
  }
  if (!value.is_integer() || value.constant().num_elements() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the ", what, " is ", std::string(Name(value.dtype())),
        value.constant().shape().ToString(), ", expected one integer or bool"));
  }
  return value.constant().data<int64_t>()[0];
}

// The subgraph's values as the node's: the first is returned.
absl::StatusOr<Value> AsOutputs(NodeContext& n, std::vector<Value> values) {
  if (values.empty() || static_cast<size_t>(n.num_outputs()) > values.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", n.num_outputs(), " outputs, its subgraph makes ",
                     values.size()));
  }
  for (int i = 1; i < n.num_outputs(); ++i) {
    n.SetOutput(i, std::move(values[static_cast<size_t>(i)]));
  }
  return std::move(values[0]);
}

absl::StatusOr<Value> LowerIf(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value condition, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const auto* if_true, n.GraphAttribute("then_branch"));
  BASIN_ASSIGN_OR_RETURN(const auto* if_false, n.GraphAttribute("else_branch"));
  BASIN_ASSIGN_OR_RETURN(const int64_t is_true,
                         KnownInteger(condition, "condition"));
  BASIN_ASSIGN_OR_RETURN(
      std::vector<Value> outputs,
      LowerSubgraph(is_true != 0 ? *if_true : *if_false, {}, n.state()));
  return AsOutputs(n, std::move(outputs));
}

// A new axis of size 1.
Value Unsqueezed(NodeContext& n, const Value& x, int axis) {
  Shape::Dims dims = n.ShapeOf(x).dims();
  dims.insert(dims.begin() + axis, 1);
  return n.Reshape(x, dims);
}

// Values of one shape, stacked along a new axis, which may count from the end.
absl::StatusOr<Value> Stacked(NodeContext& n, const std::vector<Value>& xs,
                              int64_t axis) {
  if (xs.empty()) {
    return absl::UnimplementedError(
        "the loop never runs, so what it collects is empty, of unknown shape");
  }
  BASIN_ASSIGN_OR_RETURN(const int at,
                         NormalizedAxis(axis, n.ShapeOf(xs[0]).rank() + 1));
  std::vector<Value> rows;
  for (const Value& x : xs) {
    if (!(n.ShapeOf(x) == n.ShapeOf(xs[0]))) {
      return absl::InvalidArgumentError(absl::StrCat(
          "what it collects changes its shape from ",
          n.ShapeOf(xs[0]).ToString(), " to ", n.ShapeOf(x).ToString()));
    }
    rows.push_back(Unsqueezed(n, x, at));
  }
  return n.Concat(rows, at);
}

// The values that a loop carries from one iteration to the next, and those
// that it collects.
struct LoopValues {
  std::vector<Value> carried;
  std::vector<std::vector<Value>> collected;

  // Splits the results of a body, from `first` on.
  absl::Status Add(std::vector<Value> results, size_t first) {
    const size_t expected = first + carried.size() + collected.size();
    if (results.size() != expected) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the body makes ", results.size(), " values, expected ", expected));
    }
    for (Value& value : carried) value = std::move(results[first++]);
    for (auto& list : collected) list.push_back(std::move(results[first++]));
    return absl::OkStatus();
  }
};

// Whether the body of a Loop passes its condition on, so that the number of
// iterations is known at once.
bool KeepsItsCondition(const onnx::GraphProto& body) {
  if (body.output_size() == 0 || body.input_size() < 2) return false;
  std::string name = body.output(0).name();
  for (int i = body.node_size() - 1; i >= 0; --i) {
    const onnx::NodeProto& node = body.node(i);
    if (std::find(node.output().begin(), node.output().end(), name) ==
        node.output().end()) {
      continue;
    }
    if (node.op_type() == "Constant") return true;
    if (node.op_type() != "Identity" && node.op_type() != "Cast") return false;
    if (node.input_size() != 1) return false;
    name = node.input(0);
  }
  // Also an initialiser, or a value from outside: neither changes.
  return name != body.input(0).name() &&
         std::none_of(body.input().begin() + 2, body.input().end(),
                      [&](const auto& input) { return input.name() == name; });
}

// How often a Loop runs at most, and whether it runs at all.
absl::StatusOr<int64_t> TripCount(NodeContext& n) {
  int64_t count = kForever;
  if (n.HasInput(0)) {
    BASIN_ASSIGN_OR_RETURN(const Value given, n.Input(0));
    BASIN_ASSIGN_OR_RETURN(count, KnownInteger(given, "trip count"));
  }
  if (n.HasInput(1)) {
    BASIN_ASSIGN_OR_RETURN(const Value given, n.Input(1));
    BASIN_ASSIGN_OR_RETURN(const int64_t runs,
                           KnownInteger(given, "condition"));
    if (runs == 0) count = 0;
  }
  return std::max<int64_t>(count, 0);
}

absl::StatusOr<std::vector<Value>> CarriedInputs(NodeContext& n, int first,
                                                 int end) {
  std::vector<Value> values;
  for (int i = first; i < end; ++i) {
    BASIN_ASSIGN_OR_RETURN(values.emplace_back(), n.Input(i));
  }
  return values;
}

// Refuses at once what surely unrolls to too many nodes; what is unrolled
// takes its nodes as it goes. Each iteration counts, were it empty.
absl::Status CheckIterations(int64_t count, const onnx::GraphProto& body,
                             const ImportState& state) {
  const int64_t nodes = body.node_size() + 1;
  if (count <= state.nodes_left / nodes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      count, " iterations of ", nodes, " nodes unroll to more than ",
      state.limits.max_unrolled_nodes, " nodes, the limit"));
}

// body(iteration, condition, carried..) -> (condition, carried.., collected..)
absl::StatusOr<Value> LowerLoop(NodeContext& n) {
  ImportState& state = n.state();
  BASIN_ASSIGN_OR_RETURN(const auto* body, n.GraphAttribute("body"));
  BASIN_ASSIGN_OR_RETURN(const int64_t count, TripCount(n));
  LoopValues values;
  BASIN_ASSIGN_OR_RETURN(values.carried, CarriedInputs(n, 2, n.num_inputs()));
  const auto known = static_cast<int>(values.carried.size()) + 1;
  if (body->output_size() < known) {
    return absl::InvalidArgumentError(
        absl::StrCat("the body makes ", body->output_size(),
                     " values, expected at least ", known));
  }
  values.collected.resize(static_cast<size_t>(body->output_size() - known));
  const absl::Status fits = CheckIterations(count, *body, state);
  if (!fits.ok() && KeepsItsCondition(*body)) return fits;
  bool runs = true;
  for (int64_t i = 0; i < count && runs; ++i) {
    BASIN_RETURN_IF_ERROR(TakeNodes(1, state));
    std::vector<Value> arguments = {Tensor::Scalar<int64_t>(i),
                                    Tensor::Scalar<int64_t>(1)};
    arguments.insert(arguments.end(), values.carried.begin(),
                     values.carried.end());
    BASIN_ASSIGN_OR_RETURN(std::vector<Value> results,
                           LowerSubgraph(*body, arguments, state));
    BASIN_ASSIGN_OR_RETURN(
        const int64_t more,
        KnownInteger(results[0], "condition that its body makes"));
    runs = more != 0;
    BASIN_RETURN_IF_ERROR(values.Add(std::move(results), 1));
  }
  std::vector<Value> outputs = std::move(values.carried);
  for (const auto& list : values.collected) {
    const size_t at = outputs.size();
    if (!n.HasOutput(static_cast<int>(at))) {
      outputs.emplace_back();
      continue;
    }
    BASIN_ASSIGN_OR_RETURN(outputs.emplace_back(), Stacked(n, list, 0));
  }
  return AsOutputs(n, std::move(outputs));
}

// What a Scan reads, and how it goes through it.
struct ScanInputs {
  std::vector<Value> values;
  std::vector<int> axes;
  std::vector<bool> backwards;
  int64_t length = 0;
};

// An optional attribute with one entry for each of `size` values.
absl::StatusOr<IntList> ListOf(NodeContext& n, absl::string_view name,
                               size_t size) {
  IntList list = n.Ints(name).value_or(IntList(size, 0));
  if (list.size() == size) return list;
  return absl::InvalidArgumentError(
      absl::StrCat(name, " has ", list.size(), " entries, expected ", size));
}

absl::StatusOr<ScanInputs> ReadScanInputs(NodeContext& n, int first) {
  ScanInputs inputs;
  BASIN_ASSIGN_OR_RETURN(inputs.values,
                         CarriedInputs(n, first, n.num_inputs()));
  const size_t size = inputs.values.size();
  BASIN_ASSIGN_OR_RETURN(const IntList axes,
                         ListOf(n, "scan_input_axes", size));
  BASIN_ASSIGN_OR_RETURN(const IntList directions,
                         ListOf(n, "scan_input_directions", size));
  for (size_t i = 0; i < size; ++i) {
    const Shape& shape = n.ShapeOf(inputs.values[i]);
    BASIN_ASSIGN_OR_RETURN(const int axis,
                           NormalizedAxis(axes[i], shape.rank()));
    inputs.axes.push_back(axis);
    inputs.backwards.push_back(directions[i] != 0);
    if (i == 0) inputs.length = shape.dim(axis);
    if (shape.dim(axis) != inputs.length) {
      return absl::InvalidArgumentError(absl::StrCat(
          "scans inputs of lengths ", inputs.length, " and ", shape.dim(axis)));
    }
  }
  return inputs;
}

// x[at] along `axis`, which disappears.
Value Row(NodeContext& n, const Value& x, int axis, int64_t at) {
  Shape::Dims dims = n.ShapeOf(x).dims();
  dims.erase(dims.begin() + axis);
  return n.Reshape(n.SliceAxis(x, axis, at, 1), dims);
}

// body(carried.., rows of inputs..) -> (carried.., collected..)
absl::StatusOr<Value> LowerScan(NodeContext& n) {
  ImportState& state = n.state();
  BASIN_ASSIGN_OR_RETURN(const auto* body, n.GraphAttribute("body"));
  const int64_t scanned = n.Int("num_scan_inputs", 0);
  if (scanned < 1 || scanned > n.num_inputs()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "num_scan_inputs is ", scanned, ", expected 1 to ", n.num_inputs()));
  }
  const int states = n.num_inputs() - static_cast<int>(scanned);
  if (body->output_size() < states) {
    return absl::InvalidArgumentError(
        absl::StrCat("the body makes ", body->output_size(),
                     " values, expected at least ", states));
  }
  LoopValues values;
  BASIN_ASSIGN_OR_RETURN(values.carried, CarriedInputs(n, 0, states));
  values.collected.resize(static_cast<size_t>(body->output_size() - states));
  BASIN_ASSIGN_OR_RETURN(const ScanInputs inputs, ReadScanInputs(n, states));
  const size_t lists = values.collected.size();
  BASIN_ASSIGN_OR_RETURN(const IntList axes,
                         ListOf(n, "scan_output_axes", lists));
  BASIN_ASSIGN_OR_RETURN(const IntList directions,
                         ListOf(n, "scan_output_directions", lists));
  BASIN_RETURN_IF_ERROR(CheckIterations(inputs.length, *body, state));
  for (int64_t i = 0; i < inputs.length; ++i) {
    BASIN_RETURN_IF_ERROR(TakeNodes(1 + scanned, state));
    std::vector<Value> arguments = values.carried;
    for (size_t k = 0; k < inputs.values.size(); ++k) {
      const int64_t at = inputs.backwards[k] ? inputs.length - 1 - i : i;
      arguments.push_back(Row(n, inputs.values[k], inputs.axes[k], at));
    }
    BASIN_ASSIGN_OR_RETURN(std::vector<Value> results,
                           LowerSubgraph(*body, arguments, state));
    BASIN_RETURN_IF_ERROR(values.Add(std::move(results), 0));
  }
  std::vector<Value> outputs = std::move(values.carried);
  for (size_t k = 0; k < lists; ++k) {
    auto& list = values.collected[k];
    if (directions[k] != 0) std::reverse(list.begin(), list.end());
    BASIN_ASSIGN_OR_RETURN(outputs.emplace_back(), Stacked(n, list, axes[k]));
  }
  return AsOutputs(n, std::move(outputs));
}

constexpr Operator kOperators[] = {
    {"If", 1, LowerIf},
    {"Loop", 1, LowerLoop},
    {"Scan", 9, LowerScan},
};

}  // namespace

absl::Span<const Operator> ControlOperators() { return kOperators; }

}  // namespace basin::internal
