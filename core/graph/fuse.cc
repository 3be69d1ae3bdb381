#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/graph/fold.h"
#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"
#include "core/graph/simplify.h"

// Each elementwise value is either *stored*, as the result of a kFused node,
// or *inlined* into every kFused node that needs it. The cone of a value is
// what one kFused node computes to get it: itself and the inlined values that
// it depends on; the leaves of the cone are that node's operands.

namespace basin {
namespace {

using internal::ScalarOf;
using IdList = absl::InlinedVector<ValueId, 8>;

// Bounds for computing a value again instead of storing it. In units of one
// vector addition; a store and a load cost a few of them.
constexpr int kMaxRepeatedCost = 16;
constexpr size_t kMaxRepeatedReads = 2;
constexpr size_t kMaxRepeats = 4;
constexpr int kTranscendentalCost = 4;

int CostOf(ScalarOp op) {
  switch (op) {
    case ScalarOp::kExp:
    case ScalarOp::kLog:
    case ScalarOp::kSin:
    case ScalarOp::kCos:
    case ScalarOp::kTanh:
    case ScalarOp::kSigmoid:
    case ScalarOp::kSoftplus:
    case ScalarOp::kSinh:
    case ScalarOp::kAsin:
    case ScalarOp::kAcos:
    case ScalarOp::kAtan:
    case ScalarOp::kAsinh:
    case ScalarOp::kAcosh:
    case ScalarOp::kAtanh:
      return kTranscendentalCost;
    case ScalarOp::kPow:
      return 2 * kTranscendentalCost;
    case ScalarOp::kErf:  // two polynomials and an exp
      return 4 * kTranscendentalCost;
    default:
      return 1;
  }
}

// Adds to a sorted list without repetition.
void Insert(IdList* ids, ValueId id) {
  const auto place = std::lower_bound(ids->begin(), ids->end(), id);
  if (place == ids->end() || *place != id) ids->insert(place, id);
}

void InsertAll(IdList* ids, const IdList& more) {
  for (const ValueId id : more) Insert(ids, id);
}

bool Contains(const IdList& ids, ValueId id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}

struct Cone {
  IdList nodes;    // computed inside
  IdList leaves;   // operands
  IdList scalars;  // operands that become the program's constants
};

// Decides what is stored.
class FusionPlan {
 public:
  explicit FusionPlan(const Graph& graph)
      : graph_(graph),
        live_(internal::LiveValues(graph)),
        stored_(live_.size(), false),
        cones_(live_.size()) {
    StoreWhatOthersRead();
    StoreWhatIsDearToRepeat();
    for (ValueId id = 0; id < graph_.size(); ++id) {
      if (IsElementwise(id) && live_[id]) MakeCone(id);
    }
  }

  // REQUIRES: a live elementwise value.
  const Cone& cone(ValueId id) const { return cones_[id]; }

  bool IsElementwise(ValueId id) const {
    return graph_.node(id).op == Op::kElementwise;
  }

  // What a kFused node reads for `id`: it broadcasts operands itself.
  ValueId OperandFor(ValueId id) const {
    const Node& node = graph_.node(id);
    return node.op == Op::kBroadcast ? node.inputs[0] : id;
  }

 private:
  bool IsInlined(ValueId id) const { return IsElementwise(id) && !stored_[id]; }

  void StoreWhatOthersRead() {
    for (ValueId id = 0; id < graph_.size(); ++id) {
      if (!live_[id] || IsElementwise(id)) continue;
      for (const ValueId input : graph_.node(id).inputs) stored_[input] = true;
    }
    for (const ValueId id : graph_.outputs()) stored_[id] = true;
  }

  // What it takes to compute a value from stored ones.
  struct Effort {
    int cost = 0;
    IdList reads;  // full-size operands, at most kMaxRepeatedReads + 1
  };

  std::vector<Effort> Efforts() const {
    std::vector<Effort> efforts(live_.size());
    for (ValueId id = 0; id < graph_.size(); ++id) {
      if (!IsElementwise(id) || !live_[id]) continue;
      Effort& effort = efforts[id];
      effort.cost = CostOf(graph_.attributes<ElementwiseAttrs>(id).op);
      for (const ValueId input : graph_.node(id).inputs) {
        if (IsInlined(input)) {
          effort.cost += efforts[input].cost;
          InsertAll(&effort.reads, efforts[input].reads);
        } else if (graph_.node(input).op != Op::kBroadcast) {
          Insert(&effort.reads, input);
        }
      }
      effort.cost = std::min(effort.cost, kMaxRepeatedCost + 1);
      if (effort.reads.size() > kMaxRepeatedReads) {
        effort.reads.resize(kMaxRepeatedReads + 1);
      }
    }
    return efforts;
  }

