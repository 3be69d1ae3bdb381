#include "core/scheduler/policy.h"

#include <algorithm>
#include <tuple>

#include "core/base/check.h"
#include "core/model/energy_model.h"

namespace basin::internal {
namespace {

// Beyond this a quantum's own cost is nothing, and its length no longer known.
constexpr int64_t kMaxStepsInQuantum = 1 << 16;

bool Before(const QueueState& a, const QueueState& b) {
  return std::tie(a.priority, a.runtime, a.last_picked) <
         std::tie(b.priority, b.runtime, b.last_picked);
}

// The time after which `excess` of `held` has gone.
absl::Duration RetryAfter(double excess, double held, absl::Duration work,
                          int workers) {
  const double share = held > 0 ? std::min(1.0, excess / held) : 1.0;
  const absl::Duration wait = work / workers * share;
  return std::max(absl::Seconds(1), absl::Ceil(wait, absl::Seconds(1)));
}

}  // namespace

int PickQueue(absl::Span<const QueueState> queues) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(queues.size()); ++i) {
    if (queues[i].ready_rows == 0) continue;
    if (best < 0 || Before(queues[i], queues[best])) best = i;
  }
  return best;
}

absl::Duration ResumedRuntime(absl::Duration own, absl::Duration served) {
  return std::max(own, served);
}

int PlanTile(int64_t ready_rows, int64_t running_rows, int workers,
             absl::Span<const int> tile_sizes) {
  BASIN_CHECK(ready_rows >= 1 && workers >= 1 && !tile_sizes.empty());
  // Without the min, rows near INT64_MAX would overflow.
  const int64_t enough = int64_t{workers} * tile_sizes.back();
  const int64_t total =
      std::min(ready_rows, enough) + std::min(running_rows, enough);
  int64_t rows =
      std::min<int64_t>((total + workers - 1) / workers, tile_sizes.back());
  // A plan computes all its rows, used or not: a tile that would leave more
  // than a quarter of its plan empty takes the next smaller size instead.
  const int above = TileSizeFor(tile_sizes, rows);
  if (rows * 4 < int64_t{above} * 3) {
    const auto* at =
        std::lower_bound(tile_sizes.begin(), tile_sizes.end(), above);
    if (at != tile_sizes.begin()) rows = *(at - 1);
  }
  return static_cast<int>(std::min(rows, ready_rows));
}

int64_t StepsInQuantum(absl::Duration quantum, absl::Duration cost_per_step,
                       int64_t least_allowed) {
  BASIN_CHECK(least_allowed >= 1);
  if (cost_per_step <= absl::ZeroDuration()) return 1;
  absl::Duration rest;
  const int64_t fit = absl::IDivDuration(quantum, cost_per_step, &rest);
  return std::clamp<int64_t>(fit, 1,
                             std::min(least_allowed, kMaxStepsInQuantum));
}

Admission Admit(const Demand& limits, const Demand& held, const Demand& need,
                int workers) {
  using Verdict = Admission::Verdict;
  if (need.rows > limits.rows) return {Verdict::kNever, "rows", {}};
  if (need.bytes > limits.bytes) return {Verdict::kNever, "bytes", {}};
  if (need.work > limits.work) return {Verdict::kNever, "work", {}};
  // Subtracting before comparing cannot overflow: need <= limit here.
  if (held.rows > limits.rows - need.rows) {
    return {Verdict::kRetry, "rows",
            RetryAfter(static_cast<double>(held.rows) -
                           static_cast<double>(limits.rows - need.rows),
                       static_cast<double>(held.rows), held.work, workers)};
  }
  if (held.bytes > limits.bytes - need.bytes) {
    return {Verdict::kRetry, "bytes",
            RetryAfter(static_cast<double>(held.bytes) -
                           static_cast<double>(limits.bytes - need.bytes),
                       static_cast<double>(held.bytes), held.work, workers)};
  }
  if (held.work > limits.work - need.work) {
    const absl::Duration excess = held.work - (limits.work - need.work);
    return {Verdict::kRetry, "work",
            RetryAfter(absl::ToDoubleSeconds(excess),
                       absl::ToDoubleSeconds(held.work), held.work, workers)};
  }
  return {};
}

}  // namespace basin::internal
