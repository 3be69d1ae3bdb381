#include "core/scheduler/convergence_check.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/sampler/diagnostics.h"

namespace basin::internal {
namespace {

constexpr int64_t kFirstDraws = 20;

// The least number of draws above `draws` that is looked at.
int64_t NextLook(int64_t draws) {
  int64_t look = kFirstDraws;
  while (look <= draws) look += look / 4;
  return look;
}

}  // namespace

ConvergenceCheck::ConvergenceCheck(const SampleSpec& spec,
                                   const TraceRecorder& traces)
    : options_(spec.stop_when),
      warmup_(spec.warmup),
      keep_every_(spec.keep_every),
      traces_(traces) {}

int64_t ConvergenceCheck::NextAfter(int64_t done) const {
  const int64_t draws = std::max<int64_t>(0, done - warmup_) / keep_every_;
  return warmup_ + NextLook(draws) * keep_every_;
}

void ConvergenceCheck::Hold(int64_t done, ChainRows& rows,
                            MovingSettings& settings) {
  std::vector<int64_t> ended;
  for (int64_t chain = 0; chain < rows.chains; ++chain) {
    if (rows.ended[chain * rows.replicas] != 0) ended.push_back(chain);
  }
  const Diagnostics found =
      Diagnose(traces_.Copy((done - warmup_) / keep_every_, ended));
  const double bulk = found.min_bulk_ess;
  const double tail = found.min_tail_ess;
  settings.max_rhat = found.max_rhat;
  settings.min_ess = std::isnan(bulk) || bulk < tail ? bulk : tail;
  // Written so that an unknown value does not end anything.
  const bool mixed =
      options_.rhat_below == 0 || settings.max_rhat < options_.rhat_below;
  const bool enough =
      options_.ess_above == 0 || settings.min_ess > options_.ess_above;
  settings.stop = mixed && enough;
}

}  // namespace basin::internal
