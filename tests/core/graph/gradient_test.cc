// Every operation's gradient rule against central differences in double.

#include "core/graph/gradient.h"

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"
#include "tests/core/graph/gradient_check.h"
#include "tests/core/graph/random_graph.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;
using Reduced = GraphBuilder::ReducedAxes;
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
    CheckGradient(f, Shape({3, 4}), -2.0, -0.2);
    CheckGradient(f, Shape({2, 3, 2}), 0.2, 2.0);
    CheckGradient(f, Shape({5}), 0.3, 1.0);
  }
  for (const ScalarOp op : {ScalarOp::kLog, ScalarOp::kSqrt}) {
    SCOPED_TRACE(std::string(Name(op)));
    CheckGradient([op](GraphBuilder& b, ValueId x) { return b.Unary(op, x); },
                  Shape({3, 4}), 0.2, 2.0);
  }
}

TEST(GradientTest, StepsHaveZeroGradient) {
  for (const ScalarOp op : {ScalarOp::kSign, ScalarOp::kFloor}) {
    CheckGradient(
        [op](GraphBuilder& b, ValueId x) {
          return b.Add(b.Unary(op, x), b.Mul(x, x));
        },
        Shape({3, 4}));
  }
  for (const ScalarOp op :
       {ScalarOp::kLess, ScalarOp::kLessEqual, ScalarOp::kEqual}) {
    CheckGradient(
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
      CheckGradient(
          [&](GraphBuilder& b, ValueId x) {
            return b.Binary(op, x, Constant(b, other, 0.3, 2.0));
          },
          Shape({3, 4}), 0.3, 2.0);
      CheckGradient(
          [&](GraphBuilder& b, ValueId x) {
            return b.Binary(op, Constant(b, other, 0.3, 2.0), x);
          },
          Shape({3, 4}), 0.3, 2.0);
    }
    CheckGradient(
        [&](GraphBuilder& b, ValueId x) {
          return b.Binary(op, x, b.Unary(ScalarOp::kExp, x));
        },
        Shape({2, 3}), 0.3, 2.0);
  }
}

TEST(GradientTest, BroadcastInput) {
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        return b.Mul(x, Constant(b, Shape({3, 2, 4})));
      },
      Shape({3, 1, 4}));
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        return b.Mul(x, Constant(b, Shape({3, 2, 4})));
      },
      Shape({3, 1, 1}));
}

TEST(GradientTest, PowOfZero) {
  const auto square = [](GraphBuilder& b, ValueId x) {
    return b.Binary(ScalarOp::kPow, x, b.Constant(2.0f));
  };
  CheckGradientAt(square, Tensor::Of<double>(Shape({3, 1}), {0.0, -1.0, 2.0}));
  const auto power = [](GraphBuilder& b, ValueId x) {
    const Tensor base = Tensor::Of<float>(Shape({3, 1}), {0.0f, 1.0f, 2.0f});
    return b.Binary(ScalarOp::kPow, b.Constant(base), x);
  };
  CheckGradientAt(power, Tensor::Of<double>(Shape({3, 1}), {1.5, 2.0, 0.5}));
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
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        const ValueId c =
            b.Binary(ScalarOp::kLess, x, Constant(b, Shape({3, 4})));
        return b.Select(c, b.Mul(x, x), b.Unary(ScalarOp::kSin, x));
      },
      Shape({3, 4}));
}

TEST(GradientTest, ShapeOperations) {
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        const ValueId y = b.Reshape(b.Mul(x, x), Shape({3, 2, 2}));
        return b.Transpose(y, {0, 2, 1});
      },
      Shape({3, 4}));
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        return b.Transpose(x, {2, 0, 3, 1});
      },
      Shape({3, 4, 3, 2}));
  CheckGradient(
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
  CheckGradient(slice({0, 1}, {3, 7}, {1, 1}), Shape({3, 8}));
  CheckGradient(slice({0, 1}, {3, 8}, {1, 3}), Shape({3, 8}));
  CheckGradient(slice({0, 2}, {3, 7}, {2, 4}), Shape({3, 8}));
  CheckGradient(slice({0, 7}, {3, 8}, {1, 5}), Shape({3, 8}));
  CheckGradient(slice({0, 4}, {3, 4}, {1, 1}), Shape({3, 8}));  // nothing
  const auto pad = [](IntList before, IntList after, IntList interior) {
    return [=](GraphBuilder& b, ValueId x) {
      return b.Pad(b.Mul(x, x), {before, after, interior});
    };
  };
  CheckGradient(pad({0, 1}, {0, 2}, {0, 0}), Shape({3, 4}));
  CheckGradient(pad({0, 3}, {0, 0}, {0, 2}), Shape({3, 4}));
  CheckGradient(pad({0, 0}, {0, 1}, {1, 1}), Shape({3, 1}));
}

