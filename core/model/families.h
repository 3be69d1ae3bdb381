#ifndef BASIN_CORE_MODEL_FAMILIES_H_
#define BASIN_CORE_MODEL_FAMILIES_H_

// The families, one file each. Every function reads its files, completes what
// settings->info says of states, domain, context, classes and parameters, and
// gives the energy. InvalidArgument says what of the files or the
// configuration was expected and what came.

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "core/model/energy_model.h"
#include "core/model/energy_source.h"
#include "core/model/model_settings.h"

namespace basin::internal {

// Where a model is.
struct ModelFiles {
  std::string folder;  // has config.pbtxt, and a folder per version
  int64_t version = 0;
  EnergyModel::LoadOptions limits;
  int depth = 0;  // of compositions that this one is a term of
  // How many more terms may be opened, compositions of compositions and all.
  std::shared_ptr<int> terms_left = std::make_shared<int>(64);

  // A file of the version.
  std::string Path(const std::string& name) const;
};

using SourceOr = absl::StatusOr<std::shared_ptr<const EnergySource>>;

// model.onnx with the output "energy" [N] or [N, 1].
SourceOr OpenGraph(const ModelFiles& files, ModelSettings* settings);

// model.onnx with the output "logits" [N, K]. Adds the context input "label".
SourceOr OpenClassifier(const ModelFiles& files, ModelSettings* settings);

// model.safetensors, as model_config.proto says for each.
SourceOr OpenRbm(const ModelFiles& files, ModelSettings* settings);
SourceOr OpenBoltzmann(const ModelFiles& files, ModelSettings* settings);
SourceOr OpenLattice(const ModelFiles& files, ModelSettings* settings);
SourceOr OpenMixture(const ModelFiles& files, ModelSettings* settings);

// Opens the terms, which lie beside `files.folder`. Compositions of
// compositions are at most 4 deep.
SourceOr OpenComposition(const ModelFiles& files, ModelSettings* settings);

// A model's files, read and ready to be compiled.
struct OpenedModel {
  ModelSettings settings;  // complete
  std::shared_ptr<const EnergySource> source;
};

// Reads the configuration and the files of the family that it names.
// `name` and files.version go into settings.info.
absl::StatusOr<OpenedModel> OpenModel(const ModelFiles& files,
                                      const std::string& name);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_FAMILIES_H_
