// Recurrent layers, unrolled: RNN, GRU and LSTM, as onnx/docs/Operators.md
// defines them. Shapes: T steps, N rows, I inputs, H hidden values, D
// directions, and G gates, which are 1, 3 or 4 blocks of H in weights.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "core/onnx/lowering.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

// About what the step of an LSTM comes to; bounds what is unrolled.
constexpr int64_t kNodesPerStep = 30;

struct Activation {
  absl::string_view name;
  ScalarOp op;
};

constexpr Activation kActivations[] = {
    {"Sigmoid", ScalarOp::kSigmoid},
    {"Tanh", ScalarOp::kTanh},
    {"Relu", ScalarOp::kMax},  // with 0
    {"Softplus", ScalarOp::kSoftplus},
};

absl::StatusOr<ScalarOp> FindActivation(const std::string& name) {
  for (const Activation& activation : kActivations) {
    if (absl::EqualsIgnoreCase(name, activation.name)) return activation.op;
  }
  return absl::UnimplementedError(
      absl::StrCat("activation ", Quoted(name),
                   " is not supported; Relu, Sigmoid, Softplus and Tanh are"));
}

enum class Kind { kRnn, kGru, kLstm };

struct Defaults {
  int64_t gates;
  std::vector<std::string> activations;
  int max_inputs;
};

Defaults DefaultsOf(Kind kind) {
  switch (kind) {
    case Kind::kRnn:
      return {1, {"Tanh"}, 6};
    case Kind::kGru:
      return {3, {"Sigmoid", "Tanh"}, 6};
    default:
      return {4, {"Sigmoid", "Tanh", "Tanh"}, 8};
  }
}

// What all directions share.
struct Layer {
  Kind kind = Kind::kRnn;
  int64_t steps = 0;
  int64_t rows = 0;
  int64_t inputs = 0;
  int64_t hidden = 0;
  int64_t gates = 0;
  int directions = 1;
  bool first_is_backwards = false;
  bool batch_first = false;           // layout 1
  bool reset_after = false;           // linear_before_reset
  float clip = 0;                     // 0: none
  std::vector<ScalarOp> activations;  // of the first direction, the second

  bool backwards(int direction) const {
    return first_is_backwards || direction == 1;
  }
};

// The weights of one direction. Values that are absent count as 0.
struct Weights {
  Value input;       // [GH, I]
  Value recurrent;   // [GH, H]
  Value bias;        // [GH], of inputs and as far as possible of recurrence
  Value reset_bias;  // [H], of a GRU's recurrence that the reset gate scales
  Value peepholes;   // [3H]
};

// The states of one direction, [N, H]; absent ones are 0.
struct State {
  Value hidden;
  Value cell;
};

class Recurrence {
 public:
  Recurrence(NodeContext& n, const Layer& layer, int direction, Weights weights)
      : n_(n),
        layer_(layer),
        activations_(layer.activations.data() +
                     direction * layer.activations.size() / layer.directions),
        weights_(std::move(weights)) {}

  // Runs through x [T, N, I]; gives hidden states [N, H] in the order of x,
  // and the last state.
  std::vector<Value> Run(const Value& x, bool backwards, State& state) {
    std::vector<Value> result(static_cast<size_t>(layer_.steps));
    const Value gates = Plus(Product(x, weights_.input), weights_.bias);
    for (int64_t i = 0; i < layer_.steps; ++i) {
      const int64_t t = backwards ? layer_.steps - 1 - i : i;
      const Value row =
          n_.Reshape(n_.SliceAxis(gates, 0, t, 1),
                     Shape::Dims({layer_.rows, layer_.gates * layer_.hidden}));
      Step(row, state);
      result[static_cast<size_t>(t)] = state.hidden;
    }
    return result;
  }

 private:
  void Step(const Value& gates, State& state) {
    switch (layer_.kind) {
      case Kind::kRnn:
        state.hidden = Activate(0, Plus(gates, Recurrent(state, 0, 1)));
        break;
      case Kind::kGru:
        GruStep(gates, state);
        break;
      case Kind::kLstm:
        LstmStep(gates, state);
        break;
    }
  }

