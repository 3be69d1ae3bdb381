#include "client/array.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace basin::client {
namespace {

using ::basin::testing::StatusIs;
using ::testing::HasSubstr;

TEST(ArrayTest, TravelsAsFloat32) {
  const Array array{{2, 2}, {1, -2, 3.5, 0}};
  const v1::Tensor tensor = ToTensor(array);
  EXPECT_EQ(tensor.dtype(), v1::FLOAT32);
  EXPECT_EQ(tensor.data().size(), 16U);
  ASSERT_OK_AND_ASSIGN(const Array back, FromTensor(tensor));
  EXPECT_EQ(back.shape, array.shape);
  EXPECT_EQ(back.values, array.values);
  EXPECT_EQ(back.RowSize(), 2);
}

TEST(ArrayTest, RefusesOtherDtypesAndSizes) {
  v1::Tensor tensor = ToTensor(Array{{2}, {1, 2}});
  tensor.set_dtype(v1::INT32);
  EXPECT_THAT(FromTensor(tensor),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("INT32")));
  tensor.set_dtype(v1::FLOAT32);
  tensor.set_shape(0, 3);
  EXPECT_THAT(FromTensor(tensor),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("[3]")));
}

}  // namespace
}  // namespace basin::client
