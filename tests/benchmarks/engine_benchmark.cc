// What the engine does in process, without gRPC: chain-steps per second of
// the MLP with one and two workers, and its time against bare oneDNN.

#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/base/check.h"
#include "core/model/energy_model.h"
#include "core/scheduler/scheduler.h"
#include "tests/benchmarks/benchmark.h"
#include "tests/benchmarks/mlp_repository.h"
#include "tests/benchmarks/onednn_baseline.h"
#include "tests/testing/temp_dir.h"

namespace basin::benchmarks {
namespace {

constexpr int kRepetitions = 7;
constexpr int kChains = 64;
constexpr int64_t kSteps = 500;

struct Engine {
  std::unique_ptr<Backend> backend = CreateCpuBackend();
  std::shared_ptr<const EnergyModel> model;
  std::unique_ptr<Scheduler> workers[2];  // with one, with two
};

std::unique_ptr<Scheduler> WithWorkers(const Backend& backend, int workers) {
  SchedulerOptions options;
  options.workers = workers;
  return Scheduler::Create(backend, options);
}

void LoadEngine(const std::string& folder, Engine& engine) {
  WriteMlpRepository(folder);
  auto model = EnergyModel::Load(*engine.backend, folder + "/" + kMlpName,
                                 kMlpName, 1, EnergyModel::LoadOptions());
  BASIN_CHECK(model.ok());
  engine.model = *model;
  for (int i = 0; i < 2; ++i) {
    engine.workers[i] = WithWorkers(*engine.backend, i + 1);
  }
}

// Seconds per step of 64 chains: the whole tile with one worker.
double EngineStep(Engine& engine, int workers) {
  const SampleRun run = {.chains = kChains, .steps = kSteps};
  return Seconds([&] {
           RunSample(*engine.workers[workers - 1], engine.model, run);
         }) /
         kSteps;
}

double BaselineStep(OnednnBaseline& baseline) {
  return Seconds([&] {
           for (int i = 0; i < kSteps; ++i) baseline.Run();
         }) /
         kSteps;
}

void Run() {
  const testing::TempDir folder;
  Engine engine;
  LoadEngine(folder.path(), engine);
  OnednnBaseline baseline(kChains);
  EngineStep(engine, 1);
  std::vector<double> one, two, overhead, scaling;
  for (int i = 0; i < kRepetitions; ++i) {
    const double bare = BaselineStep(baseline);
    one.push_back(EngineStep(engine, 1));
    two.push_back(EngineStep(engine, 2));
    overhead.push_back(one.back() / bare);
    scaling.push_back(one.back() / two.back());
  }
  Report("engine_steps_per_second_1_worker", kChains / Median(one));
  Report("engine_steps_per_second_2_workers", kChains / Median(two));
  Report("engine_over_bare_onednn", Median(overhead));
  Report("workers_1_to_2", Median(scaling));
}

}  // namespace
}  // namespace basin::benchmarks

int main() {
  basin::benchmarks::Run();
  return 0;
}
