#include "core/model/plan_set.h"

#include <algorithm>
#include <utility>

#include <absl/container/inlined_vector.h>
#include <absl/status/status.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

class PlannedEnergyFunction : public ModelFunction {
 public:
  PlannedEnergyFunction(const TilePlans& plans, Workspace& workspace,
                        const float* default_context)
      : plans_(plans),
        workspace_(workspace),
        default_context_(default_context),
        context_(default_context),
        block_scratch_offset_(plans.plan_workspace_bytes()) {}

  absl::Status Energy(int rows, const float* x, double* energy) override {
    BASIN_DCHECK(0 < rows && rows <= plans_.rows);
    static_cast<void>(rows);
    return plans_.energy->Run(workspace_, Inputs(x), {energy});
  }

  absl::Status EnergyAndGradient(int rows, const float* x, double* energy,
                                 float* grad_energy) override {
    BASIN_DCHECK(0 < rows && rows <= plans_.rows);
    static_cast<void>(rows);
    return plans_.gradient->Run(workspace_, Inputs(x), {energy, grad_energy});
  }

  absl::Status DecidingEnergyAndGradient(int rows, const float* x,
                                         double* energy,
                                         float* grad_energy) override {
    BASIN_RETURN_IF_ERROR(EnergyAndGradient(rows, x, energy, grad_energy));
    if (plans_.precision != Precision::kBFloat16) return absl::OkStatus();
    return Energy(rows, x, energy);
  }

  int blocks() const override { return static_cast<int>(plans_.blocks.size()); }

  absl::StatusOr<BlockLaw> LawOf(int block, int rows, const float* x) override {
    BASIN_DCHECK(0 < rows && rows <= plans_.rows);
    BASIN_DCHECK(0 <= block && block < blocks());
    const BlockScratch scratch =
        BlockScratch::At(*plans_.blocks.tables, plans_.rows,
                         workspace_.memory.get() + block_scratch_offset_);
    return EvaluateBlock(plans_.blocks, block, rows, x, scratch, workspace_);
  }

  void SetContext(const float* context) override {
    context_ = context == nullptr ? default_context_ : context;
  }

  absl::Status ClassEnergies(int rows, const float* x,
                             double* class_energies) override {
    if (plans_.class_energies == nullptr) {
      return absl::UnimplementedError("the model has no classes");
    }
    BASIN_DCHECK(0 < rows && rows <= plans_.rows);
    static_cast<void>(rows);
    return plans_.class_energies->Run(workspace_, Inputs(x), {class_energies});
  }

 private:
  // x, and the context if the plans read any.
  absl::InlinedVector<const float*, 2> Inputs(const float* x) const {
    if (!plans_.has_context) return {x};
    BASIN_CHECK(context_ != nullptr);
    return {x, context_};
  }

  const TilePlans& plans_;
  Workspace& workspace_;
  const float* const default_context_;
  const float* context_;
  const size_t block_scratch_offset_;  // in the workspace
};

}  // namespace

size_t TilePlans::plan_workspace_bytes() const {
  size_t most =
      std::max(energy->workspace_bytes(), gradient->workspace_bytes());
  if (class_energies != nullptr) {
    most = std::max(most, class_energies->workspace_bytes());
  }
  for (const auto& plan : blocks.plans) {
    if (plan != nullptr) most = std::max(most, plan->workspace_bytes());
  }
  return most;
}

size_t TilePlans::workspace_bytes() const {
  const size_t plans = plan_workspace_bytes();
  if (blocks.size() == 0) return plans;
  return plans + BlockScratch::bytes(*blocks.tables, rows);
}

std::unique_ptr<ModelFunction> BindPlans(const TilePlans& plans,
                                         Workspace& workspace,
                                         const float* default_context) {
  BASIN_CHECK(workspace.size >= plans.workspace_bytes());
  return std::make_unique<PlannedEnergyFunction>(plans, workspace,
                                                 default_context);
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

std::unique_ptr<ModelFunction> PlannedEnergyModel::Bind(
    int tile_rows, Workspace& workspace) const {
  const auto it = std::find(tile_sizes_.begin(), tile_sizes_.end(), tile_rows);
  BASIN_CHECK(it != tile_sizes_.end());
  return BindPlans(
      parts_.plans[it - tile_sizes_.begin()], workspace,
      reinterpret_cast<const float*>(parts_.default_context.get()));
}

}  // namespace basin::internal
