#include "server/tensor_convert.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/test_models.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<FloatRows> Rows(const v1::Tensor& tensor,
                               const ModelInfo& model = SmallModel()) {
  return RowsFromProto(tensor, ExpectStates("inputs", model, 100, "max_rows"));
}

v1::Tensor OneRow() {
  return TensorOf<float>(v1::FLOAT32, {1, 2, 3}, {0, 1, 2, 3, 4, 5});
}

TEST(RowsFromProto, EveryDtypeBecomesFloats) {
  const std::vector<float> expected = {0, 1, 1, 0, 1, 0};
  const std::vector<v1::Tensor> tensors = {
      TensorOf<float>(v1::FLOAT32, {1, 2, 3}, {0, 1, 1, 0, 1, 0}),
      TensorOf<double>(v1::FLOAT64, {1, 2, 3}, {0, 1, 1, 0, 1, 0}),
      TensorOf<int32_t>(v1::INT32, {1, 2, 3}, {0, 1, 1, 0, 1, 0}),
      TensorOf<int64_t>(v1::INT64, {1, 2, 3}, {0, 1, 1, 0, 1, 0}),
      TensorOf<uint8_t>(v1::UINT8, {1, 2, 3}, {0, 2, 2, 0, 2, 0}),
      TensorOf<uint8_t>(v1::BOOL, {1, 2, 3}, {0, 1, 1, 0, 1, 0})};
  for (const v1::Tensor& tensor : tensors) {
    ASSERT_OK_AND_ASSIGN(const FloatRows rows, Rows(tensor));
    EXPECT_EQ(rows.rows, 1);
    EXPECT_EQ(rows.values, expected) << tensor.dtype();
  }
}

TEST(RowsFromProto, NegativeIntegersKeepTheirSign) {
  ASSERT_OK_AND_ASSIGN(
      const FloatRows rows,
      Rows(TensorOf<int32_t>(v1::INT32, {1, 2, 3}, {-1, 2, -3, 4, -5, 6})));
  EXPECT_THAT(rows.values, ElementsAre(-1, 2, -3, 4, -5, 6));
}

TEST(RowsFromProto, RowsStayInOrder) {
  std::vector<float> values(5 * 6);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  ASSERT_OK_AND_ASSIGN(const FloatRows rows,
                       Rows(TensorOf(v1::FLOAT32, {5, 2, 3}, values)));
  EXPECT_EQ(rows.rows, 5);
  EXPECT_EQ(rows.values, values);
}

struct Hostile {
  const char* name;
  std::function<void(v1::Tensor&)> spoil;
  const char* text;
};

class HostileTensor : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileTensor, IsRefused) {
  v1::Tensor tensor = OneRow();
  GetParam().spoil(tensor);
  EXPECT_THAT(Rows(tensor), StatusIs(kInvalid, HasSubstr(GetParam().text)));
}

std::vector<Hostile> HostileShapes() {
  using T = v1::Tensor;
  return {
      {"NoShape", [](T& t) { t.clear_shape(); },
       "inputs.shape: expected [n, 2, 3] with n >= 1, got []"},
      {"FewerDims", [](T& t) { t.mutable_shape()->RemoveLast(); },
       "expected [n, 2, 3] with n >= 1, got [1, 2]"},
      {"MoreDims", [](T& t) { t.add_shape(1); }, "got [1, 2, 3, 1]"},
      {"ManyDims",
       [](T& t) {
         for (int i = 0; i < 1000; ++i) t.add_shape(1);
       },
       "got [1, 2, 3, 1, 1, 1, 1, 1, 1, 1, ...]"},
      {"Transposed",
       [](T& t) {
         t.set_shape(1, 3);
         t.set_shape(2, 2);
       },
       "got [1, 3, 2]"},
      {"NoRows", [](T& t) { t.set_shape(0, 0); }, "got [0, 2, 3]"},
      {"NegativeRows", [](T& t) { t.set_shape(0, -1); }, "got [-1, 2, 3]"},
      {"HugeRows", [](T& t) { t.set_shape(0, kHuge); },
       "inputs.shape: expected at most 100 rows (max_rows), got "
       "9223372036854775807"},
      {"MoreRowsThanBytes", [](T& t) { t.set_shape(0, 2); },
       "inputs.data: expected 48 bytes for float32 [2, 2, 3], got 24"},
  };
}

