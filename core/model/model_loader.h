#ifndef BASIN_CORE_MODEL_MODEL_LOADER_H_
#define BASIN_CORE_MODEL_MODEL_LOADER_H_

#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/backend/backend.h"
#include "core/model/energy_model.h"
#include "core/model/families.h"

namespace basin::internal {

// Compiles and checks a model: see EnergyModel::Load(). What `model` holds of
// its files is gone when this returns.
absl::StatusOr<std::shared_ptr<const EnergyModel>> CompileModel(
    const Backend& backend, OpenedModel model,
    const EnergyModel::LoadOptions& options);

// FailedPrecondition if `model`, just read, is not what was loaded before.
absl::Status CheckUnchanged(const OpenedModel& model, const ModelInfo& loaded);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_MODEL_LOADER_H_
