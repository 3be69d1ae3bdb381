// Shape rules: what each operation accepts, and that hostile attributes are
// refused by name.

#include "core/graph/graph.h"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

class GraphTest : public ::testing::Test {
 protected:
  ValueId Input(const Shape& shape) {
    return *graph_.AddShaped(Op::kInput, {}, InputAttrs{"x"}, shape);
  }
  ValueId Indices(absl::Span<const int64_t> values) {
    const Shape shape({static_cast<int64_t>(values.size())});
    return *graph_.Add(Op::kConstant, {},
                       ConstantAttrs{Tensor::Of<int64_t>(shape, values)});
  }
  // The result's shape as text, or the error.
  std::string Result(Op op, absl::Span<const ValueId> inputs,
                     Attributes attributes) {
    const auto id = graph_.Add(op, inputs, std::move(attributes));
    if (id.ok()) return graph_.shape(*id).ToString();
    EXPECT_EQ(id.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(id.status().message()),
                HasSubstr(std::string(Name(op))));
    return std::string(id.status().message());
  }
  std::string Shaped(Op op, absl::Span<const ValueId> inputs,
                     Attributes attributes, const Shape& shape) {
    const auto id = graph_.AddShaped(op, inputs, std::move(attributes), shape);
    if (id.ok()) return graph_.shape(*id).ToString();
    EXPECT_EQ(id.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(id.status().message());
  }

  Graph graph_;
};

TEST_F(GraphTest, ElementwiseNeedsEqualShapes) {
  const ValueId a = Input(Shape({2, 3}));
  const ValueId b = Input(Shape({2, 1}));
  const ElementwiseAttrs add = {ScalarOp::kAdd};
  EXPECT_EQ(Result(Op::kElementwise, {a, a}, add), "[2, 3]");
  EXPECT_THAT(Result(Op::kElementwise, {a, b}, add),
              AllOf(HasSubstr("[2, 3], [2, 1]"), HasSubstr("differ")));
  EXPECT_THAT(Result(Op::kElementwise, {a}, add), HasSubstr("takes 2"));
}

TEST_F(GraphTest, RefusesWrongInputsAndAttributes) {
  const ValueId a = Input(Shape({2, 3}));
  const ValueId i = Indices({0});
  EXPECT_THAT(Result(Op::kStopGradient, {99}, {}), HasSubstr("no value %99"));
  EXPECT_THAT(Result(Op::kStopGradient, {-1}, {}), HasSubstr("no value %-1"));
  EXPECT_THAT(Result(Op::kStopGradient, {a, a}, {}), HasSubstr("number"));
  EXPECT_THAT(Result(Op::kConcat, {}, AxisAttrs{0}), HasSubstr("number"));
  EXPECT_THAT(Result(Op::kStopGradient, {i}, {}),
              HasSubstr("int64, expected float32"));
  EXPECT_THAT(Result(Op::kTranspose, {a}, AxisAttrs{0}),
              HasSubstr("attributes of another operation"));
  EXPECT_THAT(Result(Op::kReshape, {a}, {}), HasSubstr("must be given"));
  EXPECT_THAT(Shaped(Op::kStopGradient, {a}, {}, Shape({2, 3})),
              HasSubstr("computed, not given"));
}

TEST_F(GraphTest, ConstantsAreRealOrIndices) {
  EXPECT_EQ(Result(Op::kConstant, {}, ConstantAttrs{Tensor::Scalar(0.1)}),
            "[]");
  EXPECT_THAT(
      Result(Op::kConstant, {}, ConstantAttrs{Tensor::Scalar<int32_t>(1)}),
      HasSubstr("int32"));
}

TEST_F(GraphTest, ReshapeAndBroadcast) {
  const ValueId a = Input(Shape({2, 1, 3}));
  EXPECT_EQ(Shaped(Op::kReshape, {a}, {}, Shape({6})), "[6]");
  EXPECT_THAT(Shaped(Op::kReshape, {a}, {}, Shape({7})),
              HasSubstr("another number"));
  EXPECT_EQ(Shaped(Op::kBroadcast, {a}, {}, Shape({2, 5, 3})), "[2, 5, 3]");
  EXPECT_THAT(Shaped(Op::kBroadcast, {a}, {}, Shape({4, 1, 3})),
              HasSubstr("cannot become"));
  EXPECT_THAT(Shaped(Op::kBroadcast, {a}, {}, Shape({1, 2, 1, 3})),
              HasSubstr("cannot become"));
}

TEST_F(GraphTest, TransposeNeedsAPermutation) {
  const ValueId a = Input(Shape({2, 3, 4}));
  EXPECT_EQ(Result(Op::kTranspose, {a}, TransposeAttrs{{2, 0, 1}}),
            "[4, 2, 3]");
  for (const IntList& bad : {IntList{0, 1}, IntList{0, 1, 1}, IntList{0, 1, 3},
                             IntList{-1, 0, 1}, IntList{kHuge, 0, 1}}) {
    EXPECT_THAT(Result(Op::kTranspose, {a}, TransposeAttrs{bad}),
                HasSubstr("does not permute"));
  }
}

TEST_F(GraphTest, SliceStaysInside) {
  const ValueId a = Input(Shape({2, 8}));
  EXPECT_EQ(Result(Op::kSlice, {a}, SliceAttrs{{0, 1}, {2, 8}, {1, 3}}),
            "[2, 3]");
  EXPECT_EQ(Result(Op::kSlice, {a}, SliceAttrs{{0, 8}, {2, 8}, {1, kHuge}}),
            "[2, 0]");
  for (const SliceAttrs& bad :
       {SliceAttrs{{0, -1}, {2, 8}, {1, 1}}, SliceAttrs{{0, 0}, {2, 9}, {1, 1}},
        SliceAttrs{{0, 5}, {2, 4}, {1, 1}}, SliceAttrs{{0, 0}, {2, 8}, {1, 0}},
        SliceAttrs{{0, 0}, {2, kHuge}, {1, 1}}}) {
    EXPECT_THAT(Result(Op::kSlice, {a}, bad), HasSubstr("no slice"));
  }
  EXPECT_THAT(Result(Op::kSlice, {a}, SliceAttrs{{0}, {2}, {1}}),
              HasSubstr("one entry per axis"));
}

TEST_F(GraphTest, PadIsBounded) {
  const ValueId a = Input(Shape({2, 3}));
  EXPECT_EQ(Result(Op::kPad, {a}, PadAttrs{{0, 1}, {0, 2}, {1, 3}}), "[3, 12]");
  for (const int64_t bad : {int64_t{-1}, kHuge}) {
    EXPECT_THAT(Result(Op::kPad, {a}, PadAttrs{{0, bad}, {0, 0}, {0, 0}}),
                HasSubstr("too much"));
    EXPECT_THAT(Result(Op::kPad, {a}, PadAttrs{{0, 0}, {0, 0}, {0, bad}}),
                HasSubstr("too much"));
  }
  const int64_t most = Shape::kMaxElements;
  EXPECT_THAT(Result(Op::kPad, {a}, PadAttrs{{0, most}, {0, most}, {0, 0}}),
              HasSubstr("impossible shape"));
}

TEST_F(GraphTest, ConcatNeedsEqualShapesBeyondItsAxis) {
  const ValueId a = Input(Shape({2, 3}));
  const ValueId b = Input(Shape({2, 5}));
  const ValueId huge = Input(Shape({1, Shape::kMaxElements}));
  EXPECT_EQ(Result(Op::kConcat, {a, b, a}, AxisAttrs{1}), "[2, 11]");
  EXPECT_THAT(Result(Op::kConcat, {a, b}, AxisAttrs{0}), HasSubstr("differ"));
  EXPECT_THAT(Result(Op::kConcat, {a, b}, AxisAttrs{2}), HasSubstr("axis 2"));
  EXPECT_THAT(Result(Op::kConcat, {a}, AxisAttrs{-1}), HasSubstr("axis -1"));
  EXPECT_THAT(Result(Op::kConcat, {huge, huge}, AxisAttrs{1}),
              HasSubstr("impossible shape"));
}

TEST_F(GraphTest, GatherAndScatterAddCheckIndices) {
  const ValueId a = Input(Shape({2, 3}));
  EXPECT_EQ(Result(Op::kGather, {a, Indices({0, 2, 2, 1})}, AxisAttrs{1}),
            "[2, 4]");
  EXPECT_THAT(Result(Op::kGather, {a, Indices({0, 3})}, AxisAttrs{1}),
              HasSubstr("index 3 is not in [0, 3)"));
  EXPECT_THAT(Result(Op::kGather, {a, Indices({-1})}, AxisAttrs{1}),
              HasSubstr("index -1"));
  EXPECT_THAT(Result(Op::kGather, {a, a}, AxisAttrs{1}),
              HasSubstr("constant int64"));
  EXPECT_EQ(Shaped(Op::kScatterAdd, {a, Indices({7, 7, 0})}, AxisAttrs{1},
                   Shape({2, 8})),
            "[2, 8]");
  EXPECT_THAT(Shaped(Op::kScatterAdd, {a, Indices({8, 7, 0})}, AxisAttrs{1},
                     Shape({2, 8})),
              HasSubstr("index 8"));
  EXPECT_THAT(Shaped(Op::kScatterAdd, {a, Indices({7, 7})}, AxisAttrs{1},
                     Shape({2, 8})),
              HasSubstr("one entry per index"));
}

TEST_F(GraphTest, ReduceNeedsAscendingAxes) {
  const ValueId a = Input(Shape({2, 3, 4}));
  EXPECT_EQ(Result(Op::kReduceSum, {a}, ReduceAttrs{{0, 2}}), "[3]");
  EXPECT_EQ(Result(Op::kReduceMax, {a}, ReduceAttrs{{0, 1, 2}}), "[]");
  for (const IntList& bad :
       {IntList{2, 0}, IntList{1, 1}, IntList{-1}, IntList{3}}) {
    EXPECT_THAT(Result(Op::kReduceSum, {a}, ReduceAttrs{bad}),
                HasSubstr("ascending"));
  }
  const ValueId none = Input(Shape({2, 0}));
  EXPECT_EQ(Result(Op::kReduceSum, {none}, ReduceAttrs{{1}}), "[2]");
  EXPECT_THAT(Result(Op::kReduceMax, {none}, ReduceAttrs{{1}}),
              HasSubstr("no maximum"));
}

TEST_F(GraphTest, MatmulChecksInnerAndBatch) {
  const ValueId a = Input(Shape({2, 3, 4}));
  const ValueId b = Input(Shape({2, 4, 5}));
  EXPECT_EQ(Result(Op::kMatmul, {a, b}, MatmulAttrs{}), "[2, 3, 5]");
  EXPECT_EQ(Result(Op::kMatmul, {a, a}, MatmulAttrs{false, true}), "[2, 3, 3]");
  EXPECT_EQ(Result(Op::kMatmul, {a, a}, MatmulAttrs{true, false}), "[2, 4, 4]");
  EXPECT_THAT(Result(Op::kMatmul, {a, a}, MatmulAttrs{}),
              HasSubstr("inner sizes 4 and 3"));
  const ValueId other = Input(Shape({3, 4, 5}));
  EXPECT_THAT(Result(Op::kMatmul, {a, other}, MatmulAttrs{}),
              HasSubstr("batch axis 0"));
  const ValueId flat = Input(Shape({4}));
  EXPECT_THAT(Result(Op::kMatmul, {flat, flat}, MatmulAttrs{}),
              HasSubstr("rank"));
}

ConvAttrs Conv2d() { return {{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1}; }

TEST_F(GraphTest, ConvComputesItsShape) {
  const ValueId x = Input(Shape({2, 4, 9, 8}));
  const ValueId w = Input(Shape({6, 2, 3, 2}));
  ConvAttrs attrs = {{2, 1}, {1, 3}, {1, 0}, {0, 2}, 2};
  EXPECT_EQ(Result(Op::kConv, {x, w}, attrs), "[2, 6, 4, 7]");
  const ValueId dy = Input(Shape({2, 6, 4, 7}));
  EXPECT_EQ(Shaped(Op::kConvBackwardData, {dy, w}, attrs, Shape({2, 4, 9, 8})),
            "[2, 4, 9, 8]");
  EXPECT_EQ(
      Shaped(Op::kConvBackwardWeights, {x, dy}, attrs, Shape({6, 2, 3, 2})),
      "[6, 2, 3, 2]");
  EXPECT_THAT(
      Shaped(Op::kConvBackwardData, {dy, w}, attrs, Shape({2, 4, 9, 9})),
      HasSubstr("not the gradient's"));
  EXPECT_THAT(
      Shaped(Op::kConvBackwardWeights, {x, dy}, attrs, Shape({6, 2, 3, 3})),
      HasSubstr("not the gradient's"));
}

TEST_F(GraphTest, ConvRefusesHostileAttributes) {
  const ValueId x = Input(Shape({2, 4, 9, 8}));
  const ValueId w = Input(Shape({6, 4, 3, 2}));
  EXPECT_EQ(Result(Op::kConv, {x, w}, Conv2d()), "[2, 6, 7, 7]");
  for (const int64_t bad : {int64_t{0}, int64_t{-1}, int64_t{1} << 31, kHuge}) {
    ConvAttrs attrs = Conv2d();
    attrs.strides[0] = bad;
    EXPECT_THAT(Result(Op::kConv, {x, w}, attrs), HasSubstr("at least 1"));
    attrs = Conv2d();
    attrs.dilations[1] = bad;
    EXPECT_THAT(Result(Op::kConv, {x, w}, attrs), HasSubstr("at least 1"));
    attrs = Conv2d();
    attrs.groups = bad;
    EXPECT_THAT(Result(Op::kConv, {x, w}, attrs), HasSubstr("conv("));
  }
  for (const int64_t bad : {int64_t{-1}, int64_t{1} << 31, kHuge}) {
    ConvAttrs attrs = Conv2d();
    attrs.pads_after[0] = bad;
    EXPECT_THAT(Result(Op::kConv, {x, w}, attrs), HasSubstr("pads"));
  }
  ConvAttrs wide = Conv2d();
  wide.dilations[0] = (int64_t{1} << 31) - 1;
  EXPECT_THAT(Result(Op::kConv, {x, w}, wide), HasSubstr("the kernel spans"));
  wide = Conv2d();
  wide.strides.pop_back();
  EXPECT_THAT(Result(Op::kConv, {x, w}, wide), HasSubstr("2 entries"));
}

TEST_F(GraphTest, ConvRefusesHostileShapes) {
  const ValueId x = Input(Shape({2, 4, 9, 8}));
  EXPECT_THAT(Result(Op::kConv, {x, Input(Shape({6, 3, 1, 1}))}, Conv2d()),
              HasSubstr("do not fit weights"));
  EXPECT_THAT(Result(Op::kConv, {x, Input(Shape({6, 4, 1}))}, Conv2d()),
              HasSubstr("rank"));
  EXPECT_THAT(Result(Op::kConv, {x, Input(Shape({6, 4, 0, 1}))}, Conv2d()),
              HasSubstr("kernel 0"));
  const ValueId flat = Input(Shape({2, 4}));
  EXPECT_THAT(Result(Op::kConv, {flat, flat}, Conv2d()),
              HasSubstr("spatial axes"));
  const ValueId huge = Input(Shape({1, 1, Shape::kMaxElements, 1}));
  EXPECT_THAT(Result(Op::kConv, {huge, huge}, Conv2d()),
              HasSubstr("below 2^31"));
}

TEST_F(GraphTest, PoolsRefuseWindowsOfPaddingOnly) {
  const ValueId x = Input(Shape({1, 1, 5}));
  EXPECT_EQ(Result(Op::kMaxPool, {x}, PoolAttrs{{3}, {2}, {1}, {1}, false}),
            "[1, 1, 3]");
  EXPECT_THAT(Result(Op::kMaxPool, {x}, PoolAttrs{{3}, {2}, {3}, {0}, false}),
              HasSubstr("only padding"));
  EXPECT_THAT(Result(Op::kAvgPool, {x}, PoolAttrs{{2}, {1}, {0}, {2}, true}),
              HasSubstr("only padding"));
  EXPECT_THAT(Result(Op::kAvgPool, {x}, PoolAttrs{{6}, {1}, {0}, {0}, true}),
              HasSubstr("the kernel spans 6"));
  for (const int64_t bad : {int64_t{0}, int64_t{-4}, kHuge}) {
    EXPECT_THAT(
        Result(Op::kMaxPool, {x}, PoolAttrs{{bad}, {1}, {0}, {0}, false}),
        HasSubstr("at least 1"));
    EXPECT_THAT(
        Result(Op::kMaxPool, {x}, PoolAttrs{{2}, {bad}, {0}, {0}, false}),
        HasSubstr("at least 1"));
  }
  const PoolAttrs attrs = {{3}, {2}, {1}, {1}, false};
  const ValueId dy = Input(Shape({1, 1, 3}));
  EXPECT_EQ(Result(Op::kMaxPoolGrad, {x, dy}, attrs), "[1, 1, 5]");
  EXPECT_EQ(Shaped(Op::kAvgPoolGrad, {dy}, attrs, Shape({1, 1, 5})),
            "[1, 1, 5]");
  EXPECT_THAT(Shaped(Op::kAvgPoolGrad, {dy}, attrs, Shape({1, 1, 9})),
              HasSubstr("not the gradient's"));
}

TEST_F(GraphTest, FusedOperandsBroadcast) {
  const ValueId a = Input(Shape({4, 3}));
  const ValueId row = Input(Shape({1, 3}));
  const ValueId column = Input(Shape({4, 1}));
  const FusedAttrs mul = {{2, {}, {{ScalarOp::kMul, {0, 1, -1}}}}};
  EXPECT_EQ(Result(Op::kFused, {a, row}, mul), "[4, 3]");
  EXPECT_EQ(Result(Op::kFused, {row, column}, mul), "[4, 3]");
  EXPECT_EQ(Shaped(Op::kFused, {row, row}, mul, Shape({4, 3})), "[4, 3]");
  EXPECT_THAT(Result(Op::kFused, {a, Input(Shape({3}))}, mul),
              HasSubstr("rank"));
  EXPECT_THAT(Result(Op::kFused, {a, Input(Shape({2, 3}))}, mul),
              HasSubstr("does not broadcast"));
  EXPECT_THAT(Result(Op::kFused, {a}, mul), HasSubstr("2 operands"));
}

TEST_F(GraphTest, PrintsOneLineANode) {
  const ValueId x = Input(Shape({64, 784}));
  const ValueId w = Input(Shape({512, 784}));
  const auto y = graph_.Add(Op::kMatmul, {x, w}, MatmulAttrs{false, true});
  ASSERT_OK(y);
  graph_.set_outputs({*y});
  EXPECT_EQ(graph_.ToString(),
            "%0 = input() x -> [64, 784]\n"
            "%1 = input() x -> [512, 784]\n"
            "%2 = matmul(%0, %1) transpose_b -> [64, 512]\n"
            "outputs %2\n");
}

}  // namespace
}  // namespace basin::testing
