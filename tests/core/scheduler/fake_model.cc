#include "tests/core/scheduler/fake_model.h"

#include <cmath>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/base/status_macros.h"

namespace basin::testing {
namespace {

float Term(float x) { return 0.5f * x * x + 0.1f * x * x * x * x; }
float Slope(float x) { return x + 0.4f * x * x * x; }
bool RunsAway(const float* x) { return !(std::abs(x[0]) < 50); }

// As sqrt(x) has at 0: an energy, but no gradient.
constexpr float kCusp = 13;

class FakeFunction final : public ModelFunction {
 public:
  FakeFunction(const FakeModelOptions& options, int tile_rows)
      : options_(options), tile_rows_(tile_rows) {}

  absl::Status Energy(int rows, const float* x, double* energy) override {
    BASIN_RETURN_IF_ERROR(Begin(rows));
    const int64_t n = options_.dimension;
    for (int b = 0; b < tile_rows_; ++b) {
      float sum = b < rows ? 0 : std::numeric_limits<float>::quiet_NaN();
      const float* row = x + b * n;
      for (int64_t i = 0; b < rows && i < n; ++i) sum += Term(row[i]);
      if (b < rows) sum += Field(b) * row[0];
      energy[b] = b < rows && RunsAway(row) ? -row[0] * row[0] : sum;
    }
    return absl::OkStatus();
  }

  absl::Status EnergyAndGradient(int rows, const float* x, double* energy,
                                 float* grad_energy) override {
    BASIN_RETURN_IF_ERROR(Begin(rows));
    const int64_t n = options_.dimension;
    for (int b = 0; b < tile_rows_; ++b) {
      const float* row = x + b * n;
      float sum = b < rows ? 0 : std::numeric_limits<float>::quiet_NaN();
      for (int64_t i = n - 1; i >= 0; --i) {
        if (b < rows) sum += Term(row[i]);
        grad_energy[b * n + i] = b < rows ? Slope(row[i]) : sum;
      }
      if (b < rows) {
        sum += Field(b) * row[0];
        grad_energy[b * n] += Field(b);
      }
      energy[b] = sum;
      if (b < rows && row[0] == kCusp) {
        grad_energy[b * n] = std::numeric_limits<float>::quiet_NaN();
      }
      if (b >= rows || !RunsAway(row)) continue;
      energy[b] = -row[0] * row[0];
      // Far down at every step, whatever the step size.
      grad_energy[b * n] = -1e6f * row[0];
    }
    return absl::OkStatus();
  }

  void SetContext(const float* context) override { context_ = context; }
  absl::Status ClassEnergies(int rows, const float* x,
                             double* class_energies) override {
    BASIN_RETURN_IF_ERROR(Begin(rows));
    for (int b = 0; b < rows; ++b) {
      for (int64_t y = 0; y < options_.classes; ++y) {
        class_energies[b * options_.classes + y] =
            static_cast<float>(y) * x[b * options_.dimension];
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Begin(int rows) const {
    BASIN_CHECK(rows >= 1 && rows <= tile_rows_);
    return options_.hook ? options_.hook(rows) : absl::OkStatus();
  }

  float Field(int row) const {
    const int64_t c = options_.context_dimension;
    return c == 0 ? 0 : context_[row * c];
  }

  const FakeModelOptions options_;
  const int tile_rows_;
  const float* context_ = nullptr;  // [B, C]
};

class FakeModel final : public EnergyModel {
 public:
  FakeModel(const Backend& backend, ModelInfo info, FakeModelOptions options)
      : EnergyModel(backend, std::move(info)), options_(std::move(options)) {}

  absl::Span<const int> tile_sizes() const override {
    return options_.tile_sizes;
  }
  size_t memory_bytes() const override { return 0; }
  size_t workspace_bytes() const override { return 64; }
  double evaluation_seconds() const override {
    return options_.evaluation_seconds;
  }
  std::unique_ptr<ModelFunction> Bind(int tile_rows,
                                      Workspace& workspace) const override {
    BASIN_CHECK(workspace.size >= workspace_bytes());
    return std::make_unique<FakeFunction>(options_, tile_rows);
  }

 private:
  const FakeModelOptions options_;
};

}  // namespace

std::shared_ptr<const EnergyModel> MakeFakeModel(
    const Backend& backend, const FakeModelOptions& options) {
  ModelInfo info;
  info.name = "fake";
  info.version = 1;
  info.dimension = options.dimension;
  info.max_chains = options.max_chains;
  info.context = options.context;
  info.context_dimension = options.context_dimension;
  info.classes = options.classes;
  info.initial = options.initial;
  return std::make_shared<FakeModel>(backend, std::move(info), options);
}

}  // namespace basin::testing
