#ifndef BASIN_CORE_ONNX_EXTERNAL_DATA_H_
#define BASIN_CORE_ONNX_EXTERNAL_DATA_H_

#include <cstdint>
#include <string>

#include <absl/status/statusor.h>

#include "core/onnx/onnx_proto.h"

namespace basin::internal {

// Reads the bytes that a tensor keeps outside its file. The file must be a
// regular file inside `folder`: absolute paths, "..", and symbolic links that
// lead outside are refused. `expected_bytes` is what the tensor's shape needs,
// already within limits; anything else is InvalidArgument.
absl::StatusOr<std::string> ReadExternalData(const onnx::TensorProto& tensor,
                                             const std::string& folder,
                                             int64_t expected_bytes);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_EXTERNAL_DATA_H_
