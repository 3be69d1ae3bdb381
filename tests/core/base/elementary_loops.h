#ifndef BASIN_TESTS_CORE_BASE_ELEMENTARY_LOOPS_H_
#define BASIN_TESTS_CORE_BASE_ELEMENTARY_LOOPS_H_

// Loops over the elementary functions, compiled once per instruction set.
// Plain types only, see core/base/cpu_isa.h.

#include <cstdint>

namespace basin {

enum class Elementary {
  kExp,
  kLog,
  kSigmoid,
  kSoftplus,
  kTanh,
  kErf,
  kSin,
  kCos,
  kFloor,
  kSinh,
  kAsin,
  kAcos,
  kAtan,
  kAsinh,
  kAcosh,
  kAtanh,
  kPow,
  kCount,
};

// out[i] = f(x[i]), or Pow(x[i], y[i]).
using ElementaryLoop = void (*)(const float* x, const float* y, float* out,
                                int64_t n);

struct ElementaryLoops {
  ElementaryLoop loops[static_cast<int>(Elementary::kCount)];
};

// Defined in elementary_isa.cc.
namespace isa_baseline {
extern const ElementaryLoops kElementaryLoops;
}
namespace isa_v3 {
extern const ElementaryLoops kElementaryLoops;
}
namespace isa_v4 {
extern const ElementaryLoops kElementaryLoops;
}

}  // namespace basin

#endif  // BASIN_TESTS_CORE_BASE_ELEMENTARY_LOOPS_H_
