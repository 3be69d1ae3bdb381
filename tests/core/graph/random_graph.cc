#include "tests/core/graph/random_graph.h"

#include <random>
#include <string>
#include <utility>

#include "core/base/check.h"
#include "core/graph/graph_builder.h"

namespace basin::testing {
namespace {

// std::uniform_*_distribution differ between libraries; this does not.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int Below(int n) { return static_cast<int>(engine_() % uint32_t(n)); }
  double Uniform() { return engine_() / 4294967296.0; }

 private:
  std::mt19937 engine_;
};

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {
    values_.push_back(builder_.Input("x", Shape({3, 4})));
    values_.push_back(builder_.Input("y", Shape({3, 4})));
  }

  Graph Make(int size) {
    while (builder_.graph().size() < size) AddSomething();
    std::vector<ValueId> outputs;
    const int count = 1 + random_.Below(4);
    for (int i = 0; i < count; ++i) outputs.push_back(Pick());
    auto graph = std::move(builder_).Build(outputs);
    BASIN_CHECK(graph.ok());
    return *std::move(graph);
  }

 private:
  // Recent values are likelier, so that graphs become deep.
  ValueId Pick() {
    const int n = static_cast<int>(values_.size());
    const int window = random_.Below(3) == 0 ? n : std::min(n, 6);
    return values_[static_cast<size_t>(n - 1 - random_.Below(window))];
  }

  float Factor() {
    constexpr float kFactors[] = {0.0f, 1.0f, -1.0f, 0.5f, 2.0f, -0.25f};
    return kFactors[random_.Below(6)];
  }

  void AddSomething() {
    const ValueId x = Pick();
    switch (random_.Below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Keep(Bounded(Unary(x)));
      case 4:
      case 5:
      case 6:
      case 7:
        return Keep(Bounded(Binary(x)));
      case 8:
        return Keep(WithConstant(x));
      case 9:
        return Keep(Moved(x));
      case 10:
        return Keep(Reduced(x));
      case 11:
        return Keep(Product(x));
      case 12:
        return Keep(Cut(x));
      case 13:
        return Keep(builder_.StopGradient(x));
      case 14:
        return Keep(builder_.Select(
            builder_.Binary(ScalarOp::kLess, x, builder_.Constant(0.1f)), x,
            builder_.Constant(Factor())));
      default:
        return Keep(OfConstants());
    }
  }

  void Keep(ValueId id) {
    BASIN_CHECK(id != GraphBuilder::kNoValue);
    if (builder_.shape(id).num_elements() <= 256) values_.push_back(id);
  }

  // Keeps magnitudes near one at any depth.
  ValueId Bounded(ValueId x) {
    return random_.Below(3) == 0 ? builder_.Unary(ScalarOp::kTanh, x) : x;
  }

  ValueId Unary(ValueId x) {
    constexpr ScalarOp kOps[] = {ScalarOp::kNeg,     ScalarOp::kAbs,
                                 ScalarOp::kSin,     ScalarOp::kCos,
                                 ScalarOp::kTanh,    ScalarOp::kErf,
                                 ScalarOp::kSigmoid, ScalarOp::kSoftplus};
    return builder_.Unary(kOps[random_.Below(8)], x);
  }

  ValueId Binary(ValueId x) {
    constexpr ScalarOp kOps[] = {ScalarOp::kAdd, ScalarOp::kSub, ScalarOp::kMax,
                                 ScalarOp::kMin};
    const ValueId other = SameOrBroadcastable(x);
    if (random_.Below(4) == 0) {
      return builder_.Unary(ScalarOp::kTanh, builder_.Mul(x, other));
    }
    return builder_.Binary(kOps[random_.Below(4)], x, other);
  }

  // A value of x's shape, or that of one of its ends.
  ValueId SameOrBroadcastable(ValueId x) {
    for (int attempt = 0; attempt < 8; ++attempt) {
      const ValueId other = Pick();
      if (builder_.shape(other) == builder_.shape(x)) return other;
    }
    const int rank = builder_.shape(x).rank();
    if (rank == 0) return x;
    const int axis = random_.Below(rank);
    return builder_.ReduceMax(x, {axis}, GraphBuilder::ReducedAxes::kKeep);
  }

  ValueId WithConstant(ValueId x) {
    constexpr ScalarOp kOps[] = {ScalarOp::kAdd, ScalarOp::kSub,
                                 ScalarOp::kMul};
    const ScalarOp op = kOps[random_.Below(3)];
    if (random_.Below(2) == 0) {
      return builder_.Binary(op, x, builder_.Constant(Factor()));
    }
    const Shape& shape = builder_.shape(x);
    const Shape row = shape.rank() == 0 ? Shape() : Shape({shape.dim(-1)});
    return builder_.Binary(op, x,
                           builder_.Constant(RandomConstant(row, Seed())));
  }