// As a loop over steps reads one value: the parts become one concatenation,
// however they overlap or leave gaps.
TEST(GradientTest, SlicesOfOneValue) {
  const auto slices = [](GraphBuilder& b, ValueId x) {
    ValueId sum = b.Mul(b.Slice(x, {{0, 0}, {3, 2}, {1, 1}}), b.Constant(0.5f));
    const int64_t starts[] = {8, 0, 2, 3, 5, 4, 3};
    for (const int64_t start : starts) {
      const ValueId part = b.Slice(x, {{0, start}, {3, start + 2}, {1, 1}});
      sum = b.Add(sum, b.Mul(part, part));
    }
    return b.Mul(sum, b.Slice(x, {{0, 1}, {3, 6}, {1, 3}}));
  };
  CheckGradient(slices, Shape({3, 12}));
  CheckGradient(
      [&](GraphBuilder& b, ValueId x) {
        return b.Add(slices(b, x),
                     b.Slice(b.Mul(x, x), {{0, 7}, {3, 9}, {1, 1}}));
      },
      Shape({3, 10}));
}

TEST(GradientTest, DisjointSlicesCostNoSums) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2, 40}));
  ValueId energy = b.Constant(0.0f);
  for (int64_t i = 39; i >= 0; --i) {
    const ValueId part = b.Slice(x, {{0, i}, {2, i + 1}, {1, 1}});
    energy = b.Add(b.Mul(part, part), energy);
  }
  energy = b.Reshape(energy, Shape({2}));
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({energy}));
  ASSERT_OK_AND_ASSIGN(const Graph gradient, Gradient(graph, energy, x));
  ASSERT_OK_AND_ASSIGN(const Graph simple, Simplify(gradient));
  const std::string text = simple.ToString();
  EXPECT_THAT(text, ::testing::Not(HasSubstr("= pad")));
  EXPECT_THAT(text, HasSubstr("= concat"));
}

TEST(GradientTest, GatherAndScatterAdd) {
  const Tensor indices = Tensor::Of<int64_t>(Shape({4}), {2, 0, 2, 1});
  for (int axis = 0; axis < 3; ++axis) {
    CheckGradient(
        [&](GraphBuilder& b, ValueId x) {
          return b.Gather(b.Mul(x, x), b.Constant(indices), axis);
        },
        Shape({3, 3, 3}));
  }
  CheckGradient(
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
      CheckGradient(
          [&](GraphBuilder& b, ValueId x) {
            return b.ReduceSum(b.Mul(x, x), axes, reduced);
          },
          Shape({3, 4, 2}));
      CheckGradient(
          [&](GraphBuilder& b, ValueId x) {
            return b.ReduceMax(b.Mul(x, x), axes, reduced);
          },
          Shape({3, 4, 2}));
      CheckGradient(
          [&](GraphBuilder& b, ValueId x) {
            return b.LogSumExp(b.Mul(x, x), axes, reduced);
          },
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
      CheckGradient(
          [&](GraphBuilder& b, ValueId x) {
            const Shape w = tb ? Shape({2, 5, 4}) : Shape({2, 4, 5});
            return b.Matmul(b.Mul(x, x), Constant(b, w), attrs);
          },
          ta ? Shape({2, 4, 3}) : Shape({2, 3, 4}));
      CheckGradient(
          [&](GraphBuilder& b, ValueId x) {
            const Shape w = ta ? Shape({2, 4, 3}) : Shape({2, 3, 4});
            return b.Matmul(Constant(b, w), b.Mul(x, x), attrs);
          },
          tb ? Shape({2, 5, 4}) : Shape({2, 4, 5}));
    }
  }
}

TEST(GradientTest, MatmulBroadcasts) {
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        return b.Matmul(x, Constant(b, Shape({4, 5})));
      },
      Shape({2, 3, 4}));
  CheckGradient(
      [](GraphBuilder& b, ValueId x) {
        return b.Matmul(x, Constant(b, Shape({2, 3, 4, 2})));
      },
      Shape({2, 1, 3, 4}));
  CheckGradient(
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
    CheckGradient(
        [&](GraphBuilder& b, ValueId x) {
          return b.Conv(b.Mul(x, x), Constant(b, c.w), c.attrs);
        },
        c.x);
  }
}

TEST(GradientTest, ConvToWeights) {
  for (const ConvCase& c : ConvCases()) {
    CheckGradient(
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
    CheckGradient(
        [&](GraphBuilder& b, ValueId dy) {
          return data(b, b.Mul(dy, dy), Constant(b, c.w));
        },
        y);
    CheckGradient(
        [&](GraphBuilder& b, ValueId w) {
          return data(b, Constant(b, y), b.Mul(w, w));
        },
        c.w);
    CheckGradient(
        [&](GraphBuilder& b, ValueId x) {
          return weights(b, b.Mul(x, x), Constant(b, y));
        },
        c.x);
    CheckGradient(
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
    CheckGradient(
        [&](GraphBuilder& b, ValueId x) {
          return b.MaxPool(b.Unary(ScalarOp::kSin, x), c.attrs);
        },
        c.x);
    CheckGradient([&](GraphBuilder& b,
                      ValueId x) { return b.AvgPool(b.Mul(x, x), c.attrs); },
                  c.x);
    GraphBuilder shapes;
    const Shape y =
        shapes.shape(shapes.AvgPool(shapes.Input("x", c.x), c.attrs));
    CheckGradient(
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
