#ifndef BASIN_TESTS_STATISTICAL_QUADRATIC_MODEL_H_
#define BASIN_TESTS_STATISTICAL_QUADRATIC_MODEL_H_

// Energies that are not normalised, whose Z is known at every temperature.

#include <memory>
#include <vector>

#include "core/model/energy_model.h"

namespace basin::testing {

// E(x) = offset + |L'(x - mean)|^2 / 2: exp(-b E) is normal, of covariance
// (b L L')^-1.
struct Quadratic {
  std::vector<float> mean;    // [D]
  std::vector<float> factor;  // L, [D, D], lower triangular
  float offset = 0;

  double LogZ(double inverse_temperature) const;
  // An exact sample, from independent normals [D].
  void FromNormals(double inverse_temperature, const float* normals,
                   float* x) const;
};

std::shared_ptr<const EnergyModel> MakeQuadraticModel(
    const Backend& backend, const Quadratic& quadratic);

}  // namespace basin::testing

#endif  // BASIN_TESTS_STATISTICAL_QUADRATIC_MODEL_H_
