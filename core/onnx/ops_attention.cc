// Attention and rotary embeddings, as opset 23 defines them. Shapes: B rows, H
// heads, L tokens of D values each.

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/index_values.h"
#include "core/onnx/norms.h"
#include "core/onnx/operators.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// [B, L, H D] -> [B, H, L, D]; four axes stay as they are.
absl::StatusOr<Value> SplitHeads(NodeContext& n, const Value& x,
                                 int64_t heads) {
  const Shape& shape = n.ShapeOf(x);
  if (shape.rank() == 4) return x;
  if (shape.rank() != 3 || heads < 1 || shape.dim(2) % heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "input of shape ", shape.ToString(), " for ", heads,
        " heads: expected [B, H, L, D], or [B, L, H D] and the number of "
        "heads as an attribute"));
  }
  const Value split = n.Reshape(
      x, Shape::Dims{shape.dim(0), shape.dim(1), heads, shape.dim(2) / heads});
  return n.Transpose(split, {0, 2, 1, 3});
}

// [B, H, L, D] -> [B, L, H D]
Value JoinHeads(NodeContext& n, const Value& x) {
  const Shape shape = n.ShapeOf(x);
  if (!x.exists()) return x;
  return n.Reshape(
      n.Transpose(x, {0, 2, 1, 3}),
      Shape::Dims{shape.dim(0), shape.dim(2), shape.dim(1) * shape.dim(3)});
}

struct Heads {
  Value query;       // [B, Hq, Lq, D]
  Value key;         // [B, Hk, Lk, D]
  Value value;       // [B, Hk, Lk, Dv]
  int64_t past = 0;  // of the Lk tokens
};

// Input `index`, which is that of `past` tokens, before x.
absl::StatusOr<Value> WithPast(NodeContext& n, int index, const Value& x) {
  if (!n.HasInput(index)) return x;
  BASIN_ASSIGN_OR_RETURN(const Value past, n.Input(index));
  if (n.ShapeOf(past).rank() != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("input ", index, " has shape ", n.ShapeOf(past).ToString(),
                     ", expected [B, H, L, D]"));
  }
  return n.Concat({past, x}, 2);
}

absl::Status CheckHeads(NodeContext& n, const Heads& heads) {
  const Shape& q = n.ShapeOf(heads.query);
  const Shape& k = n.ShapeOf(heads.key);
  const Shape& v = n.ShapeOf(heads.value);
  // Where a value does not exist, an error stuck already.
  if (q.rank() == 4 && k.rank() == 4 && v.rank() == 4 && q.dim(0) == k.dim(0) &&
      q.dim(0) == v.dim(0) && k.dim(1) == v.dim(1) && k.dim(2) == v.dim(2) &&
      q.dim(3) == k.dim(3) && k.dim(1) >= 1 && q.dim(1) % k.dim(1) == 0 &&
      q.num_elements() > 0 && v.num_elements() > 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("queries ", q.ToString(), ", keys ", k.ToString(),
                   " and values ", v.ToString(), " do not fit together"));
}

absl::StatusOr<Heads> ReadHeads(NodeContext& n) {
  const int64_t q_heads = n.Int("q_num_heads", 0);
  const int64_t kv_heads = n.Int("kv_num_heads", 0);
  Heads heads;
  BASIN_ASSIGN_OR_RETURN(const Value q, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value k, n.Input(1));
  BASIN_ASSIGN_OR_RETURN(const Value v, n.Input(2));
  BASIN_ASSIGN_OR_RETURN(heads.query, SplitHeads(n, q, q_heads));
  BASIN_ASSIGN_OR_RETURN(heads.key, SplitHeads(n, k, kv_heads));
  BASIN_ASSIGN_OR_RETURN(heads.value, SplitHeads(n, v, kv_heads));
  if (n.HasInput(4) != n.HasInput(5)) {
    return absl::InvalidArgumentError("has one of past_key and past_value");
  }
  const Value key = heads.key;
  BASIN_ASSIGN_OR_RETURN(heads.key, WithPast(n, 4, key));
  BASIN_ASSIGN_OR_RETURN(heads.value, WithPast(n, 5, heads.value));
  BASIN_RETURN_IF_ERROR(CheckHeads(n, heads));
  heads.past = n.ShapeOf(heads.key).dim(2) - n.ShapeOf(key).dim(2);
  return heads;
}

