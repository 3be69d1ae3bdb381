#include "tests/core/model/evaluate.h"

#include <algorithm>
#include <limits>

#include "core/base/check.h"

namespace basin::testing {
namespace {

template <typename T>
DeviceMemory AllocateArray(const Backend& backend, size_t count) {
  auto memory = backend.Allocate(count * sizeof(T));
  BASIN_CHECK(memory.ok());
  return *std::move(memory);
}

float* Floats(const DeviceMemory& memory) {
  return reinterpret_cast<float*>(memory.get());
}

double* Doubles(const DeviceMemory& memory) {
  return reinterpret_cast<double*>(memory.get());
}

template <typename T>
void Append(const Backend& backend, const DeviceMemory& from, size_t count,
            std::vector<T>& to) {
  to.resize(to.size() + count);
  backend.CopyToHost(&to[to.size() - count], from.get(), count * sizeof(T));
}

// Rows [at, at + tile) of `values`, each of `width`, filled up with NaN.
void Upload(const Backend& backend, absl::Span<const float> values,
            size_t first, size_t count, const DeviceMemory& to) {
  std::vector<float> host(count, std::numeric_limits<float>::quiet_NaN());
  const auto some = values.subspan(first, count);
  std::copy(some.begin(), some.end(), host.begin());
  backend.CopyToDevice(to.get(), host.data(), count * sizeof(float));
}

}  // namespace

Evaluated EvaluateAll(const EnergyModel& model, int tile_rows,
                      absl::Span<const float> states,
                      absl::Span<const float> context) {
  const Backend& backend = model.backend();
  const auto d = static_cast<size_t>(model.info().dimension);
  const auto c = static_cast<size_t>(model.info().context_dimension);
  const auto k = static_cast<size_t>(model.info().classes);
  const auto tile = static_cast<size_t>(tile_rows);
  Workspace workspace;
  BASIN_CHECK(backend.Reserve(workspace, model.workspace_bytes()).ok());
  const auto function = model.Bind(tile_rows, workspace);
  const DeviceMemory x = AllocateArray<float>(backend, tile * d);
  const DeviceMemory rows_context = AllocateArray<float>(backend, tile * c);
  const DeviceMemory energy = AllocateArray<double>(backend, tile);
  const DeviceMemory gradient = AllocateArray<float>(backend, tile * d);
  const DeviceMemory classes = AllocateArray<double>(backend, tile * k);
  if (!context.empty()) function->SetContext(Floats(rows_context));
  Evaluated result;
  for (size_t at = 0; at < states.size() / d; at += tile) {
    const size_t rows = std::min(tile, states.size() / d - at);
    const auto count = static_cast<int>(rows);
    Upload(backend, states, at * d, tile * d, x);
    if (!context.empty()) {
      Upload(backend, context, at * c, tile * c, rows_context);
    }
    BASIN_CHECK(function->Energy(count, Floats(x), Doubles(energy)).ok());
    Append(backend, energy, rows, result.energies);
    BASIN_CHECK(function
                    ->EnergyAndGradient(count, Floats(x), Doubles(energy),
                                        Floats(gradient))
                    .ok());
    Append(backend, energy, rows, result.gradient_energies);
    Append(backend, gradient, rows * d, result.gradients);
    if (k == 0) continue;
    BASIN_CHECK(
        function->ClassEnergies(count, Floats(x), Doubles(classes)).ok());
    Append(backend, classes, rows * k, result.class_energies);
  }
  return result;
}

}  // namespace basin::testing
