#include "tests/core/backend/networks.h"

#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/graph/gradient.h"
#include "core/graph/graph_builder.h"
#include "tests/core/backend/plan_runner.h"

namespace basin::testing {
namespace {

using Reduced = GraphBuilder::ReducedAxes;

// Layers with weights of their own.
class Network {
 public:
  explicit Network(const Shape& input) : x_(b_.Input("x", input)) {}

  GraphBuilder& b() { return b_; }
  ValueId x() const { return x_; }

  ValueId Number(float value) { return b_.Constant(value); }
  ValueId Weights(const Shape& shape, float scale) {
    return b_.Constant(RandomTensor(shape, random_, scale));
  }

  ValueId Linear(ValueId x, int64_t out) {
    const int64_t in = b_.shape(x).dim(-1);
    const ValueId w = Weights({in, out}, Scale(in));
    return b_.Add(b_.Matmul(x, w), Weights({out}, 0.1F));
  }

  ValueId Conv(ValueId x, int64_t out, int64_t kernel, int64_t stride,
               int64_t pad) {
    const int64_t in = b_.shape(x).dim(1);
    const ValueId w =
        Weights({out, in, kernel, kernel}, Scale(in * kernel * kernel));
    const ConvAttrs attrs = {
        {stride, stride}, {1, 1}, {pad, pad}, {pad, pad}, 1};
    return b_.Add(b_.Conv(x, w, attrs), Weights({1, out, 1, 1}, 0.1F));
  }

  ValueId Silu(ValueId x) { return b_.Mul(x, b_.Unary(ScalarOp::kSigmoid, x)); }

  ValueId LeakyRelu(ValueId x) {
    const ValueId zero = Number(0);
    return b_.Add(b_.Binary(ScalarOp::kMax, x, zero),
                  b_.Mul(Number(0.2F), b_.Binary(ScalarOp::kMin, x, zero)));
  }

  ValueId Gelu(ValueId x) {
    const ValueId erf =
        b_.Unary(ScalarOp::kErf, b_.Mul(x, Number(0.70710678F)));
    return b_.Mul(b_.Mul(x, b_.Add(erf, Number(1))), Number(0.5F));
  }

  ValueId Mean(ValueId x, const IntList& axes, Reduced reduced) {
    float count = 1;
    for (const int64_t axis : axes) {
      count *= static_cast<float>(b_.shape(x).dim(static_cast<int>(axis)));
    }
    return b_.Div(b_.ReduceSum(x, axes, reduced), Number(count));
  }

  ValueId LayerNorm(ValueId x) {
    const int axis = b_.shape(x).rank() - 1;
    const int64_t width = b_.shape(x).dim(axis);
    const ValueId centred = b_.Sub(x, Mean(x, {axis}, Reduced::kKeep));
    const ValueId variance =
        Mean(b_.Mul(centred, centred), {axis}, Reduced::kKeep);
    const ValueId deviation =
        b_.Unary(ScalarOp::kSqrt, b_.Add(variance, Number(1e-5F)));
    return b_.Add(b_.Mul(b_.Div(centred, deviation), Weights({width}, 1)),
                  Weights({width}, 0.1F));
  }

  ValueId Softmax(ValueId x) {
    const int axis = b_.shape(x).rank() - 1;
    const ValueId e = b_.Unary(
        ScalarOp::kExp, b_.Sub(x, b_.ReduceMax(x, {axis}, Reduced::kKeep)));
    return b_.Div(e, b_.ReduceSum(e, {axis}, Reduced::kKeep));
  }

  // The energies `energy` [rows, 1] and their gradient.
  Graph Build(ValueId energy) && {
    energy = b_.Reshape(energy, {b_.shape(energy).dim(0)});
    auto graph = std::move(b_).Build({energy});
    BASIN_CHECK(graph.ok());
    auto gradient = Gradient(*graph, energy, x_);
    BASIN_CHECK(gradient.ok());
    std::vector<ValueId> outputs = gradient->outputs();
    GraphBuilder whole(*std::move(gradient));
    outputs[0] = whole.AddNode(Op::kToFloat64, {outputs[0]}, {});
    auto result = std::move(whole).Build(std::move(outputs));
    BASIN_CHECK(result.ok());
    return *std::move(result);
  }

 private:
  static float Scale(int64_t in) {
    return 1 / std::sqrt(static_cast<float>(in));
  }

