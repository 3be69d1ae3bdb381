#include "server/request_limits.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"

namespace basin {

int64_t MaxChains(const ModelInfo& model, const RequestLimits& limits) {
  const int64_t most = std::min(limits.max_chains, limits.max_rows);
  return model.max_chains > 0 ? std::min(model.max_chains, most) : most;
}

absl::Status CheckRange(absl::string_view field, int64_t value, int64_t min,
                        int64_t max, absl::string_view limit_name) {
  if (value >= min && value <= max) return absl::OkStatus();
  std::string limit;
  if (!limit_name.empty()) limit = absl::StrCat(" (", limit_name, ")");
  return absl::InvalidArgumentError(absl::StrCat(
      field, ": expected ", min, " to ", max, limit, ", got ", value));
}

absl::Status CheckPriority(int32_t value, int& priority) {
  constexpr int kDefaultPriority = 5;
  if (value == 0) {
    priority = kDefaultPriority;
    return absl::OkStatus();
  }
  BASIN_RETURN_IF_ERROR(CheckRange("priority", value, 1, 9, ""));
  priority = value;
  return absl::OkStatus();
}

}  // namespace basin
