#ifndef BASIN_CORE_MODEL_ENERGY_FUNCTION_H_
#define BASIN_CORE_MODEL_ENERGY_FUNCTION_H_

#include <cstdint>

#include <absl/status/status.h>

namespace basin {

// E(x) and dE/dx for the rows of a tile. What a transition sees of a model:
// no graph, no thread, no device. Not thread-safe; owned by one worker.
class EnergyFunction {
 public:
  virtual ~EnergyFunction() = default;

  // energy [rows], from x [rows, D]. All arrays are device memory with room
  // for the row count of the plan behind this function: rows beyond `rows`
  // may be read and written, and change nothing.
  virtual absl::Status Energy(int rows, const float* x, float* energy) = 0;

  // energy [rows] and grad_energy [rows, D] = dE/dx.
  virtual absl::Status EnergyAndGradient(int rows, const float* x,
                                         float* energy, float* grad_energy) = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_MODEL_ENERGY_FUNCTION_H_
