#ifndef BASIN_CORE_ONNX_PROTO_SCAN_H_
#define BASIN_CORE_ONNX_PROTO_SCAN_H_

#include <cstdint>

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

namespace basin::internal {

// An upper estimate of the memory that parsing `bytes` as an onnx::ModelProto
// takes, found by walking the wire format without building anything. Two bytes
// of input can ask for an object of hundreds of bytes, so a limit on the input
// alone limits nothing. InvalidArgument if the bytes are not well-formed.
absl::StatusOr<int64_t> EstimateParsedBytes(absl::string_view bytes);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_PROTO_SCAN_H_
