#ifndef BASIN_TESTS_BENCHMARKS_BENCHMARK_H_
#define BASIN_TESTS_BENCHMARKS_BENCHMARK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/model/energy_model.h"
#include "core/scheduler/job.h"
#include "core/scheduler/scheduler.h"

namespace basin::benchmarks {

// Prints "name<TAB>value", what tests/benchmarks/table.py reads.
void Report(std::string_view name, double value);

// Seconds that `work` takes.
double Seconds(const std::function<void()>& work);

double Median(std::vector<double> values);

// Runs a request of `chains` chains from zero to its end. The jobs of
// `copies` such requests run at once. Ends the process on an error.
struct SampleRun {
  int64_t chains = 64;
  int64_t steps = 1000;
  int copies = 1;
  // Nothing = the model's default.
  std::optional<TransitionParams> transition = std::nullopt;
  int64_t keep_every = 0;
  // Called with the kept states and the end of a run; may be empty.
  std::function<void(const Frame&)> on_frame = {};
  std::function<void(SampleResult)> on_result = {};
};
void RunSample(Scheduler& scheduler,
               const std::shared_ptr<const EnergyModel>& model,
               const SampleRun& run);

}  // namespace basin::benchmarks

#endif  // BASIN_TESTS_BENCHMARKS_BENCHMARK_H_