  // Gates z (update), r (reset) and h.
  void GruStep(const Value& gates, State& state) {
    Value z = Gate(gates, 0);
    Value r = Gate(gates, 1);
    Value candidate = Gate(gates, 2);
    if (layer_.reset_after) {
      const Value all = Recurrent(state, 0, 3);
      z = Activate(0, Plus(z, Gate(all, 0)));
      r = Activate(0, Plus(r, Gate(all, 1)));
      const Value inner = Plus(Gate(all, 2), weights_.reset_bias);
      candidate = Plus(candidate, Times(r, inner));
    } else {
      const Value both = Recurrent(state, 0, 2);
      z = Activate(0, Plus(z, Gate(both, 0)));
      r = Activate(0, Plus(r, Gate(both, 1)));
      candidate =
          Plus(candidate, Recurrent({Times(r, state.hidden), {}}, 2, 1));
    }
    candidate = Activate(1, candidate);
    // (1 - z) candidate + z h
    const Value old = Times(z, state.hidden);
    const Value rest = n_.Binary(ScalarOp::kSub, Number(1), z);
    state.hidden = Plus(Times(rest, candidate), old);
  }

  // Gates i (input), o (output), f (forget) and c; peepholes of i, o, f.
  void LstmStep(const Value& given, State& state) {
    const Value gates = Plus(given, Recurrent(state, 0, 4));
    const Value i = Activate(0, Plus(Gate(gates, 0), Peephole(0, state.cell)));
    const Value f = Activate(0, Plus(Gate(gates, 2), Peephole(2, state.cell)));
    const Value candidate = Activate(1, Gate(gates, 3));
    state.cell = Plus(Times(i, candidate), Times(f, state.cell));
    const Value o = Activate(0, Plus(Gate(gates, 1), Peephole(1, state.cell)));
    state.hidden = Times(o, Activated(2, state.cell));
  }

  // hidden R', for `count` gates from `first` on.
  Value Recurrent(const State& state, int64_t first, int64_t count) {
    if (!state.hidden.exists()) return Value();
    Value& part = parts_[first == 0 ? 0 : 1];
    if (!part.exists()) {
      part = count == layer_.gates
                 ? weights_.recurrent
                 : n_.SliceAxis(weights_.recurrent, 0, first * layer_.hidden,
                                count * layer_.hidden);
    }
    return Product(state.hidden, part);
  }

  Value Gate(const Value& gates, int64_t index) {
    if (!gates.exists()) return gates;
    const int last = n_.ShapeOf(gates).rank() - 1;
    return n_.SliceAxis(gates, last, index * layer_.hidden, layer_.hidden);
  }

  Value Peephole(int64_t index, const Value& cell) {
    return Times(Gate(weights_.peepholes, index), cell);
  }

  Value Activate(int index, Value x) {
    if (layer_.clip > 0) {
      x = n_.Binary(ScalarOp::kMax, x, Number(-layer_.clip));
      x = n_.Binary(ScalarOp::kMin, x, Number(layer_.clip));
    }
    return Activated(index, x);
  }

  Value Activated(int index, const Value& x) {
    const ScalarOp op = activations_[index];
    return op == ScalarOp::kMax ? n_.Binary(op, x, Number(0)) : n_.Unary(op, x);
  }

  // x w', [.., K] x [M, K] -> [.., M]
  Value Product(const Value& x, const Value& w) {
    const ValueId left = n_.InGraph(x);
    const ValueId right = n_.InGraph(w);
    if (left == GraphBuilder::kNoValue || right == GraphBuilder::kNoValue) {
      return Value();
    }
    return n_.builder().Matmul(left, right, {false, true});
  }

