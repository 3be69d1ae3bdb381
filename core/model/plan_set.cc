#include "core/model/plan_set.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace basin::internal {
namespace {

class PlannedEnergyFunction : public EnergyFunction {
 public:
  PlannedEnergyFunction(const TilePlans& plans, Workspace& workspace)
      : plans_(plans), workspace_(workspace) {}

  absl::Status Energy(int rows, const float* x, float* energy) override {
    BASIN_DCHECK(0 < rows && rows <= plans_.rows);
    static_cast<void>(rows);
    return plans_.energy->Run(workspace_, {x}, {energy});
  }

  absl::Status EnergyAndGradient(int rows, const float* x, float* energy,
                                 float* grad_energy) override {
    BASIN_DCHECK(0 < rows && rows <= plans_.rows);
    static_cast<void>(rows);
    return plans_.gradient->Run(workspace_, {x}, {energy, grad_energy});
  }

 private:
  const TilePlans& plans_;
  Workspace& workspace_;
};

}  // namespace

size_t TilePlans::workspace_bytes() const {
  return std::max(energy->workspace_bytes(), gradient->workspace_bytes());
}

std::unique_ptr<EnergyFunction> BindPlans(const TilePlans& plans,
                                          Workspace& workspace) {
  BASIN_CHECK(workspace.size >= plans.workspace_bytes());
  return std::make_unique<PlannedEnergyFunction>(plans, workspace);
}

PlannedEnergyModel::PlannedEnergyModel(const Backend& backend, ModelInfo info,
                                       Parts parts)
    : EnergyModel(backend, std::move(info)), parts_(std::move(parts)) {
  for (const TilePlans& plans : parts_.plans) {
    BASIN_CHECK(tile_sizes_.empty() || tile_sizes_.back() < plans.rows);
    tile_sizes_.push_back(plans.rows);
    workspace_bytes_ = std::max(workspace_bytes_, plans.workspace_bytes());
  }
  BASIN_CHECK(!tile_sizes_.empty());
}

std::unique_ptr<EnergyFunction> PlannedEnergyModel::Bind(
    int tile_rows, Workspace& workspace) const {
  const auto it = std::find(tile_sizes_.begin(), tile_sizes_.end(), tile_rows);
  BASIN_CHECK(it != tile_sizes_.end());
  return BindPlans(parts_.plans[it - tile_sizes_.begin()], workspace);
}

}  // namespace basin::internal
