#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/families.h"

namespace basin::internal {
namespace {

SourceOr OpenFamily(const ModelFiles& files, ModelSettings* settings) {
  switch (settings->family) {
    case ModelFamily::kGraph:
      return OpenGraph(files, settings);
    case ModelFamily::kClassifier:
      return OpenClassifier(files, settings);
    case ModelFamily::kRbm:
      return OpenRbm(files, settings);
    case ModelFamily::kBoltzmann:
      return OpenBoltzmann(files, settings);
    case ModelFamily::kLattice:
      return OpenLattice(files, settings);
    case ModelFamily::kMixture:
      return OpenMixture(files, settings);
    case ModelFamily::kComposition:
      return OpenComposition(files, settings);
  }
  return absl::InternalError("a family without a file of its own");
}

}  // namespace

std::string ModelFiles::Path(const std::string& name) const {
  return absl::StrCat(folder, "/", version, "/", name);
}

absl::StatusOr<OpenedModel> OpenModel(const ModelFiles& files,
                                      const std::string& name) {
  OpenedModel model;
  BASIN_ASSIGN_OR_RETURN(model.settings, ReadModelSettings(absl::StrCat(
                                             files.folder, "/config.pbtxt")));
  model.settings.info.name = name;
  model.settings.info.version = files.version;
  BASIN_ASSIGN_OR_RETURN(model.source, OpenFamily(files, &model.settings));
  BASIN_RETURN_IF_ERROR(CompleteInitial(&model.settings));
  BASIN_RETURN_IF_ERROR(CompleteLogZ(&model.settings));
  return model;
}

}  // namespace basin::internal
