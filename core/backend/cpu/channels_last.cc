#include "core/backend/cpu/channels_last.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "core/graph/graph_builder.h"
#include "core/graph/simplify.h"

namespace basin {
namespace {

constexpr ValueId kNoValue = GraphBuilder::kNoValue;

// Result axis i of the image with its channels last is axis [i] of the other:
// 0, 2, .., rank - 1, 1.
IntList ToLast(int rank) {
  IntList permutation = {0};
  for (int axis = 2; axis < rank; ++axis) permutation.push_back(axis);
  permutation.push_back(1);
  return permutation;
}

// And back: 0, rank - 1, 1, 2, ..
IntList ToFirst(int rank) {
  IntList permutation = {0, rank - 1};
  for (int axis = 1; axis + 1 < rank; ++axis) permutation.push_back(axis);
  return permutation;
}

template <typename List>
List Permuted(const List& list, const IntList& permutation) {
  List result;
  for (const int64_t axis : permutation) {
    result.push_back(list[static_cast<size_t>(axis)]);
  }
  return result;
}

Shape LastShape(const Shape& shape) {
  return *Shape::Create(Permuted(shape.dims(), ToLast(shape.rank())));
}

// Where an axis is when the channels are last.
int LastAxis(int64_t axis, int rank) {
  if (axis == 0) return 0;
  return static_cast<int>(axis == 1 ? rank - 1 : axis - 1);
}

// A node's attributes when its images have their channels last.
struct LastAttributes {
  int rank;  // of the images

  Attributes operator()(SliceAttrs a) const {
    const IntList axes = ToLast(rank);
    return SliceAttrs{Permuted(a.starts, axes), Permuted(a.limits, axes),
                      Permuted(a.strides, axes)};
  }
  Attributes operator()(PadAttrs a) const {
    const IntList axes = ToLast(rank);
    return PadAttrs{Permuted(a.before, axes), Permuted(a.after, axes),
                    Permuted(a.interior, axes)};
  }
  Attributes operator()(AxisAttrs a) const {
    return AxisAttrs{LastAxis(a.axis, rank)};
  }
  Attributes operator()(ReduceAttrs a) const {
    for (int64_t& axis : a.axes) axis = LastAxis(axis, rank);
    std::sort(a.axes.begin(), a.axes.end());
    return a;
  }
  Attributes operator()(ConvAttrs a) const {
    a.layout = ImageLayout::kChannelsLast;
    return a;
  }
  Attributes operator()(PoolAttrs a) const {
    a.layout = ImageLayout::kChannelsLast;
    return a;
  }
  template <typename T>
  Attributes operator()(T a) const {
    return a;
  }
};

// How many of a node's inputs are images, if its result is one with the same
// axes; 0 for other operations.
size_t ImageInputs(const Graph& graph, const Node& node) {
  switch (node.op) {
    case Op::kElementwise:
    case Op::kConcat:
    case Op::kMaxPoolGrad:
      return node.inputs.size();
    case Op::kStopGradient:
    case Op::kSlice:
    case Op::kPad:
    case Op::kGather:
    case Op::kScatterAdd:
    case Op::kConv:
    case Op::kConvBackwardData:
    case Op::kMaxPool:
    case Op::kAvgPool:
    case Op::kAvgPoolGrad:
      return 1;
    case Op::kReshape: {
      // One that splits or joins spatial axes only.
      const Shape& from = graph.shape(node.inputs[0]);
      const bool keeps_channels = from.rank() > 2 && node.shape.rank() > 2 &&
                                  from.dim(0) == node.shape.dim(0) &&
                                  from.dim(1) == node.shape.dim(1);
      return keeps_channels ? 1 : 0;
    }
    default:
      return 0;
  }
}

bool IsWindowed(Op op) {
  switch (op) {
    case Op::kConv:
    case Op::kConvBackwardData:
    case Op::kMaxPool:
    case Op::kMaxPoolGrad:
    case Op::kAvgPool:
    case Op::kAvgPoolGrad:
      return true;
    default:
      return false;
  }
}

// Values that can be written either way at no cost.
bool IsFlexible(Op op) {
  return op == Op::kInput || op == Op::kConstant || op == Op::kBroadcast;
}

// Which values have their channels last: those that hang together with a
// convolution or a pool.
class Images {
 public:
  Images(const Graph& graph, const std::vector<bool>& live)
      : parents_(live.size()), windowed_(live.size(), false) {
    std::iota(parents_.begin(), parents_.end(), 0);
    for (ValueId id = 0; id < graph.size(); ++id) {
      const Node& node = graph.node(id);
      if (!live[static_cast<size_t>(id)]) continue;
      for (size_t i = 0; i < ImageInputs(graph, node); ++i) {
        if (!IsFlexible(graph.node(node.inputs[i]).op)) {
          Join(id, node.inputs[i]);
        }
      }
      if (IsWindowed(node.op)) windowed_[Root(id)] = true;
    }
  }

