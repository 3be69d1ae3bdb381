#include "core/scheduler/warmup_adaptation.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <absl/types/span.h>

#include "core/base/check.h"

namespace basin::internal {
namespace {

// Meetings of a warm-up, about, and of each of its windows at least, where it
// is that long: more cost time and teach little, fewer leave the step size of
// the last window, which is kept, untuned.
constexpr int64_t kRounds = 200;
constexpr int64_t kRoundsOfWindow = 50;

double TargetOf(const SampleSpec& spec) {
  if (spec.adaptation.target_acceptance > 0) {
    return spec.adaptation.target_acceptance;
  }
  return *TargetAcceptance(spec.transition.kind, spec.model->info().dimension);
}

double StartOf(const SampleSpec& spec, int64_t replica) {
  const std::vector<double>& earlier = spec.resume.step_sizes;
  return earlier.empty() ? spec.transition.step_size : earlier[replica];
}

std::vector<StepSizeTuner> TunersOf(const SampleSpec& spec) {
  std::vector<StepSizeTuner> tuners;
  if (!spec.adaptation.step_size) return tuners;
  for (int64_t k = 0; k < spec.replicas(); ++k) {
    auto tuner = StepSizeTuner::Create(StartOf(spec, k), TargetOf(spec));
    BASIN_CHECK(tuner.ok());  // both numbers are checked with the request
    tuners.push_back(*std::move(tuner));
  }
  return tuners;
}

// The mean acceptance of replica k since the last meeting; NaN without any.
double MeanAcceptance(const ChainRows& rows, int64_t k) {
  double sum = 0;
  int64_t proposals = 0;
  for (int64_t row = k; row < rows.rows(); row += rows.replicas) {
    sum += rows.acceptance_sum[row];
    proposals += rows.proposals[row];
  }
  return proposals == 0 ? std::numeric_limits<double>::quiet_NaN()
                        : sum / static_cast<double>(proposals);
}

}  // namespace

WarmupAdaptation::WarmupAdaptation(const SampleSpec& spec,
                                   const Transition& transition)
    : transition_(transition),
      options_(spec.adaptation),
      warmup_(spec.warmup),
      windows_(WarmupWindows(spec.warmup)),
      tuners_(TunersOf(spec)),
      variance_(spec.model->info().dimension) {}

const WarmupWindow& WarmupAdaptation::WindowOf(int64_t done) const {
  const auto* const found = std::find_if(
      windows_.data(), windows_.data() + windows_.size() - 1,
      [done](const WarmupWindow& window) { return done < window.end; });
  return *found;
}

int64_t WarmupAdaptation::RoundOf(const WarmupWindow& window) const {
  const int64_t most = (window.end - window.begin) / kRoundsOfWindow;
  return std::max<int64_t>(1, std::min(warmup_ / kRounds, most));
}

int64_t WarmupAdaptation::NextAfter(int64_t done) const {
  if (done >= warmup_) return kNever;
  const bool searching =
      std::any_of(tuners_.begin(), tuners_.end(),
                  [](const StepSizeTuner& t) { return t.searching(); });
  const WarmupWindow& window = WindowOf(done);
  const int64_t round = searching ? 1 : RoundOf(window);
  return std::min((done / round + 1) * round, window.end);
}

void WarmupAdaptation::Hold(int64_t done, ChainRows& rows,
                            MovingSettings& settings) {
  const WarmupWindow& window = WindowOf(done - 1);
  if (!tuners_.empty()) TuneSteps(done, rows, settings);
  std::fill(rows.acceptance_sum.begin(), rows.acceptance_sum.end(), 0);
  std::fill(rows.proposals.begin(), rows.proposals.end(), 0);
  if (!options_.metric ||
      window.kind != WarmupWindow::Kind::kStepSizeAndMetric) {
    return;
  }
  GatherStates(rows);
  if (done == window.end) SetMetric(settings);
}

void WarmupAdaptation::TuneSteps(int64_t done, ChainRows& rows,
                                 MovingSettings& settings) {
  for (size_t k = 0; k < tuners_.size(); ++k) {
    StepSizeTuner& tuner = tuners_[k];
    tuner.Update(MeanAcceptance(rows, static_cast<int64_t>(k)));
    ReplicaSettings& replica = settings.replicas[k];
    TransitionParams params = replica.params;
    params.step_size = done == warmup_ ? tuner.Final() : tuner.step_size();
    const auto coefficients =
        transition_.Configure(params, replica.inverse_temperature);
    if (!coefficients.ok()) continue;  // outside what a float holds
    replica.params = params;
    replica.coefficients = *coefficients;
  }
}

void WarmupAdaptation::GatherStates(const ChainRows& rows) {
  for (int64_t row = 0; row < rows.rows(); row += rows.replicas) {
    if (rows.ended[row] != 0) continue;
    variance_.Add(absl::MakeConstSpan(rows.states)
                      .subspan(row * rows.dimension, rows.dimension));
  }
}

void WarmupAdaptation::SetMetric(MovingSettings& settings) {
  std::vector<float> scale = variance_.Scale();
  if (!settings.scale.empty()) {
    for (size_t i = 0; i < scale.size(); ++i) {
      if (settings.scale[i] == 0) scale[i] = 0;  // stays clamped
    }
  }
  settings.scale = std::move(scale);
  variance_ = PooledVariance(static_cast<int64_t>(settings.scale.size()));
  for (StepSizeTuner& tuner : tuners_) tuner.Restart(tuner.step_size());
}

}  // namespace basin::internal
