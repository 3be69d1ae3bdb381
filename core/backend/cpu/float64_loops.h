#ifndef BASIN_CORE_BACKEND_CPU_FLOAT64_LOOPS_H_
#define BASIN_CORE_BACKEND_CPU_FLOAT64_LOOPS_H_

// Products of doubles, see float64_kernels.cc. Plain types only: this header
// is shared with code compiled per instruction set.

#include <cstdint>

namespace basin {

// out [m, n] = a [m, k] b [k, n], or += with `adds`. `a` has strides in
// elements, b and out are dense.
struct DoubleProduct {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t a_row_stride = 0;
  int64_t a_column_stride = 0;
  bool adds = false;
};

// Each element of the result is summed over k one after the other, so it does
// not depend on m, n or the instruction set.
using MultiplyFunction = void (*)(const DoubleProduct& product, const double* a,
                                  const double* b, double* out);

// Defined in core/backend/cpu/float64_isa.cc.
namespace isa_baseline {
extern const MultiplyFunction kMultiply;
}
namespace isa_v3 {
extern const MultiplyFunction kMultiply;
}
namespace isa_v4 {
extern const MultiplyFunction kMultiply;
}

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_FLOAT64_LOOPS_H_
