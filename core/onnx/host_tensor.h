#ifndef BASIN_CORE_ONNX_HOST_TENSOR_H_
#define BASIN_CORE_ONNX_HOST_TENSOR_H_

// Computation on constants at import: what shape arithmetic in ONNX files
// needs. Tensors are float32, float64 or int64; real operands of one call are
// of one type, and results of that type are computed in it. Every
// result takes its memory from `bytes_left`, the budget for constants, before
// it is allocated. Pure functions.

#include <cstdint>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/graph/graph.h"
#include "core/graph/scalar_program.h"
#include "core/tensor/tensor.h"

namespace basin::internal {

// NumPy's broadcasting rule. InvalidArgument if the shapes do not fit.
absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b);

// Whether the result is 0 or 1: less, less_equal, equal.
bool IsComparison(ScalarOp op);

// One scalar operation for each element, after broadcasting. Operands are of
// one type, but for select's condition; the result is of that type too, and
// int64 for comparisons. Integers know neg, abs, sign, add, sub, mul, div, pow,
// max, min, comparisons and select; overflow is InvalidArgument.
absl::StatusOr<Tensor> HostElementwise(ScalarOp op,
                                       absl::Span<const Tensor> operands,
                                       int64_t& bytes_left);

// Result axis i is axis permutation[i] of `x`.
// REQUIRES: a permutation of x's axes.
absl::StatusOr<Tensor> HostTranspose(const Tensor& x,
                                     const IntList& permutation,
                                     int64_t& bytes_left);

// REQUIRES: attributes within x's shape, as SliceAttrs states.
absl::StatusOr<Tensor> HostSlice(const Tensor& x, const SliceAttrs& attributes,
                                 int64_t& bytes_left);

// [.., n, ..] -> [.., k, ..], along `axis`.
// REQUIRES: 0 <= axis < rank; 0 <= index < n for all k indices.
absl::StatusOr<Tensor> HostGather(const Tensor& x,
                                  absl::Span<const int64_t> indices, int axis,
                                  int64_t& bytes_left);

// InvalidArgument if shapes differ beyond `axis`.
// REQUIRES: at least one tensor; all of one type; 0 <= axis < rank of the
// first.
absl::StatusOr<Tensor> HostConcat(absl::Span<const Tensor> xs, int axis,
                                  int64_t& bytes_left);

// REQUIRES: x broadcasts to `shape`.
absl::StatusOr<Tensor> HostBroadcast(const Tensor& x, const Shape& shape,
                                     int64_t& bytes_left);

// kReduceSum or kReduceMax over `axes`, which stay, of size 1. InvalidArgument
// for a maximum of nothing, and where integers overflow.
// REQUIRES: axes of x.
absl::StatusOr<Tensor> HostReduce(Op op, const Tensor& x, const IntList& axes,
                                  int64_t& bytes_left);

// To kInt64, towards zero: InvalidArgument if an element is not representable.
// To kFloat32, which stands for all real numbers: float64 if there is an
// integer that float32 does not hold; real numbers stay as they are.
absl::StatusOr<Tensor> HostCast(const Tensor& x, DType dtype,
                                int64_t& bytes_left);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_HOST_TENSOR_H_
