#include "core/base/cpu_isa.h"

#include <algorithm>
#include <atomic>

namespace basin {
namespace {

std::atomic<CpuIsa> max_isa{CpuIsa::kV4};

}  // namespace

std::string_view Name(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kV4:
      return "x86-64-v4";
    case CpuIsa::kV3:
      return "x86-64-v3";
    case CpuIsa::kBaseline:
      break;
  }
  return "x86-64";
}

CpuIsa DetectedIsa() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return CpuIsa::kV4;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi2")) {
    return CpuIsa::kV3;
  }
  return CpuIsa::kBaseline;
}

CpuIsa ActiveIsa() {
  return std::min(DetectedIsa(), max_isa.load(std::memory_order_relaxed));
}

void SetMaxIsa(CpuIsa isa) { max_isa.store(isa, std::memory_order_relaxed); }

}  // namespace basin
