// Every operation's gradient rule against central differences in double.

#include "core/graph/gradient.h"

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/graph/graph_builder.h"
#include "tests/core/graph/random_graph.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;
using Reduced = GraphBuilder::ReducedAxes;
using Function = std::function<ValueId(GraphBuilder&, ValueId)>;

// The values of `f` with a weight each, so that no error cancels, summed for
// each row; where `f` changes the number of rows, all rows get the total.
Graph EnergyOf(const Function& f, const Shape& x_shape) {
  GraphBuilder b;
  const ValueId x = b.Input("x", x_shape);
  const ValueId y = f(b, x);
  EXPECT_OK(b.status());
  if (!b.status().ok()) return Graph();
  const Shape shape = b.shape(y);
  const ValueId w = b.Constant(RandomConstant(shape, 99, 0.5, 1.5));
  const bool has_rows = shape.dim(0) == x_shape.dim(0);
  IntList axes;
  for (int axis = has_rows ? 1 : 0; axis < shape.rank(); ++axis) {
    axes.push_back(axis);
  }
  const ValueId energy = b.BroadcastTo(
      b.ReduceSum(b.Mul(y, w), axes, Reduced::kDrop), Shape({x_shape.dim(0)}));
  auto graph = std::move(b).Build({energy});
  EXPECT_OK(graph);
  return graph.ok() ? *std::move(graph) : Graph();
}

double Total(const Tensor& values) {
  double total = 0;
  for (const double value : values.data<double>()) total += value;
  return total;
}

double EnergyAt(const Graph& graph, const Tensor& x, int64_t i, double step) {
  Tensor moved = Tensor::Of<double>(x.shape(), x.data<double>());
  moved.mutable_data<double>()[i] += step;
  const auto result = EvaluateReference(graph, {moved});
  EXPECT_OK(result);
  return Total((*result)[0]);
}

// d(sum of energies)/dx by Gradient() against central differences at `x`.
void CheckAt(const Function& f, const Tensor& x) {
  const Graph graph = EnergyOf(f, x.shape());
  ASSERT_GT(graph.size(), 0);
  ASSERT_OK_AND_ASSIGN(const Graph gradient,
                       Gradient(graph, graph.outputs()[0], graph.inputs()[0]));
  ASSERT_OK_AND_ASSIGN(const auto results, EvaluateReference(gradient, {x}));
  ASSERT_EQ(results.size(), 2u);
  ASSERT_EQ(results[1].shape(), x.shape());
  constexpr double kStep = 1e-5;
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    const double slope =
        (EnergyAt(graph, x, i, kStep) - EnergyAt(graph, x, i, -kStep)) /
        (2 * kStep);
    EXPECT_NEAR(results[1].data<double>()[i], slope,
                1e-6 * (1 + std::abs(slope)))
        << "element " << i << "\n"
        << gradient.ToString();
  }
}

void Check(const Function& f, const Shape& shape, double low = -1.5,
           double high = 1.5) {
  CheckAt(f, RandomTensor(shape, 7, low, high));
}

ValueId Constant(GraphBuilder& b, const Shape& shape, double low = -1.0,
                 double high = 1.0) {
  return b.Constant(RandomConstant(shape, 31, low, high));
}

TEST(GradientTest, UnaryOperations) {
  for (const ScalarOp op :
       {ScalarOp::kNeg, ScalarOp::kAbs, ScalarOp::kExp, ScalarOp::kReciprocal,
        ScalarOp::kSin, ScalarOp::kCos, ScalarOp::kTanh, ScalarOp::kErf,
        ScalarOp::kSigmoid, ScalarOp::kSoftplus}) {
    SCOPED_TRACE(std::string(Name(op)));
    const auto f = [op](GraphBuilder& b, ValueId x) { return b.Unary(op, x); };
    Check(f, Shape({3, 4}), -2.0, -0.2);
    Check(f, Shape({2, 3, 2}), 0.2, 2.0);
    Check(f, Shape({5}), 0.3, 1.0);
  }
  for (const ScalarOp op : {ScalarOp::kLog, ScalarOp::kSqrt}) {
    SCOPED_TRACE(std::string(Name(op)));
    Check([op](GraphBuilder& b, ValueId x) { return b.Unary(op, x); },
          Shape({3, 4}), 0.2, 2.0);
  }
}