  ValueId Moved(ValueId x) {
    const Shape shape = builder_.shape(x);
    if (shape.rank() < 2) {
      return builder_.Reshape(x, Shape({1, shape.num_elements()}));
    }
    IntList permutation;
    for (int i = 0; i < shape.rank(); ++i) permutation.push_back(i);
    std::swap(permutation[random_.Below(shape.rank())],
              permutation[random_.Below(shape.rank())]);
    const ValueId y = builder_.Transpose(x, permutation);
    return random_.Below(2) == 0
               ? y
               : builder_.Reshape(y, Shape({shape.num_elements()}));
  }

  ValueId Reduced(ValueId x) {
    const int rank = builder_.shape(x).rank();
    if (rank == 0) return x;
    const IntList axes = {random_.Below(rank)};
    const auto reduced = random_.Below(2) == 0
                             ? GraphBuilder::ReducedAxes::kKeep
                             : GraphBuilder::ReducedAxes::kDrop;
    if (random_.Below(3) == 0) return builder_.LogSumExp(x, axes, reduced);
    return builder_.Unary(ScalarOp::kSin, builder_.ReduceSum(x, axes, reduced));
  }

  ValueId Product(ValueId x) {
    const Shape shape = builder_.shape(x);
    if (shape.rank() < 2) return x;
    if (random_.Below(2) == 0) {
      const int64_t inner = shape.dim(-1);
      const Tensor w =
          RandomConstant(Shape({inner, 1 + random_.Below(4)}), Seed());
      return builder_.Unary(ScalarOp::kSin,
                            builder_.Matmul(x, builder_.Constant(w)));
    }
    IntList permutation;
    for (int i = 0; i < shape.rank(); ++i) permutation.push_back(i);
    std::swap(permutation[permutation.size() - 1],
              permutation[permutation.size() - 2]);
    return builder_.Unary(
        ScalarOp::kSin, builder_.Matmul(x, builder_.Transpose(x, permutation)));
  }

  // By places from an input, whose order no rounding changes.
  ValueId Taken(ValueId x) {
    const int k = 1 + random_.Below(4);
    const ValueId places = builder_.Reshape(builder_.TopK(values_[0], {.k = k}),
                                            Shape({1, 3 * k}));
    const int64_t elements = builder_.shape(x).num_elements();
    const ValueId taken =
        builder_.Take(builder_.Reshape(x, Shape({1, elements, 1})), places);
    return random_.Below(2) == 0
               ? builder_.Reshape(taken, Shape({3, k}))
               : builder_.Reshape(builder_.PutAdd(taken, places, 4),
                                  Shape({4}));
  }

  ValueId Cut(ValueId x) {
    const int rank = builder_.shape(x).rank();
    if (rank == 0) return x;
    if (random_.Below(2) == 0) return Bounded(Taken(x));
    const int axis = random_.Below(rank);
    const int64_t size = builder_.shape(x).dim(axis);
    const Tensor indices = Tensor::Of<int64_t>(
        Shape({2}), {random_.Below(static_cast<int>(size)), size - 1});
    const ValueId picked = builder_.Gather(x, builder_.Constant(indices), axis);
    return builder_.Concat({picked, x}, axis);
  }

  ValueId OfConstants() {
    const ValueId a = builder_.Constant(RandomConstant(Shape({3, 4}), Seed()));
    const ValueId b = builder_.Constant(RandomConstant(Shape({4}), Seed()));
    return builder_.Transpose(builder_.Mul(a, b), {1, 0});
  }

  uint32_t Seed() { return static_cast<uint32_t>(random_.Below(1 << 20)); }

  Random random_;
  GraphBuilder builder_;
  std::vector<ValueId> values_;
};

}  // namespace

Tensor RandomTensor(const Shape& shape, uint32_t seed, double low,
                    double high) {
  Random random(seed);
  Tensor tensor(DType::kFloat64, shape);
  for (double& value : tensor.mutable_data<double>()) {
    value = low + (high - low) * random.Uniform();
  }
  return tensor;
}

Tensor RandomConstant(const Shape& shape, uint32_t seed, double low,
                      double high) {
  const Tensor values = RandomTensor(shape, seed, low, high);
  Tensor tensor(DType::kFloat32, shape);
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    tensor.mutable_data<float>()[i] =
        static_cast<float>(values.data<double>()[i]);
  }
  return tensor;
}

Graph RandomGraph(uint32_t seed, int size) {
  return Generator(seed).Make(size);
}

std::vector<Tensor> RandomInputs(const Graph& graph, uint32_t seed) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) {
    inputs.push_back(RandomTensor(graph.shape(id), seed++));
  }
  return inputs;
}

}  // namespace basin::testing
