// Energies and gradients a second of the models of architectures.py, in
// process, with one and with two workers, each with its half of the rows.
// Of the MLP in bfloat16 also how far its energies are off.
// Usage: architecture_benchmark FOLDER, a model repository.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/status.h>

#include "core/backend/backend.h"
#include "core/base/check.h"
#include "core/model/energy_model.h"
#include "tests/benchmarks/benchmark.h"

namespace basin::benchmarks {
namespace {

constexpr int kRepetitions = 7;
constexpr double kSeconds = 0.5;  // of one repetition, about

// One worker's share of the rows. Stays where it is: its function refers to
// its workspace.
class Worker {
 public:
  Worker(const EnergyModel& model, int rows) : rows_(rows) {
    const Backend& backend = model.backend();
    const int tile = TileSizeFor(model.tile_sizes(), rows);
    BASIN_CHECK(tile == rows);
    BASIN_CHECK(backend.Reserve(workspace_, model.workspace_bytes()).ok());
    function_ = model.Bind(tile, workspace_);
    const size_t floats = rows * model.info().dimension;
    x_ = Allocate(backend, floats * sizeof(float));
    grad_energy_ = Allocate(backend, floats * sizeof(float));
    energy_ = Allocate(backend, rows * sizeof(double));
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    auto* x = reinterpret_cast<float*>(x_.get());
    for (size_t i = 0; i < floats; ++i) x[i] = normal(random);
  }

  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  int rows() const { return rows_; }
  // Of the last Evaluate().
  std::vector<double> energies() const {
    const auto* energies = reinterpret_cast<const double*>(energy_.get());
    return {energies, energies + rows_};
  }

  void Evaluate() {
    const absl::Status status = function_->EnergyAndGradient(
        rows_, reinterpret_cast<const float*>(x_.get()),
        reinterpret_cast<double*>(energy_.get()),
        reinterpret_cast<float*>(grad_energy_.get()));
    BASIN_CHECK(status.ok());
  }

 private:
  static DeviceMemory Allocate(const Backend& backend, size_t bytes) {
    auto memory = backend.Allocate(bytes);
    BASIN_CHECK(memory.ok());
    return *std::move(memory);
  }

  const int rows_;
  Workspace workspace_;
  std::unique_ptr<EnergyFunction> function_;
  DeviceMemory x_;
  DeviceMemory energy_;
  DeviceMemory grad_energy_;
};

// Rows a second of `workers` that evaluate at once, `count` times each.
double Rate(const Backend& backend, std::deque<Worker>& workers, int count) {
  std::vector<std::thread> threads;
  int rows = 0;
  for (const Worker& worker : workers) rows += worker.rows();
  const double seconds = Seconds([&] {
    for (Worker& worker : workers) {
      threads.emplace_back([&backend, &worker, count] {
        backend.PrepareWorkerThread();
        for (int i = 0; i < count; ++i) worker.Evaluate();
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  return rows * count / seconds;
}

std::deque<Worker> Workers(const EnergyModel& model, int count) {
  std::deque<Worker> workers;
  const int rows = model.tile_sizes().back() / count;
  for (int i = 0; i < count; ++i) workers.emplace_back(model, rows);
  return workers;
}

// The energies of random states; none where the processor cannot compute them.
std::vector<double> Measure(const Backend& backend, const std::string& folder,
                            const std::string& name) {
  auto model = EnergyModel::Load(backend, folder + "/" + name, name, 1,
                                 EnergyModel::LoadOptions());
  if (absl::IsUnimplemented(model.status())) return {};
  BASIN_CHECK(model.ok());
  const int count =
      std::max(1, static_cast<int>(kSeconds / (*model)->evaluation_seconds()));
  std::deque<Worker> alone = Workers(**model, 1);
  std::deque<Worker> both = Workers(**model, 2);
  std::vector<double> one, two;
  for (int i = 0; i < kRepetitions; ++i) {
    one.push_back(Rate(backend, alone, count));
    two.push_back(Rate(backend, both, count));
  }
  Report(name + "_rows_per_second_1_worker", Median(one));
  Report(name + "_rows_per_second", Median(two));
  return alone[0].energies();
}

// The largest difference, in standard deviations of `want`.
double ErrorOf(const std::vector<double>& got,
               const std::vector<double>& want) {
  double largest = 0, sum = 0, squares = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(got[i] - want[i]));
    sum += want[i];
    squares += want[i] * want[i];
  }
  const auto n = static_cast<double>(want.size());
  return largest / std::sqrt(squares / n - sum * sum / (n * n));
}

void Run(const std::string& folder) {
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  std::map<std::string, std::vector<double>> energies;
  for (const std::string& name : names) {
    energies[name] = Measure(*backend, folder, name);
  }
  if (!energies["mlp_bf16"].empty()) {
    Report("mlp_bf16_error", ErrorOf(energies["mlp_bf16"], energies["mlp"]));
  }
}

}  // namespace
}  // namespace basin::benchmarks

int main(int argc, char** argv) {
  BASIN_CHECK(argc == 2);
  basin::benchmarks::Run(argv[1]);
  return 0;
}
