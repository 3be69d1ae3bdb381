#ifndef BASIN_TESTS_BENCHMARKS_BENCHMARK_H_
#define BASIN_TESTS_BENCHMARKS_BENCHMARK_H_

#include <cstdint>
#include <functional>
#include <memory>
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

// Runs a ULA request of `chains` chains from zero to its end. The jobs of
// `copies` such requests run at once. Ends the process on an error.
struct SampleRun {
  int64_t chains = 64;
  int64_t steps = 1000;
  int copies = 1;
};
void RunSample(Scheduler& scheduler,
               const std::shared_ptr<const EnergyModel>& model,
               const SampleRun& run);

}  // namespace basin::benchmarks

#endif  // BASIN_TESTS_BENCHMARKS_BENCHMARK_H_
