#ifndef BASIN_CORE_BACKEND_CPU_CONV_COLUMNS_KERNEL_H_
#define BASIN_CORE_BACKEND_CPU_CONV_COLUMNS_KERNEL_H_

#include "core/backend/cpu/kernel.h"

namespace basin {

// Whether the node is a kConvBackwardData to an image of few channels.
bool SuitsColumns(const KernelInput& input);

// REQUIRES: SuitsColumns(input).
KernelOr CreateColumnsKernel(const KernelInput& input);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_CONV_COLUMNS_KERNEL_H_
