#ifndef BASIN_SERVER_REQUEST_LIMITS_H_
#define BASIN_SERVER_REQUEST_LIMITS_H_

#include <cstdint>

#include <absl/status/status.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include "core/model/energy_model.h"

namespace basin {

// What a request may ask for. A request beyond one of these can never
// succeed, so it is an InvalidArgument that names the limit.
struct RequestLimits {
  int64_t max_chains = 65536;                     // of one request
  int64_t max_steps = 1'000'000'000;              // warm-up included
  int64_t max_message_bytes = int64_t{64} << 20;  // in both directions
  int64_t max_rows = int64_t{1} << 20;            // of all requests
  int64_t max_bytes = int64_t{2} << 30;           // of all requests
  absl::Duration max_work = absl::Hours(1);       // of all requests
};

// The chains of one request at most: the server's limit or the model's.
int64_t MaxChains(const ModelInfo& model, const RequestLimits& limits);

// InvalidArgument "<field>: expected <min> to <max> (<limit_name>), got
// <value>" outside [min, max]. `limit_name` may be empty.
absl::Status CheckRange(absl::string_view field, int64_t value, int64_t min,
                        int64_t max, absl::string_view limit_name);

// 0 becomes the default; others must lie in 1 to 9.
absl::Status CheckPriority(int32_t value, int& priority);

}  // namespace basin

#endif  // BASIN_SERVER_REQUEST_LIMITS_H_