TEST(GradientTest, StepsHaveZeroGradient) {
  for (const ScalarOp op : {ScalarOp::kSign, ScalarOp::kFloor}) {
    Check([op](GraphBuilder& b,
               ValueId x) { return b.Add(b.Unary(op, x), b.Mul(x, x)); },
          Shape({3, 4}));
  }
  for (const ScalarOp op :
       {ScalarOp::kLess, ScalarOp::kLessEqual, ScalarOp::kEqual}) {
    Check(
        [op](GraphBuilder& b, ValueId x) {
          return b.Add(b.Binary(op, x, Constant(b, Shape({4}))), x);
        },
        Shape({3, 4}));
  }
}

// Each with the input on the left, on the right, on both sides, and broadcast.
TEST(GradientTest, BinaryOperations) {
  for (const ScalarOp op :
       {ScalarOp::kAdd, ScalarOp::kSub, ScalarOp::kMul, ScalarOp::kDiv,
        ScalarOp::kPow, ScalarOp::kMax, ScalarOp::kMin}) {
    SCOPED_TRACE(std::string(Name(op)));
    for (const Shape& other :
         {Shape({3, 4}), Shape({4}), Shape({3, 1}), Shape()}) {
      Check(
          [&](GraphBuilder& b, ValueId x) {
            return b.Binary(op, x, Constant(b, other, 0.3, 2.0));
          },
          Shape({3, 4}), 0.3, 2.0);
      Check(
          [&](GraphBuilder& b, ValueId x) {
            return b.Binary(op, Constant(b, other, 0.3, 2.0), x);
          },
          Shape({3, 4}), 0.3, 2.0);
    }
    Check(
        [&](GraphBuilder& b, ValueId x) {
          return b.Binary(op, x, b.Unary(ScalarOp::kExp, x));
        },
        Shape({2, 3}), 0.3, 2.0);
  }
}

TEST(GradientTest, BroadcastInput) {
  Check(
      [](GraphBuilder& b, ValueId x) {
        return b.Mul(x, Constant(b, Shape({3, 2, 4})));
      },
      Shape({3, 1, 4}));
  Check(
      [](GraphBuilder& b, ValueId x) {
        return b.Mul(x, Constant(b, Shape({3, 2, 4})));
      },
      Shape({3, 1, 1}));
}

TEST(GradientTest, PowOfZero) {
  const auto square = [](GraphBuilder& b, ValueId x) {
    return b.Binary(ScalarOp::kPow, x, b.Constant(2.0f));
  };
  CheckAt(square, Tensor::Of<double>(Shape({3, 1}), {0.0, -1.0, 2.0}));
  const auto power = [](GraphBuilder& b, ValueId x) {
    const Tensor base = Tensor::Of<float>(Shape({3, 1}), {0.0f, 1.0f, 2.0f});
    return b.Binary(ScalarOp::kPow, b.Constant(base), x);
  };
  CheckAt(power, Tensor::Of<double>(Shape({3, 1}), {1.5, 2.0, 0.5}));
}

TEST(GradientTest, ReluAtZeroIsZeroAndClampPassesItsUpperBound) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({3}));
  const ValueId relu = b.Binary(ScalarOp::kMax, x, b.Constant(0.0f));
  const ValueId y = b.Binary(ScalarOp::kMin, relu, b.Constant(1.0f));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({y}));
  ASSERT_OK_AND_ASSIGN(const Graph gradient, Gradient(graph, y, x));
  const Tensor at = Tensor::Of<double>(Shape({3}), {0.0, 1.0, 2.0});
  ASSERT_OK_AND_ASSIGN(const auto results, EvaluateReference(gradient, {at}));
  EXPECT_THAT(results[1].data<double>(), ::testing::ElementsAre(0.0, 1.0, 0.0));
}

TEST(GradientTest, Select) {
  Check(
      [](GraphBuilder& b, ValueId x) {
        const ValueId c =
            b.Binary(ScalarOp::kLess, x, Constant(b, Shape({3, 4})));
        return b.Select(c, b.Mul(x, x), b.Unary(ScalarOp::kSin, x));
      },
      Shape({3, 4}));
}

