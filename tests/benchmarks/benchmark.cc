#include "tests/benchmarks/benchmark.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "core/base/check.h"
#include "core/base/mutex.h"

namespace basin::benchmarks {
namespace {

// Lets one thread wait until `jobs` jobs are done.
struct Waiter {
  Mutex mu;
  CondVar changed;
};

SampleSpec MakeSpec(const std::shared_ptr<const EnergyModel>& model,
                    const SampleRun& run, uint64_t seed, Waiter& waiter) {
  SampleSpec spec;
  spec.model = model;
  spec.transition = run.transition.value_or(model->info().default_transition);
  spec.chains = run.chains;
  spec.steps = run.steps;
  spec.keep_every = run.keep_every;
  spec.seed = seed;
  spec.initial.assign(run.chains * model->info().dimension, 0.0F);
  spec.options.listener = [&waiter] {
    const MutexLock lock(waiter.mu);
    waiter.changed.SignalAll();
  };
  return spec;
}

void Finish(SampleJob& job, const SampleRun& run, Waiter& waiter) {
  const auto take_frames = [&] {
    while (const std::optional<Frame> frame = job.TakeFrame()) {
      if (run.on_frame) run.on_frame(*frame);
    }
  };
  while (!job.Done()) {
    take_frames();
    const MutexLock lock(waiter.mu);
    if (!job.Done()) {
      waiter.changed.WaitFor(waiter.mu, absl::Milliseconds(20));
    }
  }
  take_frames();
  SampleResult result = job.TakeResult();
  BASIN_CHECK(result.status.ok());
  if (run.on_result) run.on_result(std::move(result));
}

}  // namespace

void Report(std::string_view name, double value) {
  std::printf("%s\t%.9g\n", std::string(name).c_str(), value);
  std::fflush(stdout);
}

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

double Median(std::vector<double> values) {
  BASIN_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void RunSample(Scheduler& scheduler,
               const std::shared_ptr<const EnergyModel>& model,
               const SampleRun& run) {
  // Listeners may still be called after a job's end, so it is never freed.
  static Waiter* const waiter = new Waiter();
  std::vector<std::shared_ptr<SampleJob>> jobs;
  for (int i = 0; i < run.copies; ++i) {
    auto job = scheduler.Submit(MakeSpec(model, run, i + 1, *waiter));
    BASIN_CHECK(job.ok());
    jobs.push_back(*std::move(job));
  }
  for (const auto& job : jobs) Finish(*job, run, *waiter);
}

}  // namespace basin::benchmarks
