#ifndef BASIN_CORE_MODEL_SAFETENSORS_HEADER_H_
#define BASIN_CORE_MODEL_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "core/model/safetensors.h"

namespace basin::internal {

// Parses the JSON of a header and checks that its tensors fill `data_bytes`
// exactly: no gap, no overlap, as many bytes as shape and type take.
// InvalidArgument names the tensor.
absl::StatusOr<std::map<std::string, SafetensorsFile::Entry>>
ParseSafetensorsHeader(std::string_view json, uint64_t data_bytes,
                       const SafetensorsLimits& limits);

// Bytes of an element of this type, "F32"; 0 if it is unknown.
int SafetensorsElementBytes(std::string_view dtype);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_SAFETENSORS_HEADER_H_
