#ifndef BASIN_CORE_MODEL_ONNX_SOURCE_H_
#define BASIN_CORE_MODEL_ONNX_SOURCE_H_

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "core/model/energy_source.h"
#include "core/model/model_settings.h"
#include "core/onnx/onnx_model.h"

namespace basin::internal {

// A model.onnx with its inputs sorted into states and context. Immutable;
// thread-safe.
class OnnxSource {
 public:
  // Reads the file, and completes the states, context inputs, parameters and
  // operators of settings->info. InvalidArgument if the file's inputs are not
  // what the configuration says.
  static absl::StatusOr<OnnxSource> Open(const std::string& path,
                                         const OnnxLimits& limits,
                                         ModelSettings* settings);

  // A value of the file's outputs.
  struct Output {
    std::string name;
    ValueId value = GraphBuilder::kNoValue;
  };

  // Appends the file's graph to `builder` and returns its only output, or the
  // one of this name.
  absl::StatusOr<Output> Append(const SourceInputs& inputs, int rows,
                                const std::string& output,
                                GraphBuilder& builder) const;

 private:
  // Where an input of the file comes from: a state, or a context input.
  struct Origin {
    bool is_state = false;
    size_t index = 0;
  };

  absl::Status MatchStates(ModelInfo* info);
  absl::Status MatchContext(const ModelSettings& settings, ModelInfo* info);

  std::shared_ptr<const OnnxModel> onnx_;
  std::vector<StateInput> states_;
  std::vector<Origin> origins_;  // of each input of the file
};

// InvalidArgument: `output` of model.onnx is not what the family expects.
absl::Status OutputShapeError(const OnnxSource::Output& output,
                              const std::string& expected, int rows,
                              const Shape& got);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_ONNX_SOURCE_H_
