#ifndef BASIN_CORE_SCHEDULER_COUNTED_ENERGY_H_
#define BASIN_CORE_SCHEDULER_COUNTED_ENERGY_H_

#include <cstdint>

#include "core/model/energy_function.h"

namespace basin::internal {

// An energy function that counts the row-evaluations it passes on. Not
// thread-safe; `energy` must outlive it.
class CountedEnergy final : public EnergyFunction {
 public:
  explicit CountedEnergy(EnergyFunction& energy) : energy_(energy) {}

  absl::Status Energy(int rows, const float* x, double* energy) override {
    row_evaluations_ += rows;
    return energy_.Energy(rows, x, energy);
  }
  absl::Status EnergyAndGradient(int rows, const float* x, double* energy,
                                 float* grad_energy) override {
    row_evaluations_ += rows;
    return energy_.EnergyAndGradient(rows, x, energy, grad_energy);
  }

  absl::Status DecidingEnergyAndGradient(int rows, const float* x,
                                         double* energy,
                                         float* grad_energy) override {
    row_evaluations_ += rows;
    return energy_.DecidingEnergyAndGradient(rows, x, energy, grad_energy);
  }

  int64_t row_evaluations() const { return row_evaluations_; }

 private:
  EnergyFunction& energy_;
  int64_t row_evaluations_ = 0;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_COUNTED_ENERGY_H_
