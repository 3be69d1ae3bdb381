#include "core/model/load_limits.h"

#include <algorithm>

namespace basin::internal {

OnnxLimits OnnxLimitsOf(const EnergyModel::LoadOptions& options) {
  const auto memory = static_cast<int64_t>(options.max_memory_bytes);
  OnnxLimits limits;
  limits.max_file_bytes =
      std::min(limits.max_file_bytes, options.max_file_bytes);
  limits.max_constant_bytes = std::min(limits.max_constant_bytes, memory);
  limits.max_parsed_bytes = std::min(limits.max_parsed_bytes, memory);
  limits.max_elements = std::min(limits.max_elements,
                                 memory / static_cast<int64_t>(sizeof(float)));
  return limits;
}

SafetensorsLimits SafetensorsLimitsOf(const EnergyModel::LoadOptions& options) {
  SafetensorsLimits limits;
  limits.max_file_bytes =
      std::min(limits.max_file_bytes, options.max_file_bytes);
  limits.max_tensor_bytes = std::min(
      limits.max_tensor_bytes, static_cast<int64_t>(options.max_memory_bytes));
  return limits;
}

}  // namespace basin::internal
