#ifndef BASIN_TESTS_CORE_SAMPLER_ANALYTIC_ENERGIES_H_
#define BASIN_TESTS_CORE_SAMPLER_ANALYTIC_ENERGIES_H_

// Energies whose laws are known, as EnergyFunctions on host memory.

#include <cstdint>
#include <vector>

#include <absl/status/status.h>

#include "core/model/energy_function.h"

namespace basin::testing {

// An energy that is computed row by row.
class RowEnergy : public EnergyFunction {
 public:
  explicit RowEnergy(int64_t dimension) : dimension_(dimension) {}
  int64_t dimension() const { return dimension_; }

  absl::Status Energy(int rows, const float* x, double* energy) override {
    std::vector<float> unused(dimension_);
    for (int b = 0; b < rows; ++b) {
      energy[b] = EvaluateRow(x + b * dimension_, unused.data());
    }
    return absl::OkStatus();
  }
  absl::Status EnergyAndGradient(int rows, const float* x, double* energy,
                                 float* grad_energy) override {
    for (int b = 0; b < rows; ++b) {
      energy[b] = EvaluateRow(x + b * dimension_, grad_energy + b * dimension_);
    }
    return absl::OkStatus();
  }

 protected:
  // Returns E of x [D] and sets grad_energy [D].
  virtual float EvaluateRow(const float* x, float* grad_energy) = 0;

 private:
  const int64_t dimension_;
};

// E = k/2 |x|^2.
class HarmonicWell final : public RowEnergy {
 public:
  HarmonicWell(int64_t dimension, float k) : RowEnergy(dimension), k_(k) {}

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    double squares = 0;
    for (int64_t i = 0; i < dimension(); ++i) {
      grad_energy[i] = k_ * x[i];
      squares += static_cast<double>(x[i]) * x[i];
    }
    return static_cast<float>(0.5 * k_ * squares);
  }

 private:
  const float k_;
};

// E = h (x^2 - b^2)^2 in one dimension.
class DoubleWell final : public RowEnergy {
 public:
  DoubleWell(double h, double b) : RowEnergy(1), h_(h), b_(b) {}

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    const double well = static_cast<double>(*x) * *x - b_ * b_;
    *grad_energy = static_cast<float>(4 * h_ * *x * well);
    return static_cast<float>(h_ * well * well);
  }

 private:
  const double h_;
  const double b_;
};

// The normal law with mean 0 and covariance rho^|i - j|: the stationary
// autoregression of order one, whose precision matrix is tridiagonal.
class CorrelatedGaussian final : public RowEnergy {
 public:
  CorrelatedGaussian(int64_t dimension, double rho)
      : RowEnergy(dimension), rho_(rho) {}

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    const double scale = 1 / (1 - rho_ * rho_);
    const int64_t last = dimension() - 1;
    double twice = 0;
    for (int64_t i = 0; i <= last; ++i) {
      const bool end = i == 0 || i == last;
      double sum = (end ? 1 : 1 + rho_ * rho_) * x[i];
      if (i > 0) sum -= rho_ * x[i - 1];
      if (i < last) sum -= rho_ * x[i + 1];
      grad_energy[i] = static_cast<float>(scale * sum);
      twice += scale * sum * x[i];
    }
    return static_cast<float>(0.5 * twice);
  }

 private:
  const double rho_;
};

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_SAMPLER_ANALYTIC_ENERGIES_H_
