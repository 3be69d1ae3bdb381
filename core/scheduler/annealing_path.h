#ifndef BASIN_CORE_SCHEDULER_ANNEALING_PATH_H_
#define BASIN_CORE_SCHEDULER_ANNEALING_PATH_H_

#include <cstdint>
#include <vector>

#include "core/scheduler/job.h"

namespace basin::internal {

// Which level of an annealing schedule chains are at: the warm-up is cut into
// as many parts, of equal length up to one transition. Levels are numbered in
// order of time. Immutable; thread-safe.
class AnnealingPath {
 public:
  // Of `spec`; without a schedule there is one level, t = 1, and no weights.
  // REQUIRES: spec.warmup >= the number of levels, if there is a schedule.
  explicit AnnealingPath(const SampleSpec& spec);

  int64_t levels() const { return static_cast<int64_t>(t_.size()); }
  double t(int64_t level) const { return t_[level]; }
  // The level of the transition after `done` ones.
  int64_t LevelAt(int64_t done) const;
  // Transitions before a level's first.
  int64_t StartOf(int64_t level) const;
  bool Starts(int64_t done) const { return done == StartOf(LevelAt(done)); }
  // True if the path begins at an energy of its own, not at a uniform law:
  // what is carried of it must be evaluated anew where a level starts.
  bool has_base() const { return has_base_; }

  bool has_weights() const { return has_weights_; }
  // Whether chains gain weight between transitions `done` and done + 1.
  bool GainsWeight(int64_t done) const;
  // What a chain's log-weight gains there, at an energy that is `energy`
  // above the base's: -(t_after - t_before) b energy, with t = 0 at the far
  // end. Backwards it is what the way forwards would have gained.
  // REQUIRES: GainsWeight(done), or Starts(done) of a later level.
  double LogWeightGain(int64_t done, double energy) const;

 private:
  std::vector<double> t_;
  int64_t warmup_ = 0;
  double inverse_temperature_ = 1;
  bool has_weights_ = false;
  bool has_base_ = false;
  bool reverse_ = false;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_ANNEALING_PATH_H_
