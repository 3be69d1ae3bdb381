#ifndef BASIN_CORE_MODEL_ENERGY_GRAPH_H_
#define BASIN_CORE_MODEL_ENERGY_GRAPH_H_

#include <cstdint>

#include <absl/status/statusor.h>

#include "core/graph/graph.h"
#include "core/model/model_settings.h"
#include "core/onnx/onnx_model.h"

namespace basin::internal {

// Finds the model's input, and completes settings->info with what the file
// says. InvalidArgument if the file's inputs are not what the configuration
// says.
absl::Status MatchInput(const OnnxModel& onnx, ModelSettings* settings);

// The model for `rows` rows: one input [rows, D...], one output, the energy
// [rows]. Of family kGraph it is the file's only output or the one named
// "energy", [rows] or [rows, 1]; of kClassifier it is -logsumexp over the
// classes of its only output or the one named "logits", [rows, K].
// REQUIRES: MatchInput() was OK. With one row some wrong outputs look right:
// check a model with more.
absl::StatusOr<Graph> EnergyGraph(const OnnxModel& onnx,
                                  const ModelSettings& settings, int rows);

// Bytes of the constants of `graph`, each counted once.
int64_t ConstantBytes(const Graph& graph);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_ENERGY_GRAPH_H_
