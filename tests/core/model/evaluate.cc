#include "tests/core/model/evaluate.h"

#include <algorithm>
#include <limits>

#include "core/base/check.h"

namespace basin::testing {
namespace {

DeviceMemory AllocateFloats(const Backend& backend, size_t count) {
  auto memory = backend.Allocate(count * sizeof(float));
  BASIN_CHECK(memory.ok());
  return *std::move(memory);
}

float* Floats(const DeviceMemory& memory) {
  return reinterpret_cast<float*>(memory.get());
}

void Append(const Backend& backend, const DeviceMemory& from, size_t count,
            std::vector<float>& to) {
  to.resize(to.size() + count);
  backend.CopyToHost(&to[to.size() - count], from.get(), count * sizeof(float));
}

}  // namespace

Evaluated EvaluateAll(const EnergyModel& model, int tile_rows,
                      absl::Span<const float> states) {
  const Backend& backend = model.backend();
  const auto d = static_cast<size_t>(model.info().dimension);
  const size_t tile = static_cast<size_t>(tile_rows) * d;
  Workspace workspace;
  BASIN_CHECK(backend.Reserve(workspace, model.workspace_bytes()).ok());
  const auto function = model.Bind(tile_rows, workspace);
  const DeviceMemory x = AllocateFloats(backend, tile);
  const DeviceMemory energy = AllocateFloats(backend, tile_rows);
  const DeviceMemory gradient = AllocateFloats(backend, tile);
  Evaluated result;
  for (size_t at = 0; at < states.size(); at += tile) {
    const absl::Span<const float> some = states.subspan(at, tile);
    std::vector<float> host(tile, std::numeric_limits<float>::quiet_NaN());
    std::copy(some.begin(), some.end(), host.begin());
    const size_t rows = some.size() / d;
    backend.CopyToDevice(x.get(), host.data(), tile * sizeof(float));
    BASIN_CHECK(
        function->Energy(static_cast<int>(rows), Floats(x), Floats(energy))
            .ok());
    Append(backend, energy, rows, result.energies);
    BASIN_CHECK(function
                    ->EnergyAndGradient(static_cast<int>(rows), Floats(x),
                                        Floats(energy), Floats(gradient))
                    .ok());
    Append(backend, energy, rows, result.gradient_energies);
    Append(backend, gradient, rows * d, result.gradients);
  }
  return result;
}

}  // namespace basin::testing
