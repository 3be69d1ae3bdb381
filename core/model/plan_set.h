#ifndef BASIN_CORE_MODEL_PLAN_SET_H_
#define BASIN_CORE_MODEL_PLAN_SET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/backend/backend.h"
#include "core/model/block_plans.h"
#include "core/model/energy_model.h"

namespace basin::internal {

// A model compiled for one row count: the energy alone, and with its
// gradient. Immutable; thread-safe.
struct TilePlans {
  int rows = 0;
  bool has_context = false;  // plans take x, context; otherwise x
  Precision precision = Precision::kFloat32;   // of `gradient`
  std::unique_ptr<const Plan> energy;          // -> energy
  std::unique_ptr<const Plan> gradient;        // -> energy, grad_energy
  std::unique_ptr<const Plan> class_energies;  // -> [rows, K]; null if K = 0

  BlockPlans blocks;

  // Workspace that each of them needs, and the scratch of `blocks` behind it.
  size_t workspace_bytes() const;
  size_t plan_workspace_bytes() const;
};

// Runs `plans` with `workspace`, and with `default_context` [rows, C], device
// memory, where SetContext() gave none. All must outlive the result.
std::unique_ptr<ModelFunction> BindPlans(const TilePlans& plans,
                                         Workspace& workspace,
                                         const float* default_context);

// An energy that is a set of plans. Immutable; thread-safe.
class PlannedEnergyModel : public EnergyModel {
 public:
  // What Load() found out, in one piece.
  struct Parts {
    std::vector<TilePlans> plans;  // ascending in rows, at least one
    std::shared_ptr<const WeightStore> weights;
    std::shared_ptr<const BlockTables> blocks;  // null if there are none
    double evaluation_seconds = 0;
    DeviceMemory default_context;  // [rows of the last plans, C]
  };
  PlannedEnergyModel(const Backend& backend, ModelInfo info, Parts parts);

  absl::Span<const int> tile_sizes() const override { return tile_sizes_; }
  size_t memory_bytes() const override {
    return parts_.weights->bytes() +
           (parts_.blocks == nullptr ? 0 : parts_.blocks->bytes());
  }
  size_t workspace_bytes() const override { return workspace_bytes_; }
  double evaluation_seconds() const override {
    return parts_.evaluation_seconds;
  }
  std::unique_ptr<ModelFunction> Bind(int tile_rows,
                                      Workspace& workspace) const override;

 private:
  const Parts parts_;
  std::vector<int> tile_sizes_;
  size_t workspace_bytes_ = 0;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_PLAN_SET_H_
