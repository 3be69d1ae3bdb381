#include "server/runtime.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "basin/v1/common.pb.h"

namespace basin {

absl::StatusOr<std::shared_ptr<const EnergyModel>> Runtime::FindModel(
    const v1::ModelRef& ref) const {
  if (ref.name().empty()) {
    return absl::InvalidArgumentError(
        "model.name: expected the name of a model, got none");
  }
  if (ref.version() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.version: expected 0 (the serving one) or a version, got ",
        ref.version()));
  }
  // Read first: models become known before this becomes true.
  const bool loaded = models_loaded.load();
  auto model = repository->Find(ref.name(), ref.version());
  if (!loaded && absl::IsNotFound(model.status())) {
    return absl::UnavailableError(
        absl::StrCat("model.name: ", ref.name(),
                     " is not there yet: the server loads its models; try "
                     "again in 1s"));
  }
  return model;
}

absl::Duration Runtime::RetryDelay() const {
  const SchedulerLoad load = scheduler->Load();
  return std::clamp(load.estimated_work / std::max(load.workers, 1),
                    absl::Milliseconds(100), absl::Minutes(1));
}

}  // namespace basin
