#ifndef BASIN_CORE_BACKEND_CPU_REGISTER_LANES_H_
#define BASIN_CORE_BACKEND_CPU_REGISTER_LANES_H_

// Vectors of as many floats as a register holds: compilers make poor code of
// wider ones. For the files that are compiled once per instruction set alone,
// see core/base/cpu_isa.h.

namespace basin::BASIN_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

}  // namespace basin::BASIN_ISA

#endif  // BASIN_CORE_BACKEND_CPU_REGISTER_LANES_H_
