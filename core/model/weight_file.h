#ifndef BASIN_CORE_MODEL_WEIGHT_FILE_H_
#define BASIN_CORE_MODEL_WEIGHT_FILE_H_

#include <string>
#include <utility>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/model/families.h"
#include "core/model/safetensors.h"

namespace basin::internal {

// The model.safetensors of a model. Not thread-safe.
class WeightFile {
 public:
  // InvalidArgument if the file has tensors that `is_known` does not know: a
  // misspelt name would otherwise be a tensor of zeros. Sets info->parameters.
  // Where info->precision is kFloat64, F64 and integers of 32 bits and more are
  // loaded as float64; all else is float32.
  static absl::StatusOr<WeightFile> Open(
      const ModelFiles& files, bool (*is_known)(const std::string& name),
      ModelInfo* info);

  const SafetensorsFile& file() const { return file_; }

  // The tensor, which must be of this shape, with finite elements.
  absl::StatusOr<Tensor> Load(const std::string& name, const Shape& shape);
  // As Load(), or `value` everywhere if the file has no such tensor.
  absl::StatusOr<Tensor> LoadOr(const std::string& name, const Shape& shape,
                                float value);
  // The shape of a tensor that must be there.
  absl::StatusOr<Shape> ShapeOf(const std::string& name) const;

 private:
  WeightFile(SafetensorsFile file, Precision precision)
      : file_(std::move(file)), precision_(precision) {}

  DType TypeOf(const std::string& name) const;

  SafetensorsFile file_;
  Precision precision_;
};

// `value` everywhere.
Tensor Filled(const Shape& shape, float value);

// InvalidArgument: `what` of `name` in model.safetensors.
absl::Status WeightError(const std::string& name, const std::string& what);

// Whether `name` is `prefix` and a number below 1000, as "W12".
bool IsNumbered(const std::string& name, char prefix);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_WEIGHT_FILE_H_
