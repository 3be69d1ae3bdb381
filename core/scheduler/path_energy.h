#ifndef BASIN_CORE_SCHEDULER_PATH_ENERGY_H_
#define BASIN_CORE_SCHEDULER_PATH_ENERGY_H_

#include <cstdint>
#include <optional>

#include <absl/status/status.h>

#include "core/backend/backend.h"
#include "core/backend/tile_ops.h"
#include "core/model/energy_function.h"
#include "core/model/model_info.h"

namespace basin::internal {

// The law that `initial` draws from as -ln p; none for laws that are uniform,
// which need no energy.
std::optional<TileOps::SeparableLaw> SeparableLawOf(const InitialLaw& initial);

// The energies of an annealing path between a base and a model, each row at
// its own ChainCoefficients::path. The base is another model, or the law that
// chains start from. Not thread-safe; owned by one worker.
class PathEnergy final : public EnergyFunction {
 public:
  // For a tile of `backend`, with room for `capacity` rows. `base` is null for
  // the law `law`. All must outlive the calls that follow.
  // ResourceExhausted if the device has no memory.
  absl::Status Bind(const Backend& backend, const ChainTile& tile, int capacity,
                    EnergyFunction& energy, EnergyFunction* base,
                    const TileOps::SeparableLaw& law);

  absl::Status Energy(int rows, const float* x, double* energy) override;
  absl::Status EnergyAndGradient(int rows, const float* x, double* energy,
                                 float* grad_energy) override;
  absl::Status DecidingEnergyAndGradient(int rows, const float* x,
                                         double* energy,
                                         float* grad_energy) override;

  // Of the last call: what the path's ends gave, [rows], device memory.
  const double* end_energy() const { return end_energy_; }
  const double* base_energy() const { return base_energy_; }

 private:
  void Blend(const float* x, double* energy, float* grad_energy);

  const Backend* backend_ = nullptr;
  const ChainTile* tile_ = nullptr;
  EnergyFunction* energy_ = nullptr;
  EnergyFunction* base_ = nullptr;
  TileOps::SeparableLaw law_;
  Workspace memory_;
  double* end_energy_ = nullptr;
  double* base_energy_ = nullptr;
  float* base_grad_energy_ = nullptr;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_PATH_ENERGY_H_
