// Gibbs sampling with two workers: unit updates per second of an RBM 784 x 500,
// beside bare oneDNN products of its sizes, and spin flips per second of an
// Ising model 256 x 256.

#include <cmath>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/backend/backend.h"
#include "core/base/check.h"
#include "core/model/energy_model.h"
#include "core/scheduler/scheduler.h"
#include "tests/benchmarks/benchmark.h"
#include "tests/benchmarks/onednn_baseline.h"
#include "tests/testing/model_files.h"
#include "tests/testing/temp_dir.h"

namespace basin::benchmarks {
namespace {

constexpr int kRepetitions = 5;
constexpr int kWorkers = 2;
constexpr int64_t kVisible = 784;
constexpr int64_t kHidden = 500;

void Write(const std::string& folder, const std::string& config,
           const std::string& weights) {
  std::filesystem::create_directories(folder + "/1");
  testing::WriteFile(folder + "/config.pbtxt", config);
  if (!weights.empty()) {
    testing::WriteFile(folder + "/1/model.safetensors", weights);
  }
}

// W [V, H], alone.
std::string RbmWeights() {
  std::vector<float> w(kVisible * kHidden);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.05F);
  for (float& value : w) value = normal(random);
  const std::string header =
      "{\"W\":{\"dtype\":\"F32\",\"shape\":[784,500],\"data_offsets\":[0," +
      std::to_string(w.size() * sizeof(float)) + "]}}";
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(w.data()),
               w.size() * sizeof(float));
  return bytes;
}

std::shared_ptr<const EnergyModel> Load(const Backend& backend,
                                        const std::string& folder) {
  auto model = EnergyModel::Load(backend, folder, "model", 1,
                                 EnergyModel::LoadOptions());
  BASIN_CHECK(model.ok());
  return *std::move(model);
}

// Variables drawn per second.
double Rate(Scheduler& scheduler,
            const std::shared_ptr<const EnergyModel>& model, int64_t variables,
            const SampleRun& run) {
  const double seconds = Seconds([&] { RunSample(scheduler, model, run); });
  return static_cast<double>(variables * run.chains * run.steps) / seconds;
}

// The same of bare products, each worker's for `rows` rows.
double BareRate(int rows) {
  constexpr int kSweeps = 200;
  const auto run = [rows] {
    OnednnBaseline products(rows, {{kVisible, kHidden}, {kHidden, kVisible}});
    products.Run();
    return Seconds([&] {
      for (int i = 0; i < kSweeps; ++i) products.Run();
    });
  };
  double seconds[kWorkers] = {};
  std::vector<std::thread> threads;
  for (double& each : seconds) {
    threads.emplace_back([&each, &run] { each = run(); });
  }
  double rate = 0;
  for (int i = 0; i < kWorkers; ++i) {
    threads[i].join();
    rate += (kVisible + kHidden) * rows * kSweeps / seconds[i];
  }
  return rate;
}

void Run() {
  const testing::TempDir folder;
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  Write(folder.path() + "/rbm", "family: RBM", RbmWeights());
  Write(folder.path() + "/ising",
        "family: LATTICE lattice { size: [256, 256] coupling: 0.4407 }", "");
  const auto rbm = Load(*backend, folder.path() + "/rbm");
  const auto ising = Load(*backend, folder.path() + "/ising");
  SchedulerOptions options;
  options.workers = kWorkers;
  const std::unique_ptr<Scheduler> scheduler =
      Scheduler::Create(*backend, options);
  SampleRun of_rbm{100, 500, 1, TransitionParams{}};
  of_rbm.transition->kind = TransitionKind::kGibbs;
  SampleRun of_ising{64, 200, 1, of_rbm.transition};
  std::vector<double> updates, share, flips;
  for (int i = 0; i < kRepetitions; ++i) {
    const double bare = BareRate(TileSizeFor(rbm->tile_sizes(), 50));
    updates.push_back(Rate(*scheduler, rbm, kVisible + kHidden, of_rbm));
    share.push_back(updates.back() / bare);
    flips.push_back(Rate(*scheduler, ising, 256 * 256, of_ising));
  }
  Report("rbm_unit_updates_per_second", Median(updates));
  Report("rbm_share_of_product_bound", Median(share));
  Report("ising_flips_per_ns", Median(flips) * 1e-9);
}

}  // namespace
}  // namespace basin::benchmarks

int main() {
  basin::benchmarks::Run();
  return 0;
}
