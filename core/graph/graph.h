#ifndef BASIN_CORE_GRAPH_GRAPH_H_
#define BASIN_CORE_GRAPH_GRAPH_H_

// The energy graph: primitive operations in static single assignment form.
// A graph is built for one row count N, so every shape is concrete.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/container/inlined_vector.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/graph/scalar_program.h"
#include "core/tensor/shape.h"
#include "core/tensor/tensor.h"

namespace basin {

// The primitive operations. All values are real numbers of the precision that
// a plan computes in (their DType is kFloat32), but for constants that serve as
// indices (int64) and for energies in double in every precision (float64):
// results of kToFloat64 and kCombineEnergies. Elementwise operations
// need equal shapes: what NumPy broadcasts is written with kReshape and
// kBroadcast.
enum class Op : uint8_t {
  kInput,         // a named input; InputAttrs
  kConstant,      // ConstantAttrs
  kElementwise,   // one scalar operation for each element; ElementwiseAttrs
  kFused,         // a program of scalar operations; FusedAttrs. Made by passes
  kStopGradient,  // identity whose gradient is zero
  kReshape,       // the same elements, row-major, under the node's shape
  kBroadcast,     // [.., 1, ..] -> [.., n, ..]; the same rank
  kTranspose,     // TransposeAttrs
  kSlice,         // SliceAttrs
  kPad,           // zeros before and after each axis; PadAttrs
  kConcat,        // AxisAttrs
  kGather,        // (x, constant int64 indices [k]): AxisAttrs
  kScatterAdd,    // gradient of kGather: (dy, indices) -> zeros with dy added
  kTake,       // (x [B, V, D], i [B, K]) -> [B, K, D]: rows picked at run time
  kPutAdd,     // gradient of kTake: (dy, i) -> zeros [B, V, D] with dy added
  kTopK,       // x [.., V] -> [.., k], places in the last axis; TopKAttrs
  kReduceSum,  // ReduceAttrs; the axes disappear
  kReduceMax,  // ReduceAttrs
  kMatmul,     // (a [.., m, k], b [.., k, n]) -> [.., m, n]; MatmulAttrs
  kConv,       // (x [N, C, s..], w [O, C/groups, k..]); ConvAttrs
  kConvBackwardData,     // (dy, w) -> dx; ConvAttrs of the forward operation
  kConvBackwardWeights,  // (x, dy) -> dw; ConvAttrs
  kMaxPool,              // (x [N, C, s..]); PoolAttrs
  kMaxPoolGrad,          // (x, dy) -> dx: to the first maximum of each window
  kAvgPool,              // (x [N, C, s..]); PoolAttrs
  kAvgPoolGrad,          // (dy) -> dx; PoolAttrs, the node's shape is x's
  kToFloat64,  // widens an energy [N]: an output, or an operand of the next
  kCombineEnergies,  // (float64, ..) -> float64; CombineAttrs
  kMixtureShare,     // the same of kMixture -> [N]: a term's; CombineAttrs
};

// "conv", "reduce_sum", ...
std::string_view Name(Op op);

// A node is named by its place; it has one result.
using ValueId = int32_t;

using IntList = absl::InlinedVector<int64_t, 4>;

struct InputAttrs {
  // What the caller promises to put in.
  enum class Values : uint8_t { kReal, kBinary };  // kBinary: 0, 1 or NaN

