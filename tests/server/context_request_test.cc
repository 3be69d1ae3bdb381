#include "server/context_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/array.h"
#include "tests/testing/status_matchers.h"

#include "basin/v1/common.pb.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

// a [2] that is needed, and b [100,000] with a default.
ModelInfo TwoInputs() {
  ModelInfo model;
  model.name = "two";
  ContextInput a;
  a.name = "a";
  a.shape = Shape({2});
  ContextInput b;
  b.name = "b";
  b.shape = Shape({100'000});
  b.default_value = 7;
  b.offset = 2;
  model.context = {a, b};
  model.context_dimension = 100'002;
  return model;
}

using Tensors = google::protobuf::Map<std::string, v1::Tensor>;

Tensors A(int64_t rows) {
  Tensors tensors;
  client::Array array{{rows, 2}, {}};
  for (int64_t i = 0; i < 2 * rows; ++i) {
    array.values.push_back(static_cast<float>(i));
  }
  tensors["a"] = client::ToTensor(array);
  return tensors;
}

TEST(DecodeContext, DefaultsStandBesideWhatIsGiven) {
  const Tensors tensors = A(3);
  ASSERT_OK_AND_ASSIGN(
      const std::vector<float> context,
      DecodeContext({tensors, std::nullopt, 3, 1 << 26}, TwoInputs()));
  ASSERT_EQ(context.size(), 3U * 100'002);
  for (size_t row = 0; row < 3; ++row) {
    const auto at = context.begin() + static_cast<int64_t>(row) * 100'002;
    EXPECT_EQ(at[0], 2 * row);
    EXPECT_EQ(at[1], 2 * row + 1);
    EXPECT_EQ(at[2], 7);
    EXPECT_EQ(at[100'001], 7);
  }
}

// A few bytes a row must not become 400 kB a row without a limit.
TEST(DecodeContext, WhatDefaultsWouldGrowToIsBounded) {
  const Tensors tensors = A(1000);
  EXPECT_THAT(
      DecodeContext({tensors, std::nullopt, 1000, 1 << 26}, TwoInputs()),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("context: expected at most 67108864 bytes "
                         "(max_message_bytes), got 1000 rows of 400008")));
}

}  // namespace
}  // namespace basin::testing