  std::mt19937 random_{7};
  GraphBuilder b_;
  const ValueId x_;
};

ValueId Attention(Network& net, ValueId x) {
  constexpr int64_t kHeads = 8;
  GraphBuilder& b = net.b();
  const int64_t rows = b.shape(x).dim(0);
  const int64_t tokens = b.shape(x).dim(1);
  const int64_t width = b.shape(x).dim(2);
  const int64_t depth = width / kHeads;
  const ValueId qkv = b.Transpose(
      b.Reshape(net.Linear(x, 3 * width), {rows, tokens, 3, kHeads, depth}),
      {2, 0, 3, 1, 4});
  ValueId parts[3];
  for (int64_t i = 0; i < 3; ++i) {
    const SliceAttrs slice = {
        {i, 0, 0, 0, 0}, {i + 1, rows, kHeads, tokens, depth}, {1, 1, 1, 1, 1}};
    parts[i] = b.Reshape(b.Slice(qkv, slice), {rows, kHeads, tokens, depth});
  }
  const ValueId scores =
      b.Div(b.Matmul(parts[0], b.Transpose(parts[1], {0, 1, 3, 2})),
            net.Number(std::sqrt(static_cast<float>(depth))));
  const ValueId mixed = b.Matmul(net.Softmax(scores), parts[2]);
  return net.Linear(
      b.Reshape(b.Transpose(mixed, {0, 2, 1, 3}), {rows, tokens, width}),
      width);
}

}  // namespace

Graph MlpNetwork(int64_t rows, int64_t dim, int64_t hidden) {
  Network net({rows, dim});
  const ValueId h = net.Silu(net.Linear(net.x(), hidden));
  const ValueId energy = net.Linear(net.Silu(net.Linear(h, hidden)), 1);
  return std::move(net).Build(energy);
}

Graph ConvNetwork(int64_t rows, int64_t size, int64_t width) {
  Network net({rows, 1, size, size});
  GraphBuilder& b = net.b();
  ValueId h = b.Sub(b.Mul(net.x(), net.Number(2)), net.Number(1));
  h = net.Silu(net.Conv(h, width, 5, 2, 4));
  for (const int64_t factor : {2, 4, 4}) {
    h = net.Silu(net.Conv(h, factor * width, 3, 2, 1));
  }
  h = b.Reshape(h, {rows, b.shape(h).num_elements() / rows});
  const ValueId energy = net.Linear(net.Silu(net.Linear(h, 4 * width)), 1);
  return std::move(net).Build(energy);
}

Graph ResidualNetwork(int64_t rows, const ResidualSizes& sizes) {
  Network net({rows, 3, sizes.size, sizes.size});
  GraphBuilder& b = net.b();
  ValueId h = net.Conv(net.x(), sizes.width / 2, 3, 1, 1);
  for (int group = 0; group < 3; ++group) {
    const int64_t width = sizes.width << group;
    for (int block = 0; block < sizes.blocks; ++block) {
      const int64_t stride = group > 0 && block == 0 ? 2 : 1;
      const ValueId inner =
          net.LeakyRelu(net.Conv(net.LeakyRelu(h), width, 3, stride, 1));
      const ValueId short_cut =
          block == 0 ? net.Conv(h, width, 1, stride, 0) : h;
      h = b.Add(short_cut, net.Conv(inner, width, 3, 1, 1));
    }
  }
  h = net.Mean(net.LeakyRelu(h), {2, 3}, Reduced::kDrop);
  const ValueId energy = net.Linear(h, 1);
  return std::move(net).Build(energy);
}

Graph TransformerNetwork(int64_t rows, const TransformerSizes& sizes) {
  Network net({rows, sizes.tokens, 16});
  GraphBuilder& b = net.b();
  ValueId h = b.Add(net.Linear(net.x(), sizes.width),
                    net.Weights({sizes.tokens, sizes.width}, 0.1F));
  for (int layer = 0; layer < sizes.layers; ++layer) {
    h = b.Add(h, Attention(net, net.LayerNorm(h)));
    const ValueId inner =
        net.Gelu(net.Linear(net.LayerNorm(h), 4 * sizes.width));
    h = b.Add(h, net.Linear(inner, sizes.width));
  }
  const ValueId energy =
      net.Linear(net.Mean(net.LayerNorm(h), {1}, Reduced::kDrop), 1);
  return std::move(net).Build(energy);
}

}  // namespace basin::testing