std::vector<Hostile> HostileContents() {
  using T = v1::Tensor;
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  return {
      {"NoDtype", [](T& t) { t.clear_dtype(); },
       "inputs.dtype: expected FLOAT32, FLOAT64, UINT8, INT32, INT64 or BOOL, "
       "got none"},
      {"UnknownDtype", [](T& t) { t.set_dtype(static_cast<v1::DType>(99)); },
       "got 99"},
      {"OtherDtype", [](T& t) { t.set_dtype(v1::INT64); },
       "inputs.data: expected 48 bytes for int64 [1, 2, 3], got 24"},
      {"NoData", [](T& t) { t.clear_data(); }, "got 0"},
      {"Truncated", [](T& t) { t.mutable_data()->pop_back(); }, "got 23"},
      {"TooLong", [](T& t) { t.mutable_data()->push_back(0); }, "got 25"},
      {"NaN",
       [](T& t) {
         t = TensorOf<float>(v1::FLOAT32, {1, 2, 3}, {0, 1, 2, kNaN, 4, 5});
       },
       "inputs: row 0 has a NaN at element 3"},
      {"Infinity",
       [](T& t) {
         t = TensorOf<float>(v1::FLOAT32, {2, 2, 3},
                             {0, 1, 2, 3, 4, 5, 6, -kInf, 8, 9, 10, 11});
       },
       "inputs: row 1 has an infinity at element 1"},
      {"DoubleBeyondFloat",
       [](T& t) {
         t = TensorOf<double>(v1::FLOAT64, {1, 2, 3}, {0, 1, 2, 3, 4, 1e300});
       },
       "inputs: row 0 has a value that is infinite as float32 at element 5"},
      {"BoolTwo",
       [](T& t) {
         t = TensorOf<uint8_t>(v1::BOOL, {1, 2, 3}, {0, 1, 2, 0, 1, 0});
       },
       "inputs: row 0 has a BOOL that is neither 0 nor 1 at element 2"},
  };
}

std::string NameOf(const ::testing::TestParamInfo<Hostile>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Shapes, HostileTensor,
                         ::testing::ValuesIn(HostileShapes()), NameOf);
INSTANTIATE_TEST_SUITE_P(Contents, HostileTensor,
                         ::testing::ValuesIn(HostileContents()), NameOf);

TEST(RowsFromProto, Uint8NeedsAScale) {
  ModelInfo model = SmallModel();
  model.uint8_scale = 0;
  EXPECT_THAT(
      Rows(TensorOf<uint8_t>(v1::UINT8, {1, 2, 3}, {0, 1, 2, 3, 4, 5}), model),
      StatusIs(kInvalid, HasSubstr("inputs.dtype: expected FLOAT32, got UINT8, "
                                   "for which the model has no uint8_scale")));
}

TEST(CheckInside, NamesRowAndElement) {
  const std::vector<float> values = {0, 0.5F, 1, 1.25F};
  EXPECT_OK(CheckInside("states", values, 2, Box{0, 2}, "the box"));
  EXPECT_THAT(CheckInside("states", values, 2, Box{0, 1}, "the box"),
              StatusIs(kInvalid,
                       "states: row 1 has 1.25 at element 1, outside of the "
                       "box [0, 1]"));
}

TEST(CheckInDomain, NamesRowAndElement) {
  ModelInfo model;
  model.dimension = 4;
  model.domain.box = {-1, 1};
  const std::vector<float> bits = {0, 1, 1, 0, 1, 0, 0, 1};
  const std::vector<float> halves = {0, 1, 1, 0, 1, 0.5F, 0, 1};
  EXPECT_OK(CheckInDomain("states", halves, model));
  model.domain = {DomainKind::kBinary, {0, 1}};
  EXPECT_OK(CheckInDomain("states", bits, model));
  EXPECT_THAT(
      CheckInDomain("states", halves, model),
      StatusIs(kInvalid,
               "states: expected 0 or 1, as the domain is binary; row 1 "
               "has 0.5 at element 1"));
  model.domain = {DomainKind::kCategorical, {0, 1}, 2};
  EXPECT_OK(CheckInDomain("states", bits, model));
  EXPECT_THAT(CheckInDomain("states", halves, model),
              StatusIs(kInvalid, HasSubstr("row 1 has 0.5 at element 1")));
  const std::vector<float> both = {0, 1, 1, 1};
  EXPECT_THAT(
      CheckInDomain("states", both, model),
      StatusIs(kInvalid, HasSubstr("row 0 has 2 ones at elements 2 to 3")));
}

TEST(FloatsToProto, RoundTrips) {
  const std::vector<float> values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  v1::Tensor tensor;
  FloatsToProto({2}, Shape({2, 3}).dims(), values, tensor);
  EXPECT_EQ(tensor.dtype(), v1::FLOAT32);
  EXPECT_THAT(tensor.shape(), ElementsAre(2, 2, 3));
  ASSERT_OK_AND_ASSIGN(const FloatRows rows, Rows(tensor));
  EXPECT_EQ(rows.values, values);
}

}  // namespace
}  // namespace basin::testing