  void StoreWhatIsDearToRepeat() {
    const std::vector<Effort> efforts = Efforts();
    // By value: the stored values that would each compute it.
    std::vector<IdList> users(live_.size());
    for (ValueId id = graph_.size() - 1; id >= 0; --id) {
      if (!IsElementwise(id) || !live_[id]) continue;
      const bool is_shared = users[id].size() > 1;
      const bool is_cheap = efforts[id].cost <= kMaxRepeatedCost &&
                            efforts[id].reads.size() <= kMaxRepeatedReads &&
                            users[id].size() <= kMaxRepeats;
      if (is_shared && !is_cheap) stored_[id] = true;
      if (stored_[id]) users[id] = {id};
      for (const ValueId input : graph_.node(id).inputs) {
        IdList& list = users[input];
        if (list.size() <= kMaxRepeats) InsertAll(&list, users[id]);
      }
    }
  }

  Cone ConeOf(ValueId id) const {
    Cone cone;
    Insert(&cone.nodes, id);
    for (const ValueId input : graph_.node(id).inputs) {
      if (IsInlined(input)) {
        InsertAll(&cone.nodes, cones_[input].nodes);
        InsertAll(&cone.leaves, cones_[input].leaves);
        InsertAll(&cone.scalars, cones_[input].scalars);
      } else {
        const ValueId operand = OperandFor(input);
        const bool is_scalar = ScalarOf(graph_, operand).has_value();
        Insert(is_scalar ? &cone.scalars : &cone.leaves, operand);
      }
    }
    return cone;
  }

  // Stores inputs of `id`, the one with the largest cone first, until what is
  // left fits into one program.
  void MakeCone(ValueId id) {
    for (;;) {
      Cone& cone = cones_[id];
      cone = ConeOf(id);
      if (cone.nodes.size() <= kMaxProgramInstructions &&
          cone.leaves.size() <= kMaxProgramOperands &&
          cone.scalars.size() <= kMaxProgramConstants) {
        return;
      }
      ValueId largest = GraphBuilder::kNoValue;
      for (const ValueId input : graph_.node(id).inputs) {
        if (!IsInlined(input)) continue;
        if (largest == GraphBuilder::kNoValue ||
            cones_[input].nodes.size() > cones_[largest].nodes.size()) {
          largest = input;
        }
      }
      BASIN_CHECK(largest != GraphBuilder::kNoValue);
      stored_[largest] = true;
    }
  }

  const Graph& graph_;
  const std::vector<bool> live_;
  std::vector<bool> stored_;
  std::vector<Cone> cones_;
};

// Writes the program of one stored value.
class ProgramWriter {
 public:
  ProgramWriter(const Graph& graph, const FusionPlan& plan, ValueId root)
      : graph_(graph), plan_(plan), cone_(plan.cone(root)) {
    FindOperands(root);
  }

  // In the order of the program's operands.
  const IdList& operands() const { return operands_; }

  ScalarProgram Write() {
    program_.num_operands = static_cast<int>(operands_.size());
    for (const ValueId id : nodes_) {
      for (const ValueId input : graph_.node(id).inputs) AddScalar(input);
    }
    for (const ValueId id : nodes_) values_.push_back(AddInstruction(id));
    return std::move(program_);
  }

 private:
  bool IsComputedHere(ValueId id) const {
    return plan_.IsElementwise(id) && !Contains(cone_.leaves, id);
  }

  // A value can be a leaf on one path and inside the cone on another, where it
  // was stored in between: then it is read, and the inner copy drops out.
  void FindOperands(ValueId root) {
    ValueId first_scalar = GraphBuilder::kNoValue;
    IdList pending = {root};
    Insert(&nodes_, root);
    while (!pending.empty()) {
      const ValueId id = pending.back();
      pending.pop_back();
      for (const ValueId input : graph_.node(id).inputs) {
        if (IsComputedHere(input)) {
          if (Contains(nodes_, input)) continue;
          Insert(&nodes_, input);
          pending.push_back(input);
        } else if (const ValueId operand = plan_.OperandFor(input);
                   Contains(cone_.scalars, operand)) {
          first_scalar = operand;
        } else {
          Insert(&operands_, operand);
        }
      }
    }
    // A program reads something, if only a constant.
    if (operands_.empty()) operands_ = {first_scalar};
  }

  void AddScalar(ValueId input) {
    const ValueId operand = plan_.OperandFor(input);
    if (IsComputedHere(input) || Contains(operands_, operand)) return;
    const float value = *ScalarOf(graph_, operand);
    if (FindConstant(value) < 0) program_.constants.push_back(value);
  }

