#ifndef BASIN_CORE_MODEL_ENERGY_FUNCTION_H_
#define BASIN_CORE_MODEL_ENERGY_FUNCTION_H_

#include <cstdint>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/backend/discrete_ops.h"

namespace basin {

// E(x), dE/dx and conditional laws for the rows of a tile. What a transition
// sees of a model: no graph, no thread, no device. Not thread-safe; owned by
// one worker.
class EnergyFunction {
 public:
  virtual ~EnergyFunction() = default;

  // energy [rows], from x [rows, D]. All arrays are device memory with room
  // for the row count of the plan behind this function: rows beyond `rows`
  // may be read and written, and change nothing.
  virtual absl::Status Energy(int rows, const float* x, double* energy) = 0;

  // energy [rows] and grad_energy [rows, D] = dE/dx.
  virtual absl::Status EnergyAndGradient(int rows, const float* x,
                                         double* energy,
                                         float* grad_energy) = 0;

  // As EnergyAndGradient(), with energies that may decide acceptance: those of
  // Energy(). They differ for models in bfloat16, where this costs another
  // evaluation.
  virtual absl::Status DecidingEnergyAndGradient(int rows, const float* x,
                                                 double* energy,
                                                 float* grad_energy) {
    return EnergyAndGradient(rows, x, energy, grad_energy);
  }

  // A cheap energy of the same rows that stands in front of this one; null if
  // there is none. Owned by this object.
  virtual EnergyFunction* surrogate() { return nullptr; }

  // How many blocks of variables Gibbs sampling goes through, in order; 0 if
  // the energy has no conditional laws.
  virtual int blocks() const { return 0; }

  // The law of a block: of coordinates given x [rows, D] or given the hidden
  // units, where the energy has any; or of the hidden units given x, which
  // belong into the result's `hidden` and are there for the blocks after. The
  // arrays of the result are valid until the next call.
  // REQUIRES: 0 <= block < blocks().
  virtual absl::StatusOr<BlockLaw> LawOf(int /*block*/, int /*rows*/,
                                         const float* /*x*/) {
    return absl::UnimplementedError("the energy has no conditional laws");
  }
};

// What a model is bound to a workspace as: an energy given its context, and
// class energies. Not thread-safe; owned by one worker.
class ModelFunction : public EnergyFunction {
 public:
  // The context inputs of each row that later calls read: [rows, C] in device
  // memory with room for the row count of the plan, which must stay valid and
  // may change between calls. Null, as at the beginning, means the defaults of
  // all inputs, 0 for those that have none.
  virtual void SetContext(const float* context) = 0;

  // class_energies [rows, K] = E(x, y) of every class y, in double, from x
  // [rows, D], as Energy(). Unimplemented if the model has no classes.
  virtual absl::Status ClassEnergies(int rows, const float* x,
                                     double* class_energies) = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_MODEL_ENERGY_FUNCTION_H_
