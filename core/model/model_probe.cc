#include "core/model/model_probe.h"

#include <algorithm>

#include <absl/time/time.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

constexpr int kTimedRuns = 5;
// Slow models are not worth an exact figure.
constexpr absl::Duration kTimeForTiming = absl::Milliseconds(50);

}  // namespace

absl::StatusOr<std::unique_ptr<ModelProbe>> ModelProbe::Create(
    const Backend& backend, const TilePlans& plans, int64_t dimension) {
  std::unique_ptr<ModelProbe> probe(new ModelProbe(backend, plans, dimension));
  BASIN_RETURN_IF_ERROR(probe->Allocate());
  return probe;
}

absl::Status ModelProbe::Allocate() {
  const auto rows = static_cast<size_t>(plans_.rows);
  const size_t state_bytes = static_cast<size_t>(dimension_) * sizeof(float);
  BASIN_RETURN_IF_ERROR(backend_.Reserve(workspace_, plans_.workspace_bytes()));
  BASIN_ASSIGN_OR_RETURN(x_, backend_.Allocate(rows * state_bytes));
  BASIN_ASSIGN_OR_RETURN(energy_, backend_.Allocate(rows * sizeof(float)));
  BASIN_ASSIGN_OR_RETURN(gradient_, backend_.Allocate(rows * state_bytes));
  function_ = BindPlans(plans_, workspace_);
  return absl::OkStatus();
}

absl::Status ModelProbe::EvaluateTile(absl::Span<const float> states,
                                      Evaluation* result) {
  const auto d = static_cast<size_t>(dimension_);
  const size_t n = states.size() / d;
  std::vector<float> host(static_cast<size_t>(rows()) * d);
  std::copy(states.begin(), states.end(), host.begin());
  backend_.CopyToDevice(x(), host.data(), host.size() * sizeof(float));

  std::vector<float> energies(n);
  const auto count = static_cast<int>(n);
  BASIN_RETURN_IF_ERROR(function_->Energy(count, x(), energy()));
  backend_.CopyToHost(energies.data(), energy(), n * sizeof(float));
  result->energies.insert(result->energies.end(), energies.begin(),
                          energies.end());

  BASIN_RETURN_IF_ERROR(
      function_->EnergyAndGradient(count, x(), energy(), gradient()));
  backend_.CopyToHost(energies.data(), energy(), n * sizeof(float));
  result->gradient_energies.insert(result->gradient_energies.end(),
                                   energies.begin(), energies.end());
  backend_.CopyToHost(host.data(), gradient(), n * d * sizeof(float));
  result->gradients.insert(result->gradients.end(), host.begin(),
                           host.begin() + static_cast<int64_t>(n * d));
  return absl::OkStatus();
}

absl::StatusOr<Evaluation> ModelProbe::Evaluate(
    absl::Span<const float> states) {
  const size_t tile =
      static_cast<size_t>(rows()) * static_cast<size_t>(dimension_);
  BASIN_CHECK(states.size() % static_cast<size_t>(dimension_) == 0);
  Evaluation result;
  for (size_t at = 0; at < states.size(); at += tile) {
    BASIN_RETURN_IF_ERROR(EvaluateTile(states.subspan(at, tile), &result));
  }
  return result;
}

absl::StatusOr<double> ModelProbe::MeasureSeconds() {
  const Clock& clock = Clock::Real();
  const absl::Time begin = clock.Now();
  absl::Duration least = absl::InfiniteDuration();
  for (int run = 0; run < kTimedRuns && clock.Now() - begin < kTimeForTiming;
       ++run) {
    const absl::Time start = clock.Now();
    BASIN_RETURN_IF_ERROR(
        function_->EnergyAndGradient(rows(), x(), energy(), gradient()));
    least = std::min(least, clock.Now() - start);
  }
  return absl::ToDoubleSeconds(least);
}

}  // namespace basin::internal
