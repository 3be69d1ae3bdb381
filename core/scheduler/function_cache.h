#ifndef BASIN_CORE_SCHEDULER_FUNCTION_CACHE_H_
#define BASIN_CORE_SCHEDULER_FUNCTION_CACHE_H_

#include <memory>
#include <vector>

#include <absl/status/statusor.h>

#include "core/backend/backend.h"
#include "core/model/energy_function.h"
#include "core/model/energy_model.h"

namespace basin::internal {

// One worker's energy functions, by model and tile size, and the workspace
// they share. Keeps no model alive: functions whose model is gone are dropped
// when the next one is added. Not thread-safe; owned by its worker.
class FunctionCache {
 public:
  explicit FunctionCache(const Backend& backend) : backend_(backend) {}

  // The function of `model` for tiles of `tile_size`; valid while the caller
  // holds the model and makes no other call. ResourceExhausted if there is no
  // memory for the workspace.
  absl::StatusOr<ModelFunction*> Get(
      const std::shared_ptr<const EnergyModel>& model, int tile_size);

  size_t size() const { return functions_.size(); }

 private:
  struct Bound {
    std::weak_ptr<const EnergyModel> model;
    int tile_size = 0;
    std::unique_ptr<ModelFunction> function;
  };

  const Backend& backend_;
  Workspace workspace_;
  std::vector<Bound> functions_;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_FUNCTION_CACHE_H_
