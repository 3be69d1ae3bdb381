#include "core/model/energy_model.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/model/families.h"
#include "core/model/model_loader.h"

namespace basin {

absl::StatusOr<std::shared_ptr<const EnergyModel>> EnergyModel::Load(
    const Backend& backend, const std::string& folder, const std::string& name,
    int64_t version, const LoadOptions& options) {
  BASIN_ASSIGN_OR_RETURN(
      internal::OpenedModel model,
      internal::OpenModel(
          {.folder = folder, .version = version, .limits = options}, name));
  return internal::CompileModel(backend, std::move(model), options);
}

int TileSizeFor(absl::Span<const int> tile_sizes, int64_t rows) {
  BASIN_CHECK(!tile_sizes.empty());
  for (const int size : tile_sizes) {
    if (size >= rows) return size;
  }
  return tile_sizes.back();
}

}  // namespace basin