  // Sums and products in which an absent value is 0.
  Value Plus(const Value& a, const Value& b) {
    if (!a.exists()) return b;
    return b.exists() ? n_.Binary(ScalarOp::kAdd, a, b) : a;
  }
  Value Times(const Value& a, const Value& b) {
    if (!a.exists() || !b.exists()) return Value();
    return n_.Binary(ScalarOp::kMul, a, b);
  }

  NodeContext& n_;
  const Layer& layer_;
  const ScalarOp* const activations_;
  const Weights weights_;
  Value parts_[2];  // of weights_.recurrent
};

absl::Status CheckShape(NodeContext& n, int index, const Value& value,
                        const Shape::Dims& expected) {
  if (value.dtype() == DType::kFloat32 && n.ShapeOf(value).dims() == expected) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("input ", index, " is ", std::string(Name(value.dtype())),
                   n.ShapeOf(value).ToString(), ", expected float32[",
                   absl::StrJoin(expected, ", "), "]"));
}

// Input `index` of this shape, or nothing if it is absent.
absl::StatusOr<Value> OptionalInput(NodeContext& n, int index,
                                    const Shape::Dims& shape) {
  if (!n.HasInput(index)) return Value();
  BASIN_ASSIGN_OR_RETURN(const Value value, n.Input(index));
  BASIN_RETURN_IF_ERROR(CheckShape(n, index, value, shape));
  return value;
}

// Entry `direction` of the first axis, which disappears.
Value OfDirection(NodeContext& n, const Value& x, const Layer& layer,
                  int direction) {
  if (!x.exists()) return x;
  Shape::Dims dims = n.ShapeOf(x).dims();
  dims.erase(dims.begin());
  return n.Reshape(layer.directions == 1 ? x : n.SliceAxis(x, 0, direction, 1),
                   dims);
}

absl::Status ReadDirection(NodeContext& n, Layer& layer) {
  const std::string direction = n.String("direction", "forward");
  if (direction != "forward" && direction != "reverse" &&
      direction != "bidirectional") {
    return absl::InvalidArgumentError(
        absl::StrCat("direction ", Quoted(direction),
                     ", expected forward, reverse or bidirectional"));
  }
  layer.directions = direction == "bidirectional" ? 2 : 1;
  layer.first_is_backwards = direction == "reverse";
  return absl::OkStatus();
}

absl::Status ReadActivations(NodeContext& n, Layer& layer) {
  const std::vector<std::string> defaults = DefaultsOf(layer.kind).activations;
  std::vector<std::string> names = n.Strings("activations");
  for (int i = 0; !n.HasAttribute("activations") && i < layer.directions; ++i) {
    names.insert(names.end(), defaults.begin(), defaults.end());
  }
  if (names.size() != defaults.size() * layer.directions) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", names.size(), " activations, expected ",
                     defaults.size() * static_cast<size_t>(layer.directions)));
  }
  for (const std::string& name : names) {
    BASIN_ASSIGN_OR_RETURN(layer.activations.emplace_back(),
                           FindActivation(name));
  }
  // None of the activations above has a parameter.
  n.Ignore("activation_alpha");
  n.Ignore("activation_beta");
  return absl::OkStatus();
}

// Inputs 0 to 2, x, w and r, give all sizes.
absl::Status ReadSizes(NodeContext& n, Layer& layer) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value w, n.Input(1));
  BASIN_ASSIGN_OR_RETURN(const Value r, n.Input(2));
  const Shape& shape = n.ShapeOf(x);
  if (shape.rank() != 3 || n.ShapeOf(r).rank() != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("inputs of shapes ", shape.ToString(), " and ",
                     n.ShapeOf(r).ToString(), ", expected rank 3"));
  }
  layer.steps = shape.dim(layer.batch_first ? 1 : 0);
  layer.rows = shape.dim(layer.batch_first ? 0 : 1);
  layer.inputs = shape.dim(2);
  layer.hidden = n.ShapeOf(r).dim(2);
  layer.gates = DefaultsOf(layer.kind).gates;
  if (layer.steps < 1 || layer.hidden < 1 ||
      n.Int("hidden_size", layer.hidden) != layer.hidden) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", layer.steps, " steps and hidden_size ",
                     n.Int("hidden_size", layer.hidden), ", its weights ",
                     n.ShapeOf(r).ToString()));
  }
  // hidden is a dimension of a tensor: the products do not overflow.
  const int64_t rows = layer.gates * layer.hidden;
  BASIN_RETURN_IF_ERROR(
      CheckShape(n, 1, w, Shape::Dims({layer.directions, rows, layer.inputs})));
  return CheckShape(n, 2, r,
                    Shape::Dims({layer.directions, rows, layer.hidden}));
}