TEST(GradientTest, ShapeOperations) {
  Check(
      [](GraphBuilder& b, ValueId x) {
        const ValueId y = b.Reshape(b.Mul(x, x), Shape({3, 2, 2}));
        return b.Transpose(y, {0, 2, 1});
      },
      Shape({3, 4}));
  Check(
      [](GraphBuilder& b, ValueId x) {
        return b.Transpose(x, {2, 0, 3, 1});
      },
      Shape({3, 4, 3, 2}));
  Check(
      [](GraphBuilder& b, ValueId x) {
        const ValueId y = b.Unary(ScalarOp::kSin, x);
        const ValueId z = Constant(b, Shape({2, 2, 3}));
        return b.Concat({x, z, y}, 1);
      },
      Shape({2, 3, 3}));
}

TEST(GradientTest, SliceAndPad) {
  const auto slice = [](IntList starts, IntList limits, IntList strides) {
    return [=](GraphBuilder& b, ValueId x) {
      return b.Slice(b.Mul(x, x), {starts, limits, strides});
    };
  };
  Check(slice({0, 1}, {3, 7}, {1, 1}), Shape({3, 8}));
  Check(slice({0, 1}, {3, 8}, {1, 3}), Shape({3, 8}));
  Check(slice({0, 2}, {3, 7}, {2, 4}), Shape({3, 8}));
  Check(slice({0, 7}, {3, 8}, {1, 5}), Shape({3, 8}));
  Check(slice({0, 4}, {3, 4}, {1, 1}), Shape({3, 8}));  // nothing
  const auto pad = [](IntList before, IntList after, IntList interior) {
    return [=](GraphBuilder& b, ValueId x) {
      return b.Pad(b.Mul(x, x), {before, after, interior});
    };
  };
  Check(pad({0, 1}, {0, 2}, {0, 0}), Shape({3, 4}));
  Check(pad({0, 3}, {0, 0}, {0, 2}), Shape({3, 4}));
  Check(pad({0, 0}, {0, 1}, {1, 1}), Shape({3, 1}));
}

TEST(GradientTest, GatherAndScatterAdd) {
  const Tensor indices = Tensor::Of<int64_t>(Shape({4}), {2, 0, 2, 1});
  for (int axis = 0; axis < 3; ++axis) {
    Check(
        [&](GraphBuilder& b, ValueId x) {
          return b.Gather(b.Mul(x, x), b.Constant(indices), axis);
        },
        Shape({3, 3, 3}));
  }
  Check(
      [&](GraphBuilder& b, ValueId x) {
        return b.ScatterAdd(b.Mul(x, x), b.Constant(indices), 1,
                            Shape({2, 5, 3}));
      },
      Shape({2, 4, 3}));
}

TEST(GradientTest, Reductions) {
  for (const IntList& axes :
       {IntList{1}, IntList{2}, IntList{1, 2}, IntList{}}) {
    for (const Reduced reduced : {Reduced::kKeep, Reduced::kDrop}) {
      Check([&](GraphBuilder& b,
                ValueId x) { return b.ReduceSum(b.Mul(x, x), axes, reduced); },
            Shape({3, 4, 2}));
      Check([&](GraphBuilder& b,
                ValueId x) { return b.ReduceMax(b.Mul(x, x), axes, reduced); },
            Shape({3, 4, 2}));
      Check([&](GraphBuilder& b,
                ValueId x) { return b.LogSumExp(b.Mul(x, x), axes, reduced); },
            Shape({3, 4, 2}));
    }
  }
}

TEST(GradientTest, EqualMaximaShareEqually) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2, 4}));
  const ValueId y = b.ReduceMax(x, {1}, Reduced::kDrop);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({y}));
  ASSERT_OK_AND_ASSIGN(const Graph gradient, Gradient(graph, y, x));
  const Tensor at = Tensor::Of<double>(Shape({2, 4}), {1, 5, 5, 2, 7, 7, 7, 7});
  ASSERT_OK_AND_ASSIGN(const auto results, EvaluateReference(gradient, {at}));
  EXPECT_THAT(results[1].data<double>(),
              ::testing::ElementsAre(0, 0.5, 0.5, 0, 0.25, 0.25, 0.25, 0.25));
}

