#include "server/score_request.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/test_models.h"
#include "tests/testing/status_matchers.h"

#include "basin/v1/scorer.pb.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

v1::ScoreRequest TwoRows() {
  v1::ScoreRequest request;
  *request.mutable_inputs() =
      TensorOf<float>(v1::FLOAT32, {2, 2, 3}, std::vector<float>(12, 5));
  return request;
}

TEST(DecodeScoreRequest, TakesRowsOutsideOfTheDomainToo) {
  ASSERT_OK_AND_ASSIGN(
      const ScoreSpec spec,
      DecodeScoreRequest(TwoRows(), SmallModel(), RequestLimits()));
  EXPECT_EQ(spec.rows, 2);
  EXPECT_EQ(spec.inputs, std::vector<float>(12, 5));
  EXPECT_EQ(spec.want, ScoreSpec::Want::kEnergy);
  EXPECT_EQ(spec.options.priority, 5);
}

TEST(DecodeScoreRequest, RefusesWhatCannotBeAnswered) {
  EXPECT_THAT(DecodeScoreRequest({}, SmallModel(), RequestLimits()),
              StatusIs(kInvalid, "inputs: expected a tensor, got none"));
  RequestLimits limits;
  limits.max_rows = 1;
  EXPECT_THAT(
      DecodeScoreRequest(TwoRows(), SmallModel(), limits),
      StatusIs(kInvalid, HasSubstr("at most 1 rows (max_rows), got 2")));
  limits = RequestLimits();
  limits.max_message_bytes = 1050;
  v1::ScoreRequest request = TwoRows();
  EXPECT_OK(DecodeScoreRequest(request, SmallModel(), limits));
  request.set_want_gradients(true);
  EXPECT_THAT(DecodeScoreRequest(request, SmallModel(), limits),
              StatusIs(kInvalid, HasSubstr("(max_message_bytes)")));
}

}  // namespace
}  // namespace basin::testing
