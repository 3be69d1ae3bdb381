#include "core/tensor/tensor.h"

#include <cstdint>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace basin {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

TEST(TensorTest, NewElementsAreZeroAndAligned) {
  const Tensor tensor(DType::kFloat32, Shape({3, 7}));
  EXPECT_THAT(tensor.data<float>(), Each(0.0f));
  EXPECT_EQ(tensor.byte_size(), 84u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes()) % 64, 0u);
}

TEST(TensorTest, OfCopiesItsValues) {
  std::vector<int64_t> values = {4, 5, 6};
  const Tensor tensor = Tensor::Of<int64_t>(Shape({3}), values);
  values[0] = 0;
  EXPECT_EQ(tensor.dtype(), DType::kInt64);
  EXPECT_THAT(tensor.data<int64_t>(), ElementsAre(4, 5, 6));
}

TEST(TensorTest, CopiesAndReshapesShareElements) {
  Tensor tensor = Tensor::Of<float>(Shape({2, 2}), {1, 2, 3, 4});
  const Tensor copy = tensor;
  const Tensor flat = tensor.Reshaped(Shape({4}));
  EXPECT_EQ(copy.id(), tensor.id());
  EXPECT_EQ(flat.id(), tensor.id());
  EXPECT_THAT(flat.data<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_NE(Tensor::Scalar(1.0f).id(), tensor.id());
}

TEST(TensorTest, EmptyTensorsHaveNoElements) {
  EXPECT_EQ(Tensor().num_elements(), 0);
  EXPECT_EQ(Tensor(DType::kUint8, Shape({5, 0})).byte_size(), 0u);
}

TEST(DTypeTest, NamesAndSizes) {
  EXPECT_EQ(Name(DType::kFloat32), "float32");
  EXPECT_EQ(Name(DType::kBool), "bool");
  EXPECT_EQ(ByteSize(DType::kFloat64), 8u);
  EXPECT_EQ(ByteSize(DType::kInt32), 4u);
  EXPECT_EQ(ByteSize(DType::kUint8), 1u);
  EXPECT_EQ(DTypeOf<double>(), DType::kFloat64);
}

TEST(TensorDeathTest, ReadingAnotherTypeEndsTheProcess) {
  const Tensor tensor(DType::kInt32, Shape({1}));
  EXPECT_DEATH(tensor.data<float>(), "check failed");
}

}  // namespace
}  // namespace basin
