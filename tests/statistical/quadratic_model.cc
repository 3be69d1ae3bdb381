#include "tests/statistical/quadratic_model.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace basin::testing {
namespace {

class QuadraticFunction final : public ModelFunction {
 public:
  explicit QuadraticFunction(const Quadratic& quadratic)
      : of_(quadratic), n_(quadratic.mean.size()) {}

  absl::Status Energy(int rows, const float* x, double* energy) override {
    return Evaluate(rows, x, energy, nullptr);
  }
  absl::Status EnergyAndGradient(int rows, const float* x, double* energy,
                                 float* grad_energy) override {
    return Evaluate(rows, x, energy, grad_energy);
  }
  void SetContext(const float* /*context*/) override {}
  absl::Status ClassEnergies(int /*rows*/, const float* /*x*/,
                             double* /*class_energies*/) override {
    return absl::UnimplementedError("no classes");
  }

 private:
  absl::Status Evaluate(int rows, const float* x, double* energy,
                        float* grad_energy) {
    std::vector<double> u(n_);  // L'(x - mean)
    for (int row = 0; row < rows; ++row) {
      const float* const at = x + static_cast<size_t>(row) * n_;
      double squares = 0;
      for (size_t j = 0; j < n_; ++j) {
        u[j] = 0;
        for (size_t i = j; i < n_; ++i) {
          u[j] += double{of_.factor[i * n_ + j]} * (at[i] - of_.mean[i]);
        }
        squares += u[j] * u[j];
      }
      energy[row] = of_.offset + squares / 2;
      if (grad_energy == nullptr) continue;
      for (size_t i = 0; i < n_; ++i) {
        double slope = 0;
        for (size_t j = 0; j <= i; ++j) slope += of_.factor[i * n_ + j] * u[j];
        grad_energy[static_cast<size_t>(row) * n_ + i] =
            static_cast<float>(slope);
      }
    }
    return absl::OkStatus();
  }

  const Quadratic of_;
  const size_t n_;
};

class QuadraticModel final : public EnergyModel {
 public:
  QuadraticModel(const Backend& backend, ModelInfo info, Quadratic quadratic)
      : EnergyModel(backend, std::move(info)),
        quadratic_(std::move(quadratic)) {}

  absl::Span<const int> tile_sizes() const override { return tile_sizes_; }
  size_t memory_bytes() const override { return 0; }
  size_t workspace_bytes() const override { return 64; }
  double evaluation_seconds() const override { return 1e-5; }
  std::unique_ptr<ModelFunction> Bind(int /*tile_rows*/,
                                      Workspace& /*workspace*/) const override {
    return std::make_unique<QuadraticFunction>(quadratic_);
  }

 private:
  const std::vector<int> tile_sizes_ = {1, 16, 64};
  const Quadratic quadratic_;
};

}  // namespace

double Quadratic::LogZ(double inverse_temperature) const {
  const size_t n = mean.size();
  double log_z = -inverse_temperature * offset;
  for (size_t i = 0; i < n; ++i) {
    log_z += std::log(2 * std::numbers::pi / inverse_temperature) / 2 -
             std::log(factor[i * n + i]);
  }
  return log_z;
}

void Quadratic::FromNormals(double inverse_temperature, const float* normals,
                            float* x) const {
  // L'(x - mean) = normals / sqrt(b), from the last row up.
  const size_t n = mean.size();
  std::vector<double> from_mean(n);
  for (size_t j = n; j-- > 0;) {
    double rest = normals[j] / std::sqrt(inverse_temperature);
    for (size_t i = j + 1; i < n; ++i) rest -= factor[i * n + j] * from_mean[i];
    from_mean[j] = rest / factor[j * n + j];
    x[j] = static_cast<float>(mean[j] + from_mean[j]);
  }
}

std::shared_ptr<const EnergyModel> MakeQuadraticModel(
    const Backend& backend, const Quadratic& quadratic) {
  ModelInfo info;
  info.name = "quadratic";
  info.version = 1;
  info.dimension = static_cast<int64_t>(quadratic.mean.size());
  return std::make_shared<QuadraticModel>(backend, std::move(info), quadratic);
}

}  // namespace basin::testing
