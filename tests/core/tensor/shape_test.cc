#include "core/tensor/shape.h"

#include <cstdint>
#include <limits>

#include "tests/testing/status_matchers.h"

namespace basin {
namespace {

using ::basin::testing::StatusIs;
using ::testing::HasSubstr;

TEST(ShapeTest, ScalarHasOneElement) {
  EXPECT_EQ(Shape().rank(), 0);
  EXPECT_EQ(Shape().num_elements(), 1);
  EXPECT_EQ(Shape().ToString(), "[]");
}

TEST(ShapeTest, CountsElementsAndNamesAxes) {
  const Shape shape({2, 3, 5});
  EXPECT_EQ(shape.num_elements(), 30);
  EXPECT_EQ(shape.dim(0), 2);
  EXPECT_EQ(shape.dim(-1), 5);
  EXPECT_EQ(shape.ToString(), "[2, 3, 5]");
  EXPECT_EQ(shape, Shape({2, 3, 5}));
  EXPECT_FALSE(shape == Shape({2, 3, 5, 1}));
  EXPECT_EQ(Shape({4, 0}).num_elements(), 0);
}

TEST(ShapeTest, RefusesImpossibleShapes) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  const Shape::Dims bad[] = {{-1},
                             {kHuge},
                             {kHuge, kHuge},
                             {int64_t{1} << 24, (int64_t{1} << 24) + 1},
                             {int64_t{1} << 40, int64_t{1} << 40, 0},
                             {0, -3}};
  for (const Shape::Dims& dims : bad) {
    EXPECT_THAT(Shape::Create(dims),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("impossible shape")));
  }
  EXPECT_THAT(Shape::Create({1, 1, 1, 1, 1, 1, 1, 1, 1}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("rank")));
}

TEST(ShapeTest, AcceptsTheLargest) {
  ASSERT_OK_AND_ASSIGN(const Shape shape,
                       Shape::Create({int64_t{1} << 24, int64_t{1} << 24}));
  EXPECT_EQ(shape.num_elements(), Shape::kMaxElements);
}

}  // namespace
}  // namespace basin
