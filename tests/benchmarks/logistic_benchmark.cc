// One run of 64 chains from zero with two workers on the model that
// logistic_model.py writes, for logistic_jax.py:
//
//   logistic_benchmark MODEL hmc|mala STEP_SIZE LEAPS STEPS FILE
//
// Prints the seconds it took and the acceptance, and writes all states,
// [steps, chains, D] float32, to FILE.

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/base/check.h"
#include "core/model/energy_model.h"
#include "core/scheduler/scheduler.h"
#include "tests/benchmarks/benchmark.h"

namespace basin::benchmarks {
namespace {

void Run(char** arguments) {
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  auto model = EnergyModel::Load(*backend, arguments[1], "logistic", 1,
                                 EnergyModel::LoadOptions());
  BASIN_CHECK(model.ok());
  SchedulerOptions options;
  options.workers = 2;
  const auto scheduler = Scheduler::Create(*backend, options);

  auto transition = FindTransition(arguments[2]);
  BASIN_CHECK(transition.ok());
  TransitionParams params;
  params.kind = (*transition)->kind();
  params.step_size = std::atof(arguments[3]);
  if (params.kind == TransitionKind::kHmc) {
    params.leaps = std::atol(arguments[4]);
  }
  SampleRun run{64, 20, 1, params};
  RunSample(*scheduler, *model, run);  // so that all memory is there
  run.steps = std::atol(arguments[5]);
  run.keep_every = 1;
  std::vector<float> states;
  states.reserve(run.steps * run.chains * (*model)->info().dimension);
  run.on_frame = [&states](const Frame& frame) {
    states.insert(states.end(), frame.states.begin(), frame.states.end());
  };
  SampleResult result;
  run.on_result = [&result](SampleResult of_run) {
    result = std::move(of_run);
  };
  Report("seconds", Seconds([&] { RunSample(*scheduler, *model, run); }));
  Report("acceptance", result.acceptance);
  std::ofstream(arguments[6], std::ios::binary)
      .write(reinterpret_cast<const char*>(states.data()),
             static_cast<std::streamsize>(states.size() * sizeof(float)));
}

}  // namespace
}  // namespace basin::benchmarks

int main(int count, char** arguments) {
  if (count != 7) {
    std::fprintf(stderr,
                 "usage: logistic_benchmark MODEL hmc|mala STEP_SIZE LEAPS "
                 "STEPS FILE\n");
    return 2;
  }
  basin::benchmarks::Run(arguments);
  return 0;
}
