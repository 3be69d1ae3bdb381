#ifndef BASIN_TESTS_TESTING_STATUS_MATCHERS_H_
#define BASIN_TESTS_TESTING_STATUS_MATCHERS_H_

// Matchers for absl::Status and absl::StatusOr; the packaged Abseil has none.

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/status_macros.h"

namespace basin::testing {

inline const absl::Status& GetStatus(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& result) {
  return result.status();
}

// The value or status is OK.
MATCHER(IsOk, "") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).ok();
}

// The error has this code, and its message matches `message`, a string
// matcher such as HasSubstr("...").
MATCHER_P2(StatusIs, code, message, "") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code &&
         ::testing::Matches(message)(std::string(GetStatus(arg).message()));
}

}  // namespace basin::testing

#define EXPECT_OK(expr) EXPECT_THAT(expr, ::basin::testing::IsOk())
#define ASSERT_OK(expr) ASSERT_THAT(expr, ::basin::testing::IsOk())

#define BASIN_INTERNAL_ASSERT_OK_AND_ASSIGN(result, lhs, expr) \
  auto result = (expr);                                        \
  ASSERT_THAT(result, ::basin::testing::IsOk());               \
  lhs = std::move(result).value()

// Assigns the value of a StatusOr, or fails the test.
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  BASIN_INTERNAL_ASSERT_OK_AND_ASSIGN(  \
      BASIN_INTERNAL_CONCAT(basin_assert_, __LINE__), lhs, expr)

#endif  // BASIN_TESTS_TESTING_STATUS_MATCHERS_H_
