#ifndef BASIN_CORE_BASE_HOST_DEVICE_H_
#define BASIN_CORE_BASE_HOST_DEVICE_H_

// Marks functions of headers that CPU (all instruction sets) and CUDA share.
// Always inlined, so that no copy compiled for one instruction set can be
// linked into code for another.

#ifdef __CUDACC__
#define BASIN_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define BASIN_HOST_DEVICE inline __attribute__((always_inline))
#endif

#endif  // BASIN_CORE_BASE_HOST_DEVICE_H_