// Rows of different lengths are not supported.
absl::Status CheckLengths(NodeContext& n, const Layer& layer) {
  if (!n.HasInput(4)) return absl::OkStatus();
  BASIN_ASSIGN_OR_RETURN(const IntList lengths, n.IntsInput(4));
  for (const int64_t length : lengths) {
    if (length == layer.steps) continue;
    return absl::UnimplementedError(absl::StrCat("sequence_lens holds ", length,
                                                 "; only the length of "
                                                 "the input, ",
                                                 layer.steps,
                                                 ", is supported"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Layer> ReadLayer(NodeContext& n, Kind kind) {
  Layer layer;
  layer.kind = kind;
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, DefaultsOf(kind).max_inputs));
  BASIN_RETURN_IF_ERROR(ReadDirection(n, layer));
  BASIN_RETURN_IF_ERROR(ReadActivations(n, layer));
  layer.batch_first = n.Int("layout", 0) != 0;
  layer.clip = n.Float("clip", 0);
  if (kind == Kind::kGru) {
    layer.reset_after = n.Int("linear_before_reset", 0) != 0;
  }
  if (kind == Kind::kLstm && n.Int("input_forget", 0) != 0) {
    return absl::UnimplementedError("input_forget 1; 0 is supported");
  }
  BASIN_RETURN_IF_ERROR(ReadSizes(n, layer));
  BASIN_RETURN_IF_ERROR(CheckLengths(n, layer));
  const int64_t steps = layer.steps * layer.directions;
  BASIN_RETURN_IF_ERROR(TakeNodes(
      steps < (int64_t{1} << 40) ? steps * kNodesPerStep : steps, n.state()));
  return layer;
}

// Of inputs [GH] and of recurrence [GH], as one sum where both only add.
void SplitBias(NodeContext& n, const Layer& layer, const Value& bias,
               Weights& weights) {
  if (!bias.exists()) return;
  const int64_t size = layer.gates * layer.hidden;
  const Value input = n.SliceAxis(bias, 0, 0, size);
  const Value recurrent = n.SliceAxis(bias, 0, size, size);
  if (!layer.reset_after) {
    weights.bias = n.Binary(ScalarOp::kAdd, input, recurrent);
    return;
  }
  const int64_t added = 2 * layer.hidden;
  const Value sum = n.Binary(ScalarOp::kAdd, n.SliceAxis(input, 0, 0, added),
                             n.SliceAxis(recurrent, 0, 0, added));
  weights.bias = n.Concat({sum, n.SliceAxis(input, 0, added, layer.hidden)}, 0);
  weights.reset_bias = n.SliceAxis(recurrent, 0, added, layer.hidden);
}

absl::StatusOr<Weights> ReadWeights(NodeContext& n, const Layer& layer,
                                    int direction) {
  Weights weights;
  BASIN_ASSIGN_OR_RETURN(const Value w, n.Input(1));
  BASIN_ASSIGN_OR_RETURN(const Value r, n.Input(2));
  BASIN_ASSIGN_OR_RETURN(
      const Value bias,
      OptionalInput(
          n, 3,
          Shape::Dims({layer.directions, 2 * layer.gates * layer.hidden})));
  weights.input = OfDirection(n, w, layer, direction);
  weights.recurrent = OfDirection(n, r, layer, direction);
  SplitBias(n, layer, OfDirection(n, bias, layer, direction), weights);
  if (layer.kind == Kind::kLstm) {
    BASIN_ASSIGN_OR_RETURN(
        const Value peepholes,
        OptionalInput(n, 7, Shape::Dims({layer.directions, 3 * layer.hidden})));
    weights.peepholes = OfDirection(n, peepholes, layer, direction);
  }
  return weights;
}

// [D, N, H] from the node's layout, or back: [N, D, H] if batch_first.
Value SwapLayout(NodeContext& n, const Layer& layer, const Value& state) {
  if (!state.exists() || !layer.batch_first) return state;
  return n.Transpose(state, {1, 0, 2});
}

absl::StatusOr<Value> ReadState(NodeContext& n, const Layer& layer, int index,
                                int direction) {
  const Shape::Dims shape =
      layer.batch_first
          ? Shape::Dims({layer.rows, layer.directions, layer.hidden})
          : Shape::Dims({layer.directions, layer.rows, layer.hidden});
  BASIN_ASSIGN_OR_RETURN(const Value state, OptionalInput(n, index, shape));
  return OfDirection(n, SwapLayout(n, layer, state), layer, direction);
}

// [N, H] of each direction as [D, N, H] in the node's layout.
Value JoinedState(NodeContext& n, const Layer& layer,
                  const std::vector<Value>& states) {
  std::vector<Value> rows;
  for (const Value& state : states) {
    rows.push_back(
        n.Reshape(state, Shape::Dims({1, layer.rows, layer.hidden})));
  }
  return SwapLayout(n, layer, n.Concat(rows, 0));
}

// [N, H] of each direction and step as [T, D, N, H] in the node's layout.
Value JoinedSteps(NodeContext& n, const Layer& layer,
                  const std::vector<std::vector<Value>>& steps) {
  std::vector<Value> rows;
  for (int64_t t = 0; t < layer.steps; ++t) {
    for (const auto& direction : steps) {
      rows.push_back(direction[static_cast<size_t>(t)]);
    }
  }
  const Value y = n.Reshape(
      n.Concat(rows, 0),
      Shape::Dims({layer.steps, layer.directions, layer.rows, layer.hidden}));
  return layer.batch_first && y.exists() ? n.Transpose(y, {2, 0, 1, 3}) : y;
}

template <Kind kind>
absl::StatusOr<Value> LowerRecurrent(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Layer layer, ReadLayer(n, kind));
  BASIN_ASSIGN_OR_RETURN(Value x, n.Input(0));
  if (layer.batch_first) x = n.Transpose(x, {1, 0, 2});
  std::vector<std::vector<Value>> steps;
  std::vector<Value> hidden;
  std::vector<Value> cell;
  for (int direction = 0; direction < layer.directions; ++direction) {
    BASIN_ASSIGN_OR_RETURN(Weights weights, ReadWeights(n, layer, direction));
    State state;
    BASIN_ASSIGN_OR_RETURN(state.hidden, ReadState(n, layer, 5, direction));
    if (kind == Kind::kLstm) {
      BASIN_ASSIGN_OR_RETURN(state.cell, ReadState(n, layer, 6, direction));
    }
    Recurrence recurrence(n, layer, direction, std::move(weights));
    steps.push_back(recurrence.Run(x, layer.backwards(direction), state));
    hidden.push_back(state.hidden);
    cell.push_back(state.cell);
  }
  if (n.HasOutput(1)) n.SetOutput(1, JoinedState(n, layer, hidden));
  if (kind == Kind::kLstm && n.HasOutput(2)) {
    n.SetOutput(2, JoinedState(n, layer, cell));
  }
  return n.HasOutput(0) ? JoinedSteps(n, layer, steps) : Value();
}

constexpr Operator kOperators[] = {
    {"GRU", 7, LowerRecurrent<Kind::kGru>},
    {"LSTM", 7, LowerRecurrent<Kind::kLstm>},
    {"RNN", 7, LowerRecurrent<Kind::kRnn>},
};

}  // namespace

absl::Span<const Operator> RecurrentOperators() { return kOperators; }

}  // namespace basin::internal
