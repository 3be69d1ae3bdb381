#include "core/sampler/adaptation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/check.h"

namespace basin {
namespace {

// Hoffman and Gelman 2014, but for gamma: see StepSizeTuner.
constexpr double kGamma = 0.2;
constexpr double kOffset = 10;  // t0
constexpr double kKappa = 0.75;

// What Scale() draws towards the geometric mean with, in draws.
constexpr double kPriorDraws = 5;

double ClampStepSize(double step_size) {
  return std::clamp(step_size, StepSizeTuner::kMinStepSize,
                    StepSizeTuner::kMaxStepSize);
}

bool Within(double value, double low, double high) {
  return value >= low && value <= high;  // false for NaN
}

}  // namespace

std::optional<double> TargetAcceptance(TransitionKind kind, int64_t dimension) {
  switch (kind) {
    case TransitionKind::kRandomWalk:
      return dimension == 1 ? 0.44 : 0.234;
    case TransitionKind::kMala:
    case TransitionKind::kDiscreteLangevin:
      return 0.574;
    case TransitionKind::kHmc:
      return 0.651;
    case TransitionKind::kUnderdampedMetropolis:
      return 0.9;
    default:
      return std::nullopt;
  }
}

absl::StatusOr<StepSizeTuner> StepSizeTuner::Create(double initial_step_size,
                                                    double target_acceptance) {
  State state;
  state.target = target_acceptance;
  state.step_size = initial_step_size;
  return FromState(state);
}

absl::StatusOr<StepSizeTuner> StepSizeTuner::FromState(const State& state) {
  if (!Within(state.step_size, kMinStepSize, kMaxStepSize)) {
    return absl::InvalidArgumentError(
        absl::StrCat("step_size: expected a number from ", kMinStepSize, " to ",
                     kMaxStepSize, ", got ", state.step_size));
  }
  if (!(state.target > 0 && state.target < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("target_acceptance: expected a number between 0 and 1, "
                     "got ",
                     state.target));
  }
  const double log_limit = std::log(2 * kMaxStepSize);
  if (!Within(state.center, -log_limit, log_limit) ||
      !Within(state.log_averaged, -log_limit, log_limit) ||
      !Within(state.mean_error, -1, 1) || state.averaged < 0 ||
      !Within(static_cast<double>(state.search_rounds), 0, kMaxSearchRounds) ||
      !Within(static_cast<double>(state.direction), -1, 1) ||
      !Within(static_cast<double>(state.searching), 0, 1)) {
    return absl::InvalidArgumentError(
        "step size tuner: expected a state that a tuner was in");
  }
  return StepSizeTuner(state);
}

void StepSizeTuner::Update(double mean_acceptance_probability) {
  const double acceptance =
      std::isnan(mean_acceptance_probability)
          ? 0
          : std::clamp(mean_acceptance_probability, 0.0, 1.0);
  if (searching()) {
    Search(acceptance);
  } else {
    Average(acceptance);
  }
}

void StepSizeTuner::Search(double acceptance) {
  const int64_t direction = acceptance > state_.target ? 1 : -1;
  const double next =
      ClampStepSize(state_.step_size * (direction > 0 ? 2 : 0.5));
  const bool crossed = state_.direction != 0 && direction != state_.direction;
  if (crossed || next == state_.step_size ||
      state_.search_rounds >= kMaxSearchRounds) {
    state_.searching = 0;
    state_.center = std::log(state_.step_size);
    return;
  }
  state_.direction = direction;
  state_.step_size = next;
  ++state_.search_rounds;
}

void StepSizeTuner::Average(double acceptance) {
  ++state_.averaged;
  const auto t = static_cast<double>(state_.averaged);
  const double share = 1 / (t + kOffset);
  state_.mean_error =
      (1 - share) * state_.mean_error + share * (state_.target - acceptance);
  state_.step_size = ClampStepSize(
      std::exp(state_.center - std::sqrt(t) / kGamma * state_.mean_error));
  const double weight = std::pow(t, -kKappa);
  state_.log_averaged =
      weight * std::log(state_.step_size) + (1 - weight) * state_.log_averaged;
}

double StepSizeTuner::Final() const {
  if (state_.averaged == 0) return state_.step_size;
  return ClampStepSize(std::exp(state_.log_averaged));
}

void StepSizeTuner::Restart(double step_size) {
  const double target = state_.target;
  state_ = State{};
  state_.target = target;
  state_.step_size = std::isnan(step_size) ? 1 : ClampStepSize(step_size);
}

std::vector<WarmupWindow> WarmupWindows(int64_t warmup_steps) {
  BASIN_CHECK(warmup_steps >= 0);
  constexpr int64_t kMinSteps = 20;
  int64_t first = 75;
  int64_t window = 25;
  int64_t last = 50;
  if (warmup_steps < kMinSteps) {
    first = warmup_steps;
    last = 0;
  } else if (warmup_steps < first + window + last) {
    first = warmup_steps * 3 / 20;
    last = warmup_steps / 10;
    window = warmup_steps - first - last;
  }
  std::vector<WarmupWindow> windows;
  const auto add = [&](WarmupWindow::Kind kind, int64_t from, int64_t to) {
    if (from < to) windows.push_back({kind, from, to});
  };
  const int64_t slow_end = warmup_steps - last;
  add(WarmupWindow::Kind::kStepSize, 0, first);
  for (int64_t begin = first; begin < slow_end; window *= 2) {
    // Where the next window, twice as long, would not fit, this one takes all.
    const int64_t rest = slow_end - begin;
    const int64_t end = rest / 3 < window ? slow_end : begin + window;
    add(WarmupWindow::Kind::kStepSizeAndMetric, begin, end);
    begin = end;
  }
  add(WarmupWindow::Kind::kStepSize, slow_end, warmup_steps);
  return windows;
}

PooledVariance::PooledVariance(int64_t dimension) {
  BASIN_CHECK(dimension >= 0);
  state_.mean.assign(dimension, 0);
  state_.squares.assign(dimension, 0);
}

absl::StatusOr<PooledVariance> PooledVariance::FromState(State state,
                                                         int64_t dimension) {
  const auto size = static_cast<size_t>(dimension);
  if (state.mean.size() != size || state.squares.size() != size) {
    return absl::InvalidArgumentError(absl::StrCat(
        "variances: expected ", dimension, " coordinates, got ",
        state.mean.size(), " means and ", state.squares.size(), " squares"));
  }
  const bool valid =
      state.count >= 0 &&
      std::all_of(state.mean.begin(), state.mean.end(),
                  [](double v) { return std::isfinite(v); }) &&
      std::all_of(state.squares.begin(), state.squares.end(),
                  [](double v) { return std::isfinite(v) && v >= 0; });
  if (!valid) {
    return absl::InvalidArgumentError(
        "variances: expected finite numbers, and squares and a count that are "
        "not negative");
  }
  PooledVariance pooled(dimension);
  pooled.state_ = std::move(state);
  return pooled;
}

void PooledVariance::Add(absl::Span<const float> rows) {
  const size_t dimension = state_.mean.size();
  if (dimension == 0) return;
  BASIN_CHECK(rows.size() % dimension == 0);
  for (; !rows.empty(); rows.remove_prefix(dimension)) {
    const absl::Span<const float> row = rows.first(dimension);
    if (!std::all_of(row.begin(), row.end(),
                     [](float v) { return std::isfinite(v); })) {
      continue;
    }
    ++state_.count;
    const double share = 1 / static_cast<double>(state_.count);
    for (size_t d = 0; d < dimension; ++d) {
      const double value = row[d];
      const double distance = value - state_.mean[d];
      state_.mean[d] += distance * share;
      state_.squares[d] += distance * (value - state_.mean[d]);
    }
  }
}

void PooledVariance::Merge(const PooledVariance& other) {
  BASIN_CHECK(other.state_.mean.size() == state_.mean.size());
  const auto mine = static_cast<double>(state_.count);
  const auto theirs = static_cast<double>(other.state_.count);
  if (theirs == 0) return;
  const double share = theirs / (mine + theirs);
  for (size_t d = 0; d < state_.mean.size(); ++d) {
    const double distance = other.state_.mean[d] - state_.mean[d];
    state_.mean[d] += distance * share;
    state_.squares[d] +=
        other.state_.squares[d] + distance * distance * mine * share;
  }
  state_.count += other.state_.count;
}

std::vector<float> PooledVariance::Scale() const {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<float> scale(state_.mean.size(), 1.0F);
  const auto n = static_cast<double>(state_.count);
  const double divisor = std::max(n - 1, 1.0);
  double sum = 0;
  double least = kInfinity;
  int64_t moved = 0;
  for (const double squares : state_.squares) {
    if (!(squares > 0)) continue;
    const double log_variance = std::log(squares / divisor);
    sum += log_variance;
    least = std::min(least, log_variance);
    ++moved;
  }
  if (moved == 0) return scale;
  const double center = sum / static_cast<double>(moved);
  for (size_t d = 0; d < scale.size(); ++d) {
    const double log_variance =
        state_.squares[d] > 0 ? std::log(state_.squares[d] / divisor) : least;
    const double drawn =
        (n * log_variance + kPriorDraws * center) / (n + kPriorDraws);
    scale[d] = static_cast<float>(ClampStepSize(std::exp(0.5 * drawn)));
  }
  return scale;
}

}  // namespace basin
