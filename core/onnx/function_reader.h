#ifndef BASIN_CORE_ONNX_FUNCTION_READER_H_
#define BASIN_CORE_ONNX_FUNCTION_READER_H_

// The functions that a file defines, and who calls whom.

#include <cstdint>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include "core/onnx/model_reader.h"
#include "core/onnx/onnx_proto.h"

namespace basin::internal {

inline bool IsDefaultDomain(absl::string_view domain) {
  return domain.empty() || domain == "ai.onnx";
}

// The opset of the default domain in a list of imports; 0 if it is not listed.
// Unimplemented if Basin does not know that opset.
absl::StatusOr<int64_t> ReadOpset(
    const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>&
        imports);

// Fills model.parts.functions from model.functions, whose bodies it does not
// look at. InvalidArgument if a name is not unique.
absl::Status ListFunctions(ParsedModel& model);

// InvalidArgument if a function calls itself, if calls are nested too deep, or
// if what the model's nodes unroll to is certainly above the limit: known
// before anything is unrolled, from the sizes of functions.
// REQUIRES: ListFunctions().
absl::Status CheckCalls(const ParsedModel& model);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_FUNCTION_READER_H_
