#include "core/model/settings_fields.h"

#include <cmath>
#include <limits>

namespace basin::internal {

absl::StatusOr<float> ToFloat(const std::string& field, double value) {
  const bool overflows = std::isfinite(value) &&
                         std::abs(value) > std::numeric_limits<float>::max();
  if (std::isnan(value) || overflows) {
    return FieldError(field, "a float32", value);
  }
  return static_cast<float>(value);
}

absl::StatusOr<float> ToFiniteFloat(const std::string& field, double value) {
  if (!std::isfinite(value)) return FieldError(field, "a finite number", value);
  return ToFloat(field, value);
}

absl::Status CheckAtLeastZero(const std::string& field, double value) {
  if (std::isfinite(value) && value >= 0) return absl::OkStatus();
  return FieldError(field, "a finite number, at least 0", value);
}

absl::Status CheckPositive(const std::string& field, double value) {
  if (std::isfinite(value) && value > 0) return absl::OkStatus();
  return FieldError(field, "finite, and more than 0", value);
}

absl::Status CheckRange(const std::string& field, int64_t value, int64_t low,
                        int64_t high) {
  if (low <= value && value <= high) return absl::OkStatus();
  return FieldError(field, absl::StrCat(low, " to ", high), value);
}

}  // namespace basin::internal