  std::string name;
  Values values = Values::kReal;
};
struct ConstantAttrs {
  Tensor value;  // int64, or float32 or float64: see Narrow() in passes.h
};
struct ElementwiseAttrs {
  ScalarOp op;
};
// The program's operands are the node's inputs, each of the node's shape or
// broadcastable to it (same rank, dimensions equal or 1).
struct FusedAttrs {
  ScalarProgram program;
};
struct TransposeAttrs {
  IntList permutation;  // result axis i is input axis permutation[i]
};
struct SliceAttrs {
  IntList starts;   // per axis, 0 <= start
  IntList limits;   // per axis, start <= limit <= dim
  IntList strides;  // per axis, >= 1
};
struct PadAttrs {
  IntList before;    // per axis, >= 0
  IntList after;     // per axis, >= 0
  IntList interior;  // zeros between neighbours, >= 0 (gradient of strides)
};
// The places of the k largest or smallest elements, in their order; of equal
// ones the first comes first. NaN is larger than any number. Places are
// float32, as the indices of kTake and kPutAdd, where a fraction is cut off, a
// negative index counts from the end. One outside of the axis (or NaN) is never
// a silent mistake: kTake gives NaN for it, and kPutAdd makes its whole row
// [V, D] NaN.
struct TopKAttrs {
  enum class Order : uint8_t { kLargest, kSmallest };
  int64_t k = 1;  // 1 to V
  Order order = Order::kLargest;
};
struct AxisAttrs {
  int axis = 0;
};
struct ReduceAttrs {
  IntList axes;  // ascending, not negative
};
struct MatmulAttrs {
  bool transpose_a = false;  // the last two axes
  bool transpose_b = false;
};
// Where images have their channels: [N, C, s..] or [N, s.., C]. Graphs are
// written channels first; passes of backends make the other.
enum class ImageLayout : uint8_t { kChannelsFirst, kChannelsLast };
struct ConvAttrs {
  IntList strides;      // per spatial axis, >= 1
  IntList dilations;    // per spatial axis, >= 1
  IntList pads_before;  // per spatial axis, >= 0
  IntList pads_after;   // per spatial axis, >= 0
  int64_t groups = 1;
  // Of x and y; weights are always [O, C/groups, k..].
  ImageLayout layout = ImageLayout::kChannelsFirst;
};
struct PoolAttrs {
  IntList kernel;
  IntList strides;
  IntList pads_before;
  IntList pads_after;
  bool count_include_pad = false;  // kAvgPool only
  ImageLayout layout = ImageLayout::kChannelsFirst;
};
// With E_i the operands:
//   kSum      sum_i w_i E_i / T
//   kMixture  -log(sum_i w_i exp(-E_i)) / T
// and the share of a term in the mixture's density, w_i exp(-E_i) over the sum.
// The operands are energies [N], or of each class [N, K]; an energy [N] beside
// those is that of every class.
struct CombineAttrs {
  enum class Kind : uint8_t { kSum, kMixture };
  Kind kind = Kind::kSum;
  std::vector<double> weights;  // one for each operand; kMixture: > 0
  double temperature = 1;       // > 0
  int term = 0;                 // kMixtureShare: whose share
};
using Attributes =
    std::variant<std::monostate, InputAttrs, ConstantAttrs, ElementwiseAttrs,
                 FusedAttrs, TransposeAttrs, SliceAttrs, PadAttrs, AxisAttrs,
                 ReduceAttrs, MatmulAttrs, ConvAttrs, PoolAttrs, TopKAttrs,
                 CombineAttrs>;

// As in Graph::ToString(): " transpose_b", or nothing. Complete, but for the
// elements of constants.
std::string ToString(const Attributes& attributes);

struct Node {
  Op op;
  absl::InlinedVector<ValueId, 3> inputs;  // all below the node's own id
  Attributes attributes;
  Shape shape;
  DType dtype = DType::kFloat32;
};

// Nodes in topological order. A value type; thread-safe for readers.
class Graph {
 public:
  Graph() = default;

  int size() const { return static_cast<int>(nodes_.size()); }
  // Stays valid while nodes are added; so does shape().
  const Node& node(ValueId id) const;
  const Shape& shape(ValueId id) const { return node(id).shape; }
  // The attributes of `id` as T. REQUIRES: they are of that type.
  template <typename T>
  const T& attributes(ValueId id) const {
    return std::get<T>(node(id).attributes);
  }

  // The kInput nodes, in the order of a plan's arguments.
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  void set_outputs(std::vector<ValueId> outputs);

  // Appends a node whose shape the operation's rule computes from its inputs.
  // InvalidArgument if inputs, attributes and shapes do not fit together; the
  // message names the operation and the shapes. Most callers use GraphBuilder.
  absl::StatusOr<ValueId> Add(Op op, absl::Span<const ValueId> inputs,
                              Attributes attributes);
  // For operations whose result shape is given, not computed: kInput,
  // kReshape, kBroadcast, kScatterAdd, kPutAdd, kConvBackwardData,
  // kConvBackwardWeights, kAvgPoolGrad; and kFused where its operands alone
  // do not span the shape.
  absl::StatusOr<ValueId> AddShaped(Op op, absl::Span<const ValueId> inputs,
                                    Attributes attributes, const Shape& shape);

  // One line a node, for logs and tests:
  // "%3 = matmul(%1, %2) transpose_b -> [64, 512]".
  std::string ToString() const;

 private:
  // `given` is null where the shape is computed.
  absl::StatusOr<ValueId> Append(Op op, absl::Span<const ValueId> inputs,
                                 Attributes attributes, const Shape* given);

  std::deque<Node> nodes_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> outputs_;
};

}  // namespace basin

#endif  // BASIN_CORE_GRAPH_GRAPH_H_
