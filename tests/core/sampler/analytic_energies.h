#ifndef BASIN_TESTS_CORE_SAMPLER_ANALYTIC_ENERGIES_H_
#define BASIN_TESTS_CORE_SAMPLER_ANALYTIC_ENERGIES_H_

// Energies whose laws are known, as EnergyFunctions on host memory.

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/model/energy_function.h"

namespace basin::testing {

// An energy that is computed row by row.
class RowEnergy : public EnergyFunction {
 public:
  explicit RowEnergy(int64_t dimension) : dimension_(dimension) {}
  int64_t dimension() const { return dimension_; }

  // Puts a cheap energy in front of this one.
  void SetSurrogate(std::unique_ptr<RowEnergy> surrogate) {
    surrogate_ = std::move(surrogate);
  }
  EnergyFunction* surrogate() override { return surrogate_.get(); }

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
  std::unique_ptr<RowEnergy> surrogate_;
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

// Independent coordinates with standard deviations sigma_i.
class ScaledGaussian final : public RowEnergy {
 public:
  explicit ScaledGaussian(std::vector<float> sigma)
      : RowEnergy(static_cast<int64_t>(sigma.size())),
        sigma_(std::move(sigma)) {}

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    double sum = 0;
    for (int64_t i = 0; i < dimension(); ++i) {
      const double z = x[i] / sigma_[i];
      grad_energy[i] = static_cast<float>(z / sigma_[i]);
      sum += z * z / 2;
    }
    return static_cast<float>(sum);
  }

 private:
  const std::vector<float> sigma_;
};

// 4/5 of another energy, and a slope along x0: a surrogate of it.
class TiltedEnergy final : public RowEnergy {
 public:
  explicit TiltedEnergy(std::unique_ptr<RowEnergy> of)
      : RowEnergy(of->dimension()), of_(std::move(of)) {}

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    double energy = 0;
    of_->EnergyAndGradient(1, x, &energy, grad_energy).IgnoreError();
    return static_cast<float>(0.8 * energy + 0.2 * x[0]);
  }

 private:
  const std::unique_ptr<RowEnergy> of_;
};

// Neal's funnel: x0 = v ~ N(0, 9), x_i | v ~ N(0, e^v).
class Funnel final : public RowEnergy {
 public:
  using RowEnergy::RowEnergy;

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    const double v = x[0];
    const double precision = std::exp(-v);
    double squares = 0;
    for (int64_t i = 1; i < dimension(); ++i) {
      squares += static_cast<double>(x[i]) * x[i];
      grad_energy[i] = static_cast<float>(precision * x[i]);
    }
    const auto others = static_cast<double>(dimension() - 1);
    grad_energy[0] =
        static_cast<float>(v / 9 - precision * squares / 2 + others / 2);
    return static_cast<float>(v * v / 18 + precision * squares / 2 +
                              others * v / 2);
  }
};

// The potential of Mueller and Brown 1979, with the standard constants.
class MuellerBrown final : public RowEnergy {
 public:
  MuellerBrown() : RowEnergy(2) {}

 protected:
  float EvaluateRow(const float* x, float* grad_energy) override {
    constexpr double kHeight[] = {-200, -100, -170, 15};
    constexpr double kXx[] = {-1, -1, -6.5, 0.7};
    constexpr double kXy[] = {0, 0, 11, 0.6};
    constexpr double kYy[] = {-10, -10, -6.5, 0.7};
    constexpr double kX[] = {1, 0, -0.5, -1};
    constexpr double kY[] = {0, 0.5, 1.5, 1};
    double sum = 0;
    double along_x = 0;
    double along_y = 0;
    for (int k = 0; k < 4; ++k) {
      const double u = x[0] - kX[k];
      const double v = x[1] - kY[k];
      const double term =
          kHeight[k] *
          std::exp(kXx[k] * u * u + kXy[k] * u * v + kYy[k] * v * v);
      sum += term;
      along_x += term * (2 * kXx[k] * u + kXy[k] * v);
      along_y += term * (kXy[k] * u + 2 * kYy[k] * v);
    }
    grad_energy[0] = static_cast<float>(along_x);
    grad_energy[1] = static_cast<float>(along_y);
    return static_cast<float>(sum);
  }
};

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_SAMPLER_ANALYTIC_ENERGIES_H_
