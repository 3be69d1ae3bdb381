#include "core/scheduler/function_cache.h"

#include <utility>

#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

// The same model, not merely one at the address of another that is gone.
bool IsSame(const std::weak_ptr<const EnergyModel>& a,
            const std::shared_ptr<const EnergyModel>& b) {
  return !a.owner_before(b) && !b.owner_before(a);
}

}  // namespace

absl::StatusOr<ModelFunction*> FunctionCache::Get(
    const std::shared_ptr<const EnergyModel>& model, int tile_size) {
  for (const Bound& bound : functions_) {
    if (bound.tile_size == tile_size && IsSame(bound.model, model)) {
      return bound.function.get();
    }
  }
  std::erase_if(functions_,
                [](const Bound& bound) { return bound.model.expired(); });
  BASIN_RETURN_IF_ERROR(backend_.Reserve(workspace_, model->workspace_bytes()));
  functions_.push_back({model, tile_size, model->Bind(tile_size, workspace_)});
  return functions_.back().function.get();
}

}  // namespace basin::internal
