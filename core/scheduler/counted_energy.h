#ifndef BASIN_CORE_SCHEDULER_COUNTED_ENERGY_H_
#define BASIN_CORE_SCHEDULER_COUNTED_ENERGY_H_

#include <cstdint>

#include "core/base/status_macros.h"
#include "core/model/energy_function.h"
#include "core/scheduler/interrupt.h"

namespace basin::internal {

// An energy function that counts the row-evaluations it passes on, fails once
// `interrupt` does, and has `surrogate` in front; both may be null. Not
// thread-safe; all must outlive it.
class CountedEnergy final : public EnergyFunction {
 public:
  CountedEnergy(EnergyFunction& energy, EnergyFunction* surrogate,
                const Interrupt* interrupt)
      : energy_(energy), surrogate_(surrogate), interrupt_(interrupt) {}

  absl::Status Energy(int rows, const float* x, double* energy) override {
    BASIN_RETURN_IF_ERROR(Count(rows));
    return energy_.Energy(rows, x, energy);
  }
  absl::Status EnergyAndGradient(int rows, const float* x, double* energy,
                                 float* grad_energy) override {
    BASIN_RETURN_IF_ERROR(Count(rows));
    return energy_.EnergyAndGradient(rows, x, energy, grad_energy);
  }

  absl::Status DecidingEnergyAndGradient(int rows, const float* x,
                                         double* energy,
                                         float* grad_energy) override {
    BASIN_RETURN_IF_ERROR(Count(rows));
    return energy_.DecidingEnergyAndGradient(rows, x, energy, grad_energy);
  }

  EnergyFunction* surrogate() override { return surrogate_; }

  // A sweep over all blocks counts as one evaluation.
  int blocks() const override { return energy_.blocks(); }
  absl::StatusOr<BlockLaw> LawOf(int block, int rows, const float* x) override {
    if (block == 0) BASIN_RETURN_IF_ERROR(Count(rows));
    return energy_.LawOf(block, rows, x);
  }

  int64_t row_evaluations() const { return row_evaluations_; }

 private:
  absl::Status Count(int rows) {
    row_evaluations_ += rows;
    return interrupt_ == nullptr ? absl::OkStatus() : interrupt_->Check();
  }

  EnergyFunction& energy_;
  EnergyFunction* const surrogate_;
  const Interrupt* const interrupt_;
  int64_t row_evaluations_ = 0;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_COUNTED_ENERGY_H_