// [Lq, Lk]: 0 where token i of the queries may see token j, else -infinity.
absl::StatusOr<Value> CausalBias(NodeContext& n, const Heads& heads) {
  const int64_t rows = n.ShapeOf(heads.query).dim(2);
  const int64_t columns = n.ShapeOf(heads.key).dim(2);
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create({rows, columns}));
  BASIN_RETURN_IF_ERROR(TakeFromBudget(DType::kFloat32, shape.num_elements(),
                                       n.constant_bytes_left()));
  Tensor bias(DType::kFloat32, shape);
  const auto out = bias.mutable_data<float>();
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      out[static_cast<size_t>(i * columns + j)] =
          j <= i + heads.past ? 0 : -kInfinity;
    }
  }
  return Value(std::move(bias));
}

// Input 3 as a number to add: bools say what may be seen. Keys that it does
// not cover may not.
absl::StatusOr<Value> MaskBias(NodeContext& n, const Heads& heads) {
  BASIN_ASSIGN_OR_RETURN(Value mask, n.Input(3));
  if (mask.is_integer()) {
    mask = n.Select(mask, Number(0), Number(-kInfinity));
  }
  const int rank = n.ShapeOf(mask).rank();
  if (rank < 1) return absl::InvalidArgumentError("attn_mask is a scalar");
  const int64_t missing = n.ShapeOf(heads.key).dim(2) - n.ShapeOf(mask).dim(-1);
  if (missing <= 0 || !mask.exists()) return mask;
  Shape::Dims dims = n.ShapeOf(mask).dims();
  dims.back() = missing;
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  return n.Concat({mask, n.BroadcastTo(Number(-kInfinity), shape)}, rank - 1);
}

// All that is added to the products; nothing if there is nothing to add.
absl::StatusOr<Value> Bias(NodeContext& n, const Heads& heads) {
  Value bias;
  if (n.HasInput(3)) {
    BASIN_ASSIGN_OR_RETURN(bias, MaskBias(n, heads));
  }
  if (n.Int("is_causal", 0) == 0) return bias;
  BASIN_ASSIGN_OR_RETURN(const Value causal, CausalBias(n, heads));
  return n.HasInput(3) ? n.Binary(ScalarOp::kAdd, bias, causal) : causal;
}

// Along the last axis; 0 where all of it is -infinity.
Value MaskedSoftmax(NodeContext& n, const Value& x) {
  const IntList last = {n.ShapeOf(x).rank() - 1};
  if (!x.exists()) return x;
  Value max = n.Binary(ScalarOp::kMax, n.ReduceMax(x, last),
                       Number(std::numeric_limits<float>::lowest()));
  // It cancels, so it carries no gradient.
  if (!max.is_constant()) max = n.builder().StopGradient(n.InGraph(max));
  const Value e = n.Unary(ScalarOp::kExp, n.Binary(ScalarOp::kSub, x, max));
  const Value sum = n.ReduceSum(e, last);
  const Value is_zero = n.Binary(ScalarOp::kEqual, sum, Number(0));
  return n.Binary(ScalarOp::kDiv, e, n.Select(is_zero, Number(1), sum));
}

// a b or a b', batches of matrices.
Value Product(NodeContext& n, const Value& a, const Value& b,
              MatmulAttrs attributes) {
  const ValueId left = n.InGraph(a);
  const ValueId right = n.InGraph(b);
  if (left == GraphBuilder::kNoValue || right == GraphBuilder::kNoValue) {
    return Value();
  }
  return n.builder().Matmul(left, right, attributes);
}

