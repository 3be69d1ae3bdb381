// What transitions cost beside the energies: normals per second of one core,
// and the share of a step of the MLP (D = 784, 64 rows) that is not spent in
// evaluations.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/backend/chain_tile_buffer.h"
#include "core/backend/cpu/tile_ops_cpu.h"
#include "core/base/check.h"
#include "core/model/energy_model.h"
#include "core/sampler/transition.h"
#include "tests/benchmarks/benchmark.h"
#include "tests/benchmarks/mlp_repository.h"
#include "tests/testing/temp_dir.h"

namespace basin::benchmarks {
namespace {

constexpr int kRepetitions = 9;
constexpr int kRows = 64;
constexpr int kSteps = 200;

// Chains 0 to rows - 1 at the origin, with the coefficients of `kind`.
class Tile {
 public:
  Tile(const Backend& backend, int rows, int64_t dimension, TransitionKind kind)
      : buffer_(backend),
        tile_(
            buffer_.Shape(rows, rows, dimension, {.momentum = true}).value()) {
    TransitionParams params = {.kind = kind, .step_size = 1e-3};
    const bool recipe =
        kind == TransitionKind::kIgebm || kind == TransitionKind::kJem;
    if (recipe) params.noise_std = 1e-2;
    if (kind == TransitionKind::kIgebm) params.gradient_clip = 0.03;
    const auto coefficients = GetTransition(kind).Configure(params, 1);
    BASIN_CHECK(coefficients.ok());
    for (int b = 0; b < rows; ++b) {
      tile_.seed[b] = 1;
      tile_.chain[b] = b;
      tile_.step[b] = 1;
      tile_.coefficients[b] = *coefficients;
      tile_.lower[b] = 0;
      tile_.upper[b] = 1;
    }
    for (int64_t at = 0; at < rows * dimension; ++at) {
      tile_.position[at] = 0.5F;
      tile_.momentum[at] = 0;
    }
  }
  ChainTile& operator*() { return tile_; }

 private:
  ChainTileBuffer buffer_;
  ChainTile tile_;
};

double NormalsPerSecond(const Backend& backend, CpuIsa isa) {
  constexpr int64_t kDimension = 784;
  const auto ops = CreateCpuTileOps(isa);
  Tile tile(backend, kRows, kDimension, TransitionKind::kRandomWalk);
  std::vector<double> seconds;
  for (int i = 0; i < kRepetitions; ++i) {
    seconds.push_back(Seconds([&] {
      for (int step = 0; step < kSteps; ++step) {
        ops->Displace(*tile, {.from = (*tile).position,
                              .grad_energy = nullptr,
                              .noise = TileOps::Noise::kOn,
                              .to = (*tile).proposal});
      }
    }));
  }
  return kSteps * kRows * kDimension / Median(seconds);
}

// Forwards, and adds up the time. Its own surrogate: delayed acceptance
// evaluates nothing cheaper here.
class TimedEnergy final : public EnergyFunction {
 public:
  explicit TimedEnergy(EnergyFunction& energy) : energy_(energy) {}
  double seconds = 0;

  absl::Status Energy(int rows, const float* x, double* energy) override {
    absl::Status status;
    seconds += Seconds([&] { status = energy_.Energy(rows, x, energy); });
    return status;
  }
  absl::Status EnergyAndGradient(int rows, const float* x, double* energy,
                                 float* grad_energy) override {
    absl::Status status;
    seconds += Seconds([&] {
      status = energy_.EnergyAndGradient(rows, x, energy, grad_energy);
    });
    return status;
  }
  EnergyFunction* surrogate() override { return this; }

 private:
  EnergyFunction& energy_;
};

// The share of a transition's time that is not spent in evaluations.
double Overhead(const EnergyModel& model, TransitionKind kind) {
  const Backend& backend = model.backend();
  // A slow processor has smaller tiles.
  const int rows = std::min(kRows, model.tile_sizes().back());
  Workspace workspace;
  BASIN_CHECK(backend.Reserve(workspace, model.workspace_bytes()).ok());
  const auto function = model.Bind(rows, workspace);
  const Transition& transition = GetTransition(kind);
  Tile tile(backend, rows, model.info().dimension, kind);
  TimedEnergy energy(*function);
  BASIN_CHECK(energy
                  .EnergyAndGradient(rows, (*tile).position, (*tile).energy,
                                     (*tile).grad_energy)
                  .ok());
  std::vector<double> shares;
  for (int i = 0; i < kRepetitions; ++i) {
    energy.seconds = 0;
    const double all = Seconds([&] {
      for (int step = 0; step < kSteps; ++step) {
        BASIN_CHECK(transition.Step(energy, backend.tile_ops(), *tile).ok());
        for (int b = 0; b < rows; ++b) ++(*tile).step[b];
      }
    });
    shares.push_back((all - energy.seconds) / all);
  }
  return Median(shares);
}

void Run() {
  const auto backend = CreateCpuBackend();
  Report("normals_per_second_v3", NormalsPerSecond(*backend, CpuIsa::kV3));
  if (DetectedIsa() >= CpuIsa::kV4) {
    Report("normals_per_second_v4", NormalsPerSecond(*backend, CpuIsa::kV4));
  }
  const testing::TempDir folder;
  WriteMlpRepository(folder.path());
  const auto model = EnergyModel::Load(*backend, folder.path() + "/" + kMlpName,
                                       kMlpName, 1, EnergyModel::LoadOptions());
  BASIN_CHECK(model.ok());
  for (const Transition* transition : AllTransitions()) {
    // Those that move in R^D: discrete_benchmark.cc has the others.
    if (!CheckFits(transition->kind(), (*model)->info()).ok()) continue;
    Report("overhead_" + std::string(transition->name()),
           Overhead(**model, transition->kind()));
  }
}

}  // namespace
}  // namespace basin::benchmarks

int main() {
  basin::benchmarks::Run();
  return 0;
}
