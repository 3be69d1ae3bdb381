#ifndef BASIN_CORE_BACKEND_CPU_WINOGRAD_KERNEL_H_
#define BASIN_CORE_BACKEND_CPU_WINOGRAD_KERNEL_H_

#include "core/backend/cpu/kernel.h"

namespace basin {

// Whether the node is a kConv or kConvBackwardData with 3 x 3 constant weights
// and stride 1 that Winograd's algorithm computes faster than oneDNN.
bool SuitsWinograd(const KernelInput& input);

// REQUIRES: SuitsWinograd(input).
KernelOr CreateWinogradKernel(const KernelInput& input);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_WINOGRAD_KERNEL_H_
