#include "core/scheduler/annealing_path.h"

#include <algorithm>

namespace basin::internal {

AnnealingPath::AnnealingPath(const SampleSpec& spec)
    : t_(spec.annealing.schedule),
      warmup_(spec.warmup),
      inverse_temperature_(spec.inverse_temperature) {
  if (t_.empty()) {
    t_ = {1};
    return;
  }
  const AnnealingOptions& annealing = spec.annealing;
  has_weights_ = annealing.weights != AnnealingOptions::Weights::kNone;
  has_base_ = annealing.base != AnnealingOptions::Base::kUniform;
  reverse_ = annealing.direction == AnnealingOptions::Direction::kReverse;
  if (reverse_) std::reverse(t_.begin(), t_.end());
}

int64_t AnnealingPath::StartOf(int64_t level) const {
  // Without overflow: warm-ups are below 2^40, schedules are short.
  return warmup_ / levels() * level + warmup_ % levels() * level / levels();
}

int64_t AnnealingPath::LevelAt(int64_t done) const {
  int64_t low = 0;
  int64_t high = levels();
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (StartOf(middle) <= done ? low : high) = middle;
  }
  return low;
}

bool AnnealingPath::GainsWeight(int64_t done) const {
  if (!has_weights_) return false;
  if (!reverse_) return Starts(done);
  return done == warmup_ || (done > 0 && Starts(done));
}

double AnnealingPath::LogWeightGain(int64_t done, double energy) const {
  const int64_t level = LevelAt(done);
  const bool at_end = reverse_ && done == warmup_;
  const double after = at_end ? 0 : t_[level];
  const double before = at_end ? t_[level] : level == 0 ? 0 : t_[level - 1];
  const double step = reverse_ ? before - after : after - before;
  return -step * inverse_temperature_ * energy;
}

}  // namespace basin::internal
