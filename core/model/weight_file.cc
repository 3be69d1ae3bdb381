#include "core/model/weight_file.h"

#include <algorithm>
#include <cmath>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/load_limits.h"

namespace basin::internal {

absl::StatusOr<WeightFile> WeightFile::Open(
    const ModelFiles& files, bool (*is_known)(const std::string& name),
    ModelInfo* info) {
  BASIN_ASSIGN_OR_RETURN(
      SafetensorsFile file,
      SafetensorsFile::Open(files.Path("model.safetensors"),
                            SafetensorsLimitsOf(files.limits)));
  for (const auto& [name, entry] : file.entries()) {
    if (is_known(name)) continue;
    return WeightError(
        absl::CHexEscape(name.substr(0, 64)),
        absl::StrCat("family ", info->family, " has no tensor of this name"));
  }
  info->parameters = file.element_count();
  return WeightFile(std::move(file), info->precision);
}

absl::StatusOr<Tensor> WeightFile::Load(const std::string& name,
                                        const Shape& shape) {
  BASIN_ASSIGN_OR_RETURN(Tensor tensor, file_.Load(name, shape, TypeOf(name)));
  for (size_t i = 0; i < static_cast<size_t>(tensor.num_elements()); ++i) {
    const double value = RealAt(tensor, i);
    if (!std::isfinite(value)) {
      return WeightError(name,
                         absl::StrCat("expected finite numbers, got ", value));
    }
  }
  return tensor;
}

DType WeightFile::TypeOf(const std::string& name) const {
  const auto found = file_.entries().find(name);
  if (precision_ != Precision::kFloat64 || found == file_.entries().end()) {
    return DType::kFloat32;
  }
  const std::string& type = found->second.dtype;
  const bool is_long = type == "F64" || type.ends_with("I64") ||
                       type.ends_with("U64") || type.ends_with("I32") ||
                       type.ends_with("U32");
  return is_long ? DType::kFloat64 : DType::kFloat32;
}

absl::StatusOr<Tensor> WeightFile::LoadOr(const std::string& name,
                                          const Shape& shape, float value) {
  return file_.Has(name) ? Load(name, shape) : Filled(shape, value);
}

absl::StatusOr<Shape> WeightFile::ShapeOf(const std::string& name) const {
  const auto found = file_.entries().find(name);
  if (found != file_.entries().end()) return found->second.shape;
  return WeightError(name, "expected it, there is none");
}

Tensor Filled(const Shape& shape, float value) {
  Tensor tensor(DType::kFloat32, shape);
  const auto elements = tensor.mutable_data<float>();
  std::fill(elements.begin(), elements.end(), value);
  return tensor;
}

absl::Status WeightError(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat("model.safetensors: tensor '", name, "': ", what));
}

bool IsNumbered(const std::string& name, char prefix) {
  return name.size() >= 2 && name.size() <= 4 && name[0] == prefix &&
         (name.size() == 2 || name[1] != '0') &&
         std::all_of(name.begin() + 1, name.end(), absl::ascii_isdigit);
}

}  // namespace basin::internal