TEST(GradientTest, Matmul) {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      SCOPED_TRACE(::testing::Message() << ta << tb);
      const MatmulAttrs attrs = {ta, tb};
      // x as the left, then as the right operand, within each row.
      Check(
          [&](GraphBuilder& b, ValueId x) {
            const Shape w = tb ? Shape({2, 5, 4}) : Shape({2, 4, 5});
            return b.Matmul(b.Mul(x, x), Constant(b, w), attrs);
          },
          ta ? Shape({2, 4, 3}) : Shape({2, 3, 4}));
      Check(
          [&](GraphBuilder& b, ValueId x) {
            const Shape w = ta ? Shape({2, 4, 3}) : Shape({2, 3, 4});
            return b.Matmul(Constant(b, w), b.Mul(x, x), attrs);
          },
          tb ? Shape({2, 5, 4}) : Shape({2, 4, 5}));
    }
  }
}

TEST(GradientTest, MatmulBroadcasts) {
  Check(
      [](GraphBuilder& b, ValueId x) {
        return b.Matmul(x, Constant(b, Shape({4, 5})));
      },
      Shape({2, 3, 4}));
  Check(
      [](GraphBuilder& b, ValueId x) {
        return b.Matmul(x, Constant(b, Shape({2, 3, 4, 2})));
      },
      Shape({2, 1, 3, 4}));
  Check(
      [](GraphBuilder& b, ValueId x) {
        return b.Matmul(x, b.Transpose(x, {0, 2, 1}));
      },
      Shape({2, 3, 4}));
}

struct ConvCase {
  Shape x;
  Shape w;
  ConvAttrs attrs;
};

std::vector<ConvCase> ConvCases() {
  return {{Shape({2, 2, 6}), Shape({3, 2, 3}), {{1}, {1}, {0}, {0}, 1}},
          {Shape({2, 2, 7}), Shape({4, 1, 3}), {{2}, {2}, {3}, {1}, 2}},
          {Shape({1, 2, 5, 4}),
           Shape({3, 2, 3, 2}),
           {{1, 1}, {1, 1}, {1, 0}, {1, 1}, 1}},
          {Shape({2, 4, 6, 5}),
           Shape({4, 2, 2, 3}),
           {{2, 1}, {1, 2}, {0, 2}, {1, 3}, 2}},
          {Shape({1, 3, 5, 5}),
           Shape({3, 1, 3, 3}),
           {{2, 2}, {1, 1}, {1, 1}, {1, 1}, 3}},
          // A stride that leaves the last elements unread.
          {Shape({1, 1, 6, 6}),
           Shape({1, 1, 2, 2}),
           {{3, 5}, {1, 1}, {0, 0}, {0, 0}, 1}},
          {Shape({1, 1, 3, 3, 3}),
           Shape({2, 1, 2, 2, 2}),
           {{1, 2, 1}, {1, 1, 2}, {0, 1, 0}, {1, 0, 1}, 1}}};
}

TEST(GradientTest, ConvToImage) {
  for (const ConvCase& c : ConvCases()) {
    Check(
        [&](GraphBuilder& b, ValueId x) {
          return b.Conv(b.Mul(x, x), Constant(b, c.w), c.attrs);
        },
        c.x);
  }
}

TEST(GradientTest, ConvToWeights) {
  for (const ConvCase& c : ConvCases()) {
    Check(
        [&](GraphBuilder& b, ValueId w) {
          return b.Conv(Constant(b, c.x), b.Mul(w, w), c.attrs);
        },
        c.w);
  }
}

// Second derivatives: conv_backward_data and conv_backward_weights
// differentiated by both operands.
TEST(GradientTest, ConvBackwardOperations) {
  for (const ConvCase& c : ConvCases()) {
    GraphBuilder shapes;
    const Shape y = shapes.shape(
        shapes.Conv(shapes.Input("x", c.x), shapes.Input("w", c.w), c.attrs));
    const auto data = [&](GraphBuilder& b, ValueId dy, ValueId w) {
      return b.ConvBackwardData(dy, w, c.attrs, c.x);
    };
    const auto weights = [&](GraphBuilder& b, ValueId x, ValueId dy) {
      return b.AddShapedNode(Op::kConvBackwardWeights, {x, dy}, c.attrs, c.w);
    };
    Check([&](GraphBuilder& b,
              ValueId dy) { return data(b, b.Mul(dy, dy), Constant(b, c.w)); },
          y);
    Check([&](GraphBuilder& b,
              ValueId w) { return data(b, Constant(b, y), b.Mul(w, w)); },
          c.w);
    Check([&](GraphBuilder& b,
              ValueId x) { return weights(b, b.Mul(x, x), Constant(b, y)); },
          c.x);
    Check(
        [&](GraphBuilder& b, ValueId dy) {
          return weights(b, Constant(b, c.x), b.Mul(dy, dy));
        },
        y);
  }
}

