#ifndef BASIN_CORE_BASE_CPU_ISA_H_
#define BASIN_CORE_BASE_CPU_ISA_H_

// One binary, several instruction sets. A file of vectorised loops is compiled
// once per CpuIsa (basin_isa_sources() in deploy/cmake/BasinTargets.cmake) with
// BASIN_ISA set to isa_baseline, isa_v3 or isa_v4; it puts everything into
// `namespace basin::BASIN_ISA` and offers one table of functions, of which
// SelectByIsa() takes the right one. Such a file includes no header with inline
// functions that another file could share (no Eigen, no Abseil): the linker
// would keep one copy, of any instruction set.

#include <string_view>

namespace basin {

// The micro-architecture levels of the x86-64 psABI; kBaseline is SSE2.
enum class CpuIsa { kBaseline = 0, kV3 = 1, kV4 = 2 };

// "x86-64", "x86-64-v3" (AVX2), "x86-64-v4" (AVX-512).
std::string_view Name(CpuIsa isa);

// The best set that this processor and operating system support.
CpuIsa DetectedIsa();

// The set in use: DetectedIsa() capped by SetMaxIsa(). Thread-safe.
CpuIsa ActiveIsa();

// Caps ActiveIsa(), so that a mixed fleet agrees on its bytes.
// REQUIRES: called before anything that computes, from one thread.
void SetMaxIsa(CpuIsa isa);

// Picks the member of a per-set family that ActiveIsa() calls for.
template <typename T>
const T& SelectByIsa(const T& baseline, const T& v3, const T& v4) {
  switch (ActiveIsa()) {
    case CpuIsa::kV4:
      return v4;
    case CpuIsa::kV3:
      return v3;
    case CpuIsa::kBaseline:
      break;
  }
  return baseline;
}

}  // namespace basin

#endif  // BASIN_CORE_BASE_CPU_ISA_H_
