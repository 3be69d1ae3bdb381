#ifndef BASIN_CORE_SAMPLER_ADAPTATION_H_
#define BASIN_CORE_SAMPLER_ADAPTATION_H_

// Tuning of transitions during warm-up, from what all chains of a request did
// together: step size, diagonal metric and the schedule of both. Everything is
// a function of the values given, in the order given: no clock, no threads,
// sums in fixed order. Not thread-safe. Each class's state is a plain value,
// so that a resumed request goes on with the same bytes.
//
// Sources: Hoffman and Gelman 2014 (arXiv 1111.4246), section 3.2; the Stan
// reference manual, "HMC algorithm parameters".

#include <cstdint>
#include <optional>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/model/model_info.h"

namespace basin {

// The mean acceptance probability to tune the step size to. In the limit of
// many dimensions these mix fastest: .651 for HMC (Beskos et al. 2013), .574
// for MALA (Roberts and Rosenthal 1998) and the discrete Langevin proposal
// (Sun, Dai and Schuurmans 2022, arXiv 2209.08183), .234 for the random walk
// and .44 for it in one dimension (Roberts, Gelman and Gilks 1997). .9 for
// corrected underdamped Langevin, by our judgement: a rejection reverses the
// momentum, so at .651 it would walk to and fro. Empty for transitions whose
// step size is not tuned.
std::optional<double> TargetAcceptance(TransitionKind kind, int64_t dimension);

// Finds the step size with the wanted mean acceptance probability, which must
// fall as steps grow. First it doubles or halves the step size until the
// acceptance crosses the target, then it averages (dual averaging, gamma .2,
// t0 10, kappa .75).
//
// It averages around mu = log of the step size that the search found, not of
// ten times that, as published for one chain. The mean of many chains is
// precise, and the search ends within a factor of 2: pulling away from there
// leaves the result of a few updates where nothing is accepted.
//
// An update moves log step size by sqrt(t) / (gamma (t + t0)) times the error.
// Where acceptance falls by s for each unit of log step size, steps swing to
// and fro if s times that is above 2: with the published gamma of .05, up to
// 3.2 s, at s of .6 (HMC in many dimensions) or more. A target with edges has
// s near 2: there steps never settled in the 50 updates of a window, and ended
// small, since what accepts nothing pulls harder than what accepts all. With
// .2 it is at most .8 s.
//
//   for (...) { run steps of size tuner.step_size(); tuner.Update(mean); }
//   ... tuner.Final()
class StepSizeTuner {
 public:
  // Step sizes stay within these.
  static constexpr double kMinStepSize = 1e-12;
  static constexpr double kMaxStepSize = 1e12;
  // After so many doublings or halvings the search ends wherever it is.
  static constexpr int64_t kMaxSearchRounds = 50;

  struct State {
    double target = 0;          // acceptance, in (0, 1)
    double step_size = 0;       // for the steps to come
    double center = 0;          // log of what averaging pulls towards
    double mean_error = 0;      // of target - acceptance; H-bar in the paper
    double log_averaged = 0;    // weighted mean of log step_size
    int64_t search_rounds = 0;  // moves of the search so far
    int64_t direction = 0;      // +1 doubling, -1 halving, 0 not known yet
    int64_t averaged = 0;       // updates of dual averaging
    int64_t searching = 1;      // 0 once the target was crossed
  };

  // InvalidArgument unless the step size lies within the limits above and the
  // target within (0, 1).
  static absl::StatusOr<StepSizeTuner> Create(double initial_step_size,
                                              double target_acceptance);

  // Goes on from state(). InvalidArgument if no tuner has that state.
  static absl::StatusOr<StepSizeTuner> FromState(const State& state);

  double step_size() const { return state_.step_size; }
  bool searching() const { return state_.searching != 0; }
  const State& state() const { return state_; }

  // `mean_acceptance_probability` of steps of step_size(). NaN counts as 0,
  // and values outside [0, 1] as the nearer end.
  void Update(double mean_acceptance_probability);

  // The averaged step size: what to use after warm-up. It is step_size() while
  // nothing was averaged.
  double Final() const;

  // Forgets all but the target, and begins anew from `step_size`: after a
  // change of metric.
  void Restart(double step_size);

 private:
  explicit StepSizeTuner(const State& state) : state_(state) {}

  void Search(double acceptance);
  void Average(double acceptance);

  State state_;
};

// One part of a warm-up: steps begin to end - 1.
struct WarmupWindow {
  enum class Kind {
    kStepSize,           // tune the step size only
    kStepSizeAndMetric,  // also gather variances, and at its end set the
                         // metric from them and restart the tuner
  };
  Kind kind = Kind::kStepSize;
  int64_t begin = 0;
  int64_t end = 0;
};

// Stan's schedule: 75 steps of kStepSize, windows of kStepSizeAndMetric of 25,
// 50, 100, ... steps, the last one stretched so that none is shorter than the
// one before, and 50 steps of kStepSize. A warm-up shorter than 150 steps is
// divided 15 %, one window of 75 %, 10 %; one shorter than 20 is all kStepSize.
// The windows are contiguous and cover [0, warmup_steps). REQUIRES:
// warmup_steps >= 0.
std::vector<WarmupWindow> WarmupWindows(int64_t warmup_steps);

// Running mean and variance of each coordinate over the states of all chains.
// Between-chain differences count: chains that have not met yet give a metric
// as wide as they lie apart.
class PooledVariance {
 public:
  struct State {
    int64_t count = 0;            // rows added
    std::vector<double> mean;     // [D]
    std::vector<double> squares;  // [D], summed squared distances from mean
  };

  // REQUIRES: dimension >= 0.
  explicit PooledVariance(int64_t dimension);

  // Goes on from state(). InvalidArgument unless both vectors have
  // `dimension` finite elements, squares and count not negative.
  static absl::StatusOr<PooledVariance> FromState(State state,
                                                  int64_t dimension);

  const State& state() const { return state_; }

  // Adds rows [n, D] in order. Rows with a value that is not finite are left
  // out. REQUIRES: rows.size() is a multiple of D.
  void Add(absl::Span<const float> rows);

  // Adds what `other` saw (Chan, Golub and LeVeque 1983).
  // REQUIRES: the same dimension.
  void Merge(const PooledVariance& other);

  // The length to measure each coordinate in: the square root of its variance
  // s^2, drawn towards g, the geometric mean of the positive variances, as by
  // 5 draws: log v = (n log s^2 + 5 log g) / (n + 5). [D], positive and
  // finite.
  //
  // Stan's n/(n+5) s^2 + 5/(n+5) 1e-3 draws towards a length in the user's
  // units: after 1000 draws it still makes a coordinate of scale 1e-4 twenty
  // times too wide. This rule does not depend on units, and errs
  // by the same factor for all scales.
  //
  // A coordinate that never moved gets the smallest of the others' lengths;
  // if none moved, or fewer than 2 rows came, all lengths are 1.
  std::vector<float> Scale() const;

 private:
  State state_;
};

}  // namespace basin

#endif  // BASIN_CORE_SAMPLER_ADAPTATION_H_
