#ifndef BASIN_CORE_BACKEND_CPU_FLOAT64_KERNELS_H_
#define BASIN_CORE_BACKEND_CPU_FLOAT64_KERNELS_H_

#include "core/backend/cpu/kernel.h"

namespace basin {

// The kernels of a plan of Precision::kFloat64 that share nothing with those
// of floats. Images have their channels first.

// kElementwise.
KernelOr CreateFloat64ElementwiseKernel(const KernelInput& input);
// kMatmul.
KernelOr CreateFloat64MatmulKernel(const KernelInput& input);
// kConv, kConvBackwardData, kConvBackwardWeights.
KernelOr CreateFloat64ConvKernel(const KernelInput& input);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_FLOAT64_KERNELS_H_