  // By bits: 0 and -0 are two constants, and a NaN equals itself.
  int FindConstant(float value) const {
    for (size_t i = 0; i < program_.constants.size(); ++i) {
      if (std::memcmp(&program_.constants[i], &value, sizeof(value)) == 0) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }

  int16_t ValueNumber(ValueId input) const {
    const auto index = [](const IdList& ids, ValueId id) {
      return std::lower_bound(ids.begin(), ids.end(), id) - ids.begin();
    };
    if (IsComputedHere(input)) {
      return values_[static_cast<size_t>(index(nodes_, input))];
    }
    const ValueId operand = plan_.OperandFor(input);
    if (Contains(operands_, operand)) {
      return static_cast<int16_t>(index(operands_, operand));
    }
    return static_cast<int16_t>(program_.num_operands +
                                FindConstant(*ScalarOf(graph_, operand)));
  }

  // The value number of the node's result; an equal instruction is reused.
  int16_t AddInstruction(ValueId id) {
    ScalarInstruction wanted = {graph_.attributes<ElementwiseAttrs>(id).op, {}};
    std::fill(std::begin(wanted.args), std::end(wanted.args), int16_t{-1});
    const auto& inputs = graph_.node(id).inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      wanted.args[i] = ValueNumber(inputs[i]);
    }
    const size_t first = operands_.size() + program_.constants.size();
    // The result is the last instruction, so the root is never shared.
    const bool is_root = id == nodes_.back();
    for (size_t i = 0; !is_root && i < program_.instructions.size(); ++i) {
      const ScalarInstruction& known = program_.instructions[i];
      if (known.op == wanted.op &&
          std::equal(std::begin(known.args), std::end(known.args),
                     std::begin(wanted.args))) {
        return static_cast<int16_t>(first + i);
      }
    }
    program_.instructions.push_back(wanted);
    return static_cast<int16_t>(first + program_.instructions.size() - 1);
  }

  const Graph& graph_;
  const FusionPlan& plan_;
  const Cone& cone_;
  IdList nodes_;     // computed here, ascending: operands come first
  IdList operands_;  // ascending
  std::vector<int16_t> values_;  // value numbers, by place in nodes_
  ScalarProgram program_;
};

struct FusedNode {
  IdList operands;
  ScalarProgram program;
};

// By id: the kFused nodes that are needed, and which other nodes are.
struct Selection {
  std::vector<bool> needed;
  std::vector<FusedNode> fused;
};

Selection Select(const Graph& graph, const FusionPlan& plan) {
  Selection selection;
  selection.needed.assign(static_cast<size_t>(graph.size()), false);
  selection.fused.resize(selection.needed.size());
  for (const ValueId id : graph.outputs()) selection.needed[id] = true;
  for (ValueId id = graph.size() - 1; id >= 0; --id) {
    if (graph.node(id).op == Op::kInput) selection.needed[id] = true;
    if (!selection.needed[id]) continue;
    if (plan.IsElementwise(id)) {
      ProgramWriter writer(graph, plan, id);
      selection.fused[id] = {writer.operands(), writer.Write()};
      for (const ValueId operand : selection.fused[id].operands) {
        selection.needed[operand] = true;
      }
    } else {
      for (const ValueId input : graph.node(id).inputs) {
        selection.needed[input] = true;
      }
    }
  }
  return selection;
}

}  // namespace

absl::StatusOr<Graph> Fuse(const Graph& graph) {
  const FusionPlan plan(graph);
  Selection selection = Select(graph, plan);
  std::vector<ValueId> mapped(selection.needed.size(), GraphBuilder::kNoValue);
  GraphBuilder builder;
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (!selection.needed[id]) continue;
    const Node& node = graph.node(id);
    IdList inputs;
    if (plan.IsElementwise(id)) {
      FusedNode& fused = selection.fused[id];
      for (const ValueId operand : fused.operands) {
        inputs.push_back(mapped[operand]);
      }
      mapped[id] = builder.AddShapedNode(
          Op::kFused, inputs, FusedAttrs{std::move(fused.program)}, node.shape);
    } else {
      for (const ValueId input : node.inputs) inputs.push_back(mapped[input]);
      mapped[id] = internal::AddNodeOf(builder, node, inputs);
    }
  }
  std::vector<ValueId> outputs;
  for (const ValueId id : graph.outputs()) outputs.push_back(mapped[id]);
  return std::move(builder).Build(std::move(outputs));
}

}  // namespace basin
