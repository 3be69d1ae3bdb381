// What a model of about 100 MB of weights costs: seconds to load, and memory
// once it is loaded, as a multiple of its weights.

#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include "core/base/check.h"
#include "core/model/energy_model.h"
#include "tests/benchmarks/benchmark.h"
#include "tests/testing/model_files.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

constexpr int64_t kWidth = 2048;
constexpr int kLayers = 6;

// tanh layers of kWidth, summed: 6 x 16 MiB.
std::string DeepOnnx() {
  OnnxBuilder onnx;
  onnx.Input("x0", {-1, kWidth}).Ints("axes", {1});
  std::vector<float> weights(static_cast<size_t>(kWidth * kWidth));
  for (int layer = 0; layer < kLayers; ++layer) {
    for (size_t i = 0; i < weights.size(); ++i) {
      const size_t scrambled = (i + 1) * 2654435761U * (layer + 1) % 1000003;
      weights[i] = static_cast<float>(scrambled) / 1e8F - 0.005F;
    }
    const std::string n = absl::StrCat(layer);
    onnx.Floats("w" + n, {kWidth, kWidth}, weights)
        .Node("MatMul", {"x" + n, "w" + n}, "y" + n)
        .Node("Tanh", {"y" + n}, absl::StrCat("x", layer + 1));
  }
  return onnx.Node("ReduceSum", {absl::StrCat("x", kLayers), "axes"}, "energy")
      .IntAttribute("keepdims", 0)
      .Output("energy", {-1})
      .Build();
}

double ResidentMiB() {
  malloc_trim(0);
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void Run() {
  const TempDir repository;
  WriteModel(repository.path(), "deep", 1, GraphConfig(kWidth), DeepOnnx());
  const auto backend = CreateCpuBackend();
  const double before = ResidentMiB();
  const absl::Time start = absl::Now();
  const auto model =
      EnergyModel::Load(*backend, repository.File("deep"), "deep", 1, {});
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  BASIN_CHECK(model.ok());
  const double weights =
      static_cast<double>((*model)->info().parameters) * 4 / (1 << 20);
  const double resident = ResidentMiB() - before;
  benchmarks::Report("load_weights_mib", weights);
  benchmarks::Report("load_seconds", seconds);
  benchmarks::Report("load_resident_ratio", resident / weights);
}

}  // namespace
}  // namespace basin::testing

int main() { basin::testing::Run(); }
