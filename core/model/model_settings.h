#ifndef BASIN_CORE_MODEL_MODEL_SETTINGS_H_
#define BASIN_CORE_MODEL_MODEL_SETTINGS_H_

#include <cstdint>
#include <string>

#include <absl/status/statusor.h>

#include "core/model/energy_model.h"

namespace basin::internal {

// How a file's outputs become the energy.
enum class ModelFamily { kGraph, kClassifier };

// What a config.pbtxt says, checked.
struct ModelSettings {
  static constexpr int64_t kMaxFileBytes = int64_t{1} << 20;
  static constexpr int64_t kMaxDimension = int64_t{1} << 24;
  static constexpr int64_t kMaxSteps = 1'000'000'000;
  static constexpr int kMaxTileRows = 4096;

  ModelFamily family = ModelFamily::kGraph;
  // All but name, version, parameters and operators.
  ModelInfo info;
  int max_tile_rows = 0;  // 0 = chosen at load
};

// Reads the text of a ModelConfig (core/model/model_config.proto).
// InvalidArgument names the line, or the field with what was expected and
// what came.
absl::StatusOr<ModelSettings> ParseModelSettings(const std::string& text);

// As ParseModelSettings(), of a file. NotFound if there is none.
absl::StatusOr<ModelSettings> ReadModelSettings(const std::string& path);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_MODEL_SETTINGS_H_