// [B, Hq, Lq, M] -> [B, Hk, Hq / Hk Lq, M]: queries that share a head of keys
// become rows of one product.
Value Grouped(NodeContext& n, const Value& x, const Heads& heads) {
  const Shape shape = n.ShapeOf(x);
  const int64_t groups = n.ShapeOf(heads.key).dim(1);
  if (!x.exists() || groups == shape.dim(1)) return x;
  return n.Reshape(
      x, Shape::Dims{shape.dim(0), groups, shape.dim(1) / groups * shape.dim(2),
                     shape.dim(3)});
}

Value Ungrouped(NodeContext& n, const Value& x, const Heads& heads) {
  const Shape& query = n.ShapeOf(heads.query);
  if (!x.exists()) return x;
  return n.Reshape(x, Shape::Dims{query.dim(0), query.dim(1), query.dim(2),
                                  n.ShapeOf(x).dim(3)});
}

// The weights of values, [B, Hq, Lq, Lk]. One of the stages on the way is the
// node's last output, if that is wanted.
absl::StatusOr<Value> AttentionWeights(NodeContext& n, const Heads& heads) {
  const auto width = static_cast<double>(n.ShapeOf(heads.query).dim(3));
  const double scale =
      n.HasAttribute("scale") ? n.Float("scale", 1) : 1 / std::sqrt(width);
  std::vector<Value> stages;
  const Value query = n.Binary(ScalarOp::kMul, heads.query, Number(scale));
  stages.push_back(Ungrouped(
      n, Product(n, Grouped(n, query, heads), heads.key, {false, true}),
      heads));
  const float cap = n.Float("softcap", 0);
  Value scores = stages.back();
  if (cap > 0) {
    scores =
        n.Unary(ScalarOp::kTanh, n.Binary(ScalarOp::kDiv, scores, Number(cap)));
    scores = n.Binary(ScalarOp::kMul, scores, Number(cap));
  }
  stages.push_back(scores);
  BASIN_ASSIGN_OR_RETURN(const Value bias, Bias(n, heads));
  if (bias.exists()) scores = n.Binary(ScalarOp::kAdd, scores, bias);
  if (!(n.ShapeOf(scores) == n.ShapeOf(stages.back()))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "attn_mask of shape ", n.ShapeOf(bias).ToString(),
        " cannot be broadcast to ", n.ShapeOf(stages.back()).ToString()));
  }
  stages.push_back(scores);
  stages.push_back(MaskedSoftmax(n, scores));
  const int64_t mode = n.Int("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("qk_matmul_output_mode is ", mode, ", expected 0 to 3"));
  }
  if (n.HasOutput(3)) n.SetOutput(3, stages[static_cast<size_t>(mode)]);
  return stages.back();
}

absl::StatusOr<Value> LowerAttention(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 6));
  n.Ignore("softmax_precision");
  BASIN_ASSIGN_OR_RETURN(const Heads heads, ReadHeads(n));
  BASIN_ASSIGN_OR_RETURN(const Value weights, AttentionWeights(n, heads));
  if (n.HasOutput(1)) n.SetOutput(1, heads.key);
  if (n.HasOutput(2)) n.SetOutput(2, heads.value);
  const Value y = Ungrouped(
      n, Product(n, Grouped(n, weights, heads), heads.value, {}), heads);
  BASIN_ASSIGN_OR_RETURN(const Value given, n.Input(0));
  return n.ShapeOf(given).rank() == 4 ? y : JoinHeads(n, y);
}

// Input `index`, the cosines or sines of each token, as [B or 1, 1, L, R]: R is
// half of what is rotated.
absl::StatusOr<Value> Rotations(NodeContext& n, int index, int64_t tokens,
                                int64_t width) {
  BASIN_ASSIGN_OR_RETURN(Value cache, n.Input(index));
  if (n.HasInput(3)) {  // by position
    BASIN_ASSIGN_OR_RETURN(const Value positions, n.Input(3));
    const Shape at = n.ShapeOf(positions);
    const Shape from = n.ShapeOf(cache);
    if (from.rank() != 2 || at.rank() != 2) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input ", index, " of shape ", from.ToString(),
          " and position_ids of shape ", at.ToString(), ", expected rank 2"));
    }
    BASIN_ASSIGN_OR_RETURN(Value places, PlacesIn(n, positions, from.dim(0)));
    places = n.Reshape(places, Shape::Dims{1, at.num_elements()});
    cache = n.Reshape(cache, Shape::Dims{1, from.dim(0), from.dim(1)});
    cache = n.Reshape(TakeRows(n, cache, places),
                      Shape::Dims{at.dim(0), at.dim(1), from.dim(1)});
  }
  const Shape shape = n.ShapeOf(cache);
  if (shape.rank() != 3 || shape.dim(1) != tokens || shape.dim(2) != width) {
    return absl::InvalidArgumentError(absl::StrCat(
        "input ", index, " holds rotations of shape ", shape.ToString(),
        ", expected [B, ", tokens, ", ", width, "]"));
  }
  return n.Reshape(cache, Shape::Dims{shape.dim(0), 1, tokens, width});
}

