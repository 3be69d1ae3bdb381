#include "core/scheduler/ensemble.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace basin::internal {
namespace {

// Passes each array that goes with a row's state to `visit`, with its width.
template <typename Visit>
void ForEachCarried(ChainRows& rows, const Visit& visit) {
  visit(rows.states, rows.dimension);
  visit(rows.energies, 1);
  if (!rows.grad_energies.empty()) visit(rows.grad_energies, rows.dimension);
  if (!rows.momenta.empty()) visit(rows.momenta, rows.dimension);
}

}  // namespace

bool Anneals(const SampleSpec& spec, AnnealingOptions::Weights weights) {
  return !spec.annealing.schedule.empty() && spec.annealing.weights == weights;
}

MovingSettings MakeSettings(const SampleSpec& spec,
                            const Transition& transition) {
  MovingSettings settings;
  settings.scale = spec.scale;
  const ResumePoint& resume = spec.resume;
  const std::vector<double>& ladder = spec.tempering.ladder;
  for (int64_t k = 0; k < spec.replicas(); ++k) {
    ReplicaSettings replica;
    replica.inverse_temperature =
        resume.inverse_temperatures.empty()
            ? spec.inverse_temperature * (ladder.empty() ? 1 : ladder[k])
            : resume.inverse_temperatures[k];
    replica.params = spec.transition;
    if (!resume.step_sizes.empty()) {
      replica.params.step_size = resume.step_sizes[k];
    }
    replica.coefficients =
        transition.Configure(replica.params, replica.inverse_temperature)
            .value();
    settings.replicas.push_back(std::move(replica));
  }
  return settings;
}

ChainRows MakeRows(SampleSpec& spec, const Transition& transition) {
  ChainRows rows;
  rows.chains = spec.chains;
  rows.replicas = spec.replicas();
  rows.dimension = spec.model->info().dimension;
  rows.states = std::move(spec.initial);
  const int64_t count = rows.rows();
  rows.energies.assign(count, std::numeric_limits<double>::quiet_NaN());
  if (transition.carried() == Carried::kEnergyAndGradient) {
    rows.grad_energies.resize(rows.states.size());
  }
  if (transition.carries_momentum()) {
    rows.momenta = std::move(spec.resume.momenta);
    rows.momenta.resize(rows.states.size());
  }
  rows.log_weights = std::move(spec.resume.log_weights);
  if (rows.log_weights.empty() && !spec.annealing.schedule.empty() &&
      !Anneals(spec, AnnealingOptions::Weights::kNone)) {
    rows.log_weights.assign(count, 0);
  }
  rows.ended.assign(count, 0);
  if (spec.adaptation.step_size) {
    rows.acceptance_sum.assign(count, 0);
    rows.proposals.assign(count, 0);
  }
  rows.kept_accepts.assign(count, 0);
  rows.kept_proposals.assign(count, 0);
  return rows;
}

void SwapRows(int64_t a, int64_t b, ChainRows& rows) {
  ForEachCarried(rows, [a, b](auto& values, int64_t width) {
    const auto first = values.begin() + a * width;
    std::swap_ranges(first, first + width, values.begin() + b * width);
  });
}

void CopyRow(int64_t from, int64_t to, ChainRows& rows) {
  ForEachCarried(rows, [from, to](auto& values, int64_t width) {
    std::copy_n(values.begin() + from * width, width,
                values.begin() + to * width);
  });
}

}  // namespace basin::internal
