#ifndef BASIN_TESTS_CORE_SCHEDULER_ENSEMBLE_FIXTURE_H_
#define BASIN_TESTS_CORE_SCHEDULER_ENSEMBLE_FIXTURE_H_

// What the tests of chains that act together share: the fake model's exact
// moments, and requests for it.

#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"

namespace basin::testing {

// The integral of f exp(-beta E) over [-bound, bound] in one of the fake
// model's dimensions, by Simpson's rule.
inline double Integral(double bound, double beta,
                       const std::function<double(double)>& f) {
  constexpr int kPieces = 4000;
  double sum = 0;
  for (int i = 0; i <= kPieces; ++i) {
    const double x = bound * (2.0 * i / kPieces - 1);
    const double weight = i == 0 || i == kPieces ? 1 : i % 2 == 1 ? 4 : 2;
    sum += weight * f(x) * std::exp(-beta * (x * x / 2 + x * x * x * x / 10));
  }
  return sum * 2 * bound / kPieces / 3;
}

inline double One(double) { return 1; }
inline double Square(double x) { return x * x; }

class EnsembleTest : public ::testing::Test {
 protected:
  std::unique_ptr<Scheduler> MakeScheduler(int workers) {
    SchedulerOptions options;
    options.workers = workers;
    return Scheduler::Create(*backend_, options);
  }

  Sampled Run(const SampleSpec& spec, int workers = 2) {
    SchedulerOptions options;
    options.workers = workers;
    const auto scheduler = Scheduler::Create(spec.model->backend(), options);
    return Collect(Start(*scheduler, spec));
  }

  SampleSpec Spec(TransitionKind kind, int64_t chains, int64_t steps) {
    return MakeSample(model_, kind, chains, steps);
  }

  // With tempering: the start of a chain is that of its replicas.
  static void SetLadder(std::vector<double> ladder, SampleSpec* spec) {
    const std::vector<float> chains = spec->initial;
    const auto replicas = ladder.size();
    spec->tempering.ladder = std::move(ladder);
    spec->initial.clear();
    for (size_t at = 0; at < chains.size(); at += 3) {
      for (size_t k = 0; k < replicas; ++k) {
        spec->initial.insert(spec->initial.end(), chains.begin() + at,
                             chains.begin() + at + 3);
      }
    }
  }

  // Uniform in [-2, 2]^3, where the annealing paths begin.
  SampleSpec AnnealedSpec(AnnealingOptions::Weights weights, int64_t chains) {
    SampleSpec spec = Spec(TransitionKind::kRandomWalk, chains, 1);
    spec.transition.step_size = 0.8;
    spec.box = {-2, 2};
    for (size_t i = 0; i < spec.initial.size(); ++i) {
      const double golden = 0.618033988749895 * static_cast<double>(i + 1);
      spec.initial[i] =
          static_cast<float>(4 * (golden - std::floor(golden)) - 2);
    }
    spec.warmup = 40;
    for (int k = 1; k <= 20; ++k) spec.annealing.schedule.push_back(k / 20.0);
    spec.annealing.weights = weights;
    spec.annealing.log_volume = 3 * std::log(4.0);
    return spec;
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  const std::shared_ptr<const EnergyModel> model_ =
      MakeFakeModel(*backend_, {});
};

// The mean over chains of a function of the last states, and its error.
struct Estimate {
  double mean = 0;
  double error = 0;
};
inline Estimate MeanOf(const std::vector<float>& states, size_t stride,
                       const std::function<double(double)>& f) {
  std::vector<double> values;
  for (size_t at = 0; at < states.size(); at += stride) {
    values.push_back((f(states[at]) + f(states[at + 1]) + f(states[at + 2])) /
                     3);
  }
  const auto n = static_cast<double>(values.size());
  Estimate estimate;
  estimate.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) {
    squares += (value - estimate.mean) * (value - estimate.mean);
  }
  estimate.error = std::sqrt(squares / (n - 1) / n);
  return estimate;
}

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_SCHEDULER_ENSEMBLE_FIXTURE_H_