// Every second element of the last axis from `first` on, [.., 2 R] -> [.., R].
Value EverySecond(NodeContext& n, const Value& x, int64_t first) {
  const Shape::Dims dims = n.ShapeOf(x).dims();
  if (!x.exists()) return x;
  SliceAttrs slice{IntList(dims.size(), 0), IntList(dims.begin(), dims.end()),
                   IntList(dims.size(), 1)};
  slice.starts.back() = first;
  slice.strides.back() = 2;
  return n.Slice(x, slice);
}

// Rotates pairs (a, b): (cos a - sin b, sin a + cos b). Pairs are neighbours,
// or the halves of the last axis.
absl::StatusOr<Value> Rotated(NodeContext& n, const Value& x) {
  const Shape shape = n.ShapeOf(x);
  const int64_t half = shape.dim(3) / 2;
  BASIN_ASSIGN_OR_RETURN(const Value cosines,
                         Rotations(n, 1, shape.dim(2), half));
  BASIN_ASSIGN_OR_RETURN(const Value sines,
                         Rotations(n, 2, shape.dim(2), half));
  const bool interleaved = n.Int("interleaved", 0) != 0;
  const Value a =
      interleaved ? EverySecond(n, x, 0) : n.SliceAxis(x, 3, 0, half);
  const Value b =
      interleaved ? EverySecond(n, x, 1) : n.SliceAxis(x, 3, half, half);
  const auto times = [&](const Value& u, const Value& v) {
    return n.Binary(ScalarOp::kMul, u, v);
  };
  const Value real =
      n.Binary(ScalarOp::kSub, times(cosines, a), times(sines, b));
  const Value imaginary =
      n.Binary(ScalarOp::kAdd, times(sines, a), times(cosines, b));
  if (!interleaved) return n.Concat({real, imaginary}, 3);
  Shape::Dims pair = shape.dims();
  pair[3] = half;
  pair.push_back(1);
  return n.Reshape(
      n.Concat({n.Reshape(real, pair), n.Reshape(imaginary, pair)}, 4), shape);
}

absl::StatusOr<Value> LowerRotaryEmbedding(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 4));
  BASIN_ASSIGN_OR_RETURN(const Value given, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value x,
                         SplitHeads(n, given, n.Int("num_heads", 0)));
  if (!x.exists()) return x;
  const int64_t width = n.ShapeOf(x).dim(3);
  int64_t rotated = n.Int("rotary_embedding_dim", 0);
  if (rotated == 0) rotated = width;
  if (rotated < 2 || rotated > width || rotated % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("rotates ", rotated, " of ", width,
                     " values, expected an even number of them"));
  }
  BASIN_ASSIGN_OR_RETURN(Value y, Rotated(n, n.SliceAxis(x, 3, 0, rotated)));
  if (rotated < width) {
    y = n.Concat({y, n.SliceAxis(x, 3, rotated, width - rotated)}, 3);
  }
  return n.ShapeOf(given).rank() == 4 ? y : JoinHeads(n, y);
}

constexpr Operator kOperators[] = {
    {"Attention", 23, LowerAttention},
    {"RotaryEmbedding", 23, LowerRotaryEmbedding},
};

}  // namespace

absl::Span<const Operator> AttentionOperators() { return kOperators; }

}  // namespace basin::internal
