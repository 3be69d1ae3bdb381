#ifndef BASIN_CORE_MODEL_SETTINGS_FIELDS_H_
#define BASIN_CORE_MODEL_SETTINGS_FIELDS_H_

// Checks of the fields of a config.pbtxt; errors name the field, what was
// expected and what came.

#include <cstdint>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

namespace basin::internal {

template <typename T>
absl::Status FieldError(const std::string& field, const std::string& expected,
                        const T& got) {
  return absl::InvalidArgumentError(absl::StrCat(
      "config.pbtxt: ", field, ": expected ", expected, ", got ", got));
}

// `value` as a float; infinities pass.
absl::StatusOr<float> ToFloat(const std::string& field, double value);
// As ToFloat(), but infinities do not pass.
absl::StatusOr<float> ToFiniteFloat(const std::string& field, double value);

absl::Status CheckAtLeastZero(const std::string& field, double value);
absl::Status CheckPositive(const std::string& field, double value);
absl::Status CheckRange(const std::string& field, int64_t value, int64_t low,
                        int64_t high);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_SETTINGS_FIELDS_H_
