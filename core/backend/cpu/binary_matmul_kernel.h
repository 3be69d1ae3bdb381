#ifndef BASIN_CORE_BACKEND_CPU_BINARY_MATMUL_KERNEL_H_
#define BASIN_CORE_BACKEND_CPU_BINARY_MATMUL_KERNEL_H_

#include "core/backend/cpu/kernel.h"

namespace basin {

// Whether the node is a kMatmul of zeros and ones, from an input of such (see
// InputAttrs), with constant weights, large enough that tables of partial sums
// beat multiplication.
bool SuitsBinaryMatmul(const KernelInput& input);

// REQUIRES: SuitsBinaryMatmul(input).
KernelOr CreateBinaryMatmulKernel(const KernelInput& input);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_BINARY_MATMUL_KERNEL_H_
