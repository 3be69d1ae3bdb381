#ifndef BASIN_CORE_MODEL_LOAD_LIMITS_H_
#define BASIN_CORE_MODEL_LOAD_LIMITS_H_

#include "core/model/energy_model.h"
#include "core/model/safetensors.h"
#include "core/onnx/onnx_model.h"

namespace basin::internal {

// What the files of a model may ask for.
OnnxLimits OnnxLimitsOf(const EnergyModel::LoadOptions& options);
SafetensorsLimits SafetensorsLimitsOf(const EnergyModel::LoadOptions& options);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_LOAD_LIMITS_H_