  bool Contains(ValueId id) { return windowed_[Root(id)]; }

 private:
  size_t Root(ValueId id) {
    auto root = static_cast<size_t>(id);
    while (parents_[root] != root) {
      parents_[root] = parents_[parents_[root]];
      root = parents_[root];
    }
    return root;
  }
  void Join(ValueId a, ValueId b) {
    const size_t from = Root(a);
    const size_t to = Root(b);
    parents_[from] = to;
    windowed_[to] = windowed_[to] || windowed_[from];
  }

  std::vector<size_t> parents_;
  std::vector<bool> windowed_;  // of roots
};

class Rewriter {
 public:
  explicit Rewriter(const Graph& graph)
      : graph_(graph),
        live_(internal::LiveValues(graph)),
        images_(graph, live_),
        first_(live_.size(), kNoValue),
        last_(live_.size(), kNoValue) {}

  absl::StatusOr<Graph> Run() {
    for (ValueId id = 0; id < graph_.size(); ++id) {
      const Node& node = graph_.node(id);
      if (!live_[static_cast<size_t>(id)] && node.op != Op::kInput) continue;
      if (IsReduction(node.op) && images_.Contains(node.inputs[0])) {
        first_[static_cast<size_t>(id)] = Reduced(node);
      } else if (images_.Contains(id) && ImageInputs(graph_, node) > 0) {
        last_[static_cast<size_t>(id)] = ImageNode(node);
      } else {
        first_[static_cast<size_t>(id)] = PlainNode(node);
      }
    }
    std::vector<ValueId> outputs;
    for (const ValueId id : graph_.outputs()) outputs.push_back(First(id));
    return std::move(builder_).Build(std::move(outputs));
  }

 private:
  static bool IsReduction(Op op) {
    return op == Op::kReduceSum || op == Op::kReduceMax;
  }

  // A value as it was.
  ValueId First(ValueId id) {
    ValueId& first = first_[static_cast<size_t>(id)];
    if (first == kNoValue) {
      first = builder_.Transpose(last_[static_cast<size_t>(id)],
                                 ToFirst(graph_.shape(id).rank()));
    }
    return first;
  }

  // A value with its channels last.
  ValueId Last(ValueId id) {
    ValueId& last = last_[static_cast<size_t>(id)];
    if (last != kNoValue) return last;
    const Node& node = graph_.node(id);
    if (node.op == Op::kBroadcast) {
      last = builder_.AddShapedNode(Op::kBroadcast, {Last(node.inputs[0])}, {},
                                    LastShape(node.shape));
    } else {
      last = builder_.Transpose(First(id), ToLast(node.shape.rank()));
    }
    return last;
  }

  ValueId PlainNode(const Node& node) {
    internal::Simplifier::Inputs inputs;
    for (const ValueId input : node.inputs) inputs.push_back(First(input));
    return internal::AddNodeOf(builder_, node, inputs);
  }

  ValueId ImageNode(const Node& node) {
    const size_t images = ImageInputs(graph_, node);
    internal::Simplifier::Inputs inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      inputs.push_back(i < images ? Last(node.inputs[i])
                                  : First(node.inputs[i]));
    }
    Node image = node;
    image.attributes =
        std::visit(LastAttributes{node.shape.rank()}, node.attributes);
    image.shape = LastShape(node.shape);
    return internal::AddNodeOf(builder_, image, inputs);
  }

  // The kept axes come out with the channels after the others: as they were,
  // unless channels and spatial axes are both kept.
  ValueId Reduced(const Node& node) {
    const int rank = graph_.shape(node.inputs[0]).rank();
    const auto& axes = std::get<ReduceAttrs>(node.attributes).axes;
    const ValueId reduced =
        builder_.AddNode(node.op, {Last(node.inputs[0])},
                         LastAttributes{rank}(ReduceAttrs{axes}));
    const auto is_kept = [&axes](int64_t axis) {
      return std::find(axes.begin(), axes.end(), axis) == axes.end();
    };
    IntList kept;  // the axes of `reduced`, as they were numbered
    for (const int64_t axis : ToLast(rank)) {
      if (is_kept(axis)) kept.push_back(axis);
    }
    IntList permutation;
    for (int64_t axis = 0; axis < rank; ++axis) {
      if (!is_kept(axis)) continue;
      permutation.push_back(std::find(kept.begin(), kept.end(), axis) -
                            kept.begin());
    }
    return builder_.Transpose(reduced, permutation);
  }

  const Graph& graph_;
  const std::vector<bool> live_;
  Images images_;
  GraphBuilder builder_;
  // By id of graph_: the value in builder_, as it was and with its channels
  // last; at least one of them.
  std::vector<ValueId> first_;
  std::vector<ValueId> last_;
};

}  // namespace

absl::StatusOr<Graph> ToChannelsLast(const Graph& graph) {
  return Rewriter(graph).Run();
}

}  // namespace basin