struct PoolCase {
  Shape x;
  PoolAttrs attrs;
};

std::vector<PoolCase> PoolCases() {
  return {{Shape({2, 2, 6}), {{2}, {2}, {0}, {0}, false}},
          {Shape({2, 1, 7}), {{3}, {2}, {1}, {2}, true}},
          {Shape({1, 2, 5, 6}), {{2, 3}, {2, 1}, {1, 0}, {0, 2}, false}},
          {Shape({1, 2, 5, 6}), {{3, 2}, {1, 3}, {2, 1}, {1, 0}, true}},
          {Shape({1, 1, 4, 3, 3}),
           {{2, 2, 3}, {2, 1, 1}, {0, 1, 1}, {0, 0, 1}, false}}};
}

TEST(GradientTest, Pools) {
  for (const PoolCase& c : PoolCases()) {
    Check(
        [&](GraphBuilder& b, ValueId x) {
          return b.MaxPool(b.Unary(ScalarOp::kSin, x), c.attrs);
        },
        c.x);
    Check([&](GraphBuilder& b,
              ValueId x) { return b.AvgPool(b.Mul(x, x), c.attrs); },
          c.x);
    GraphBuilder shapes;
    const Shape y =
        shapes.shape(shapes.AvgPool(shapes.Input("x", c.x), c.attrs));
    Check(
        [&](GraphBuilder& b, ValueId dy) {
          return b.AddShapedNode(Op::kAvgPoolGrad, {b.Mul(dy, dy)}, c.attrs,
                                 c.x);
        },
        y);
  }
}

TEST(GradientTest, StopGradientBlocks) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2}));
  const ValueId y = b.Mul(x, b.StopGradient(x));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({y}));
  ASSERT_OK_AND_ASSIGN(const Graph gradient, Gradient(graph, y, x));
  const Tensor at = Tensor::Of<double>(Shape({2}), {3.0, -2.0});
  ASSERT_OK_AND_ASSIGN(const auto results, EvaluateReference(gradient, {at}));
  EXPECT_THAT(results[1].data<double>(), ::testing::ElementsAre(3.0, -2.0));
}

TEST(GradientTest, IsZeroWhereTheInputDoesNotReachTheEnergy) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2, 3}));
  const ValueId y = b.Input("y", Shape({2}));
  const ValueId energy = b.Mul(y, y);
  const ValueId later = b.Input("z", Shape({2, 1}));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({energy}));
  for (const ValueId input : {x, later}) {
    ASSERT_OK_AND_ASSIGN(const Graph gradient, Gradient(graph, energy, input));
    ASSERT_OK_AND_ASSIGN(
        const auto results,
        EvaluateReference(gradient, RandomInputs(gradient, 3)));
    EXPECT_EQ(results[1].shape(), graph.shape(input));
    EXPECT_THAT(results[1].data<double>(), ::testing::Each(0.0));
  }
}

TEST(GradientTest, NamesAnOperationWithoutRule) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({1, 1, 4}));
  const PoolAttrs attrs = {{2}, {2}, {0}, {0}, false};
  const ValueId dx =
      b.AddNode(Op::kMaxPoolGrad, {x, b.MaxPool(x, attrs)}, attrs);
  const ValueId energy = b.ReduceSum(dx, {1, 2}, Reduced::kDrop);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({energy}));
  EXPECT_THAT(
      Gradient(graph, energy, x),
      StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("max_pool_grad")));
}

TEST(GradientTest, RefusesWhatIsNotOneEnergyPerRow) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2, 3}));
  const ValueId wide = b.Mul(x, x);
  const ValueId total = b.ReduceSum(x, {0, 1}, Reduced::kDrop);
  const ValueId columns = b.ReduceSum(x, {0}, Reduced::kDrop);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({wide}));
  for (const ValueId energy : {wide, total, columns}) {
    EXPECT_THAT(Gradient(graph, energy, x),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("expected energy [N]")));
  }
  EXPECT_THAT(Gradient(graph, 99, x),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("%99")));
}

}  // namespace
}  // namespace basin::testing
