#ifndef BASIN_CORE_ONNX_TENSOR_READER_H_
#define BASIN_CORE_ONNX_TENSOR_READER_H_

#include <cstdint>
#include <string>

#include <absl/status/statusor.h>

#include "core/onnx/onnx_model.h"
#include "core/onnx/onnx_proto.h"
#include "core/tensor/tensor.h"

namespace basin::internal {

// Whether elements of an ONNX type become float32 (every floating-point type
// but complex ones) or int64 (every integer type and bool) here.
// Unimplemented, naming the type, for all others.
absl::StatusOr<DType> ImportedDType(int32_t onnx_type);

// "FLOAT", "INT8", ... or the number.
std::string OnnxTypeName(int32_t onnx_type);

// Subtracts `elements` of `dtype` from `bytes_left`, the budget for constants.
// InvalidArgument if it does not hold that many.
absl::Status TakeFromBudget(DType dtype, int64_t elements, int64_t& bytes_left);

// Converts a tensor of a file to float32, or float64 if it is that and
// `doubles` are kept, or int64. Its memory is taken from `bytes_left` before it
// is allocated. External data is read from below `folder`, and refused if that
// is empty.
absl::StatusOr<Tensor> ReadTensor(const onnx::TensorProto& proto,
                                  const std::string& folder,
                                  int64_t& bytes_left,
                                  OnnxDoubles doubles = OnnxDoubles::kRound);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_TENSOR_READER_H_
