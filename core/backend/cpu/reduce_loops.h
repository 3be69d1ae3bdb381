#ifndef BASIN_CORE_BACKEND_CPU_REDUCE_LOOPS_H_
#define BASIN_CORE_BACKEND_CPU_REDUCE_LOOPS_H_

// Sums and maxima over some axes, see reduce_kernel.cc. Plain types only: this
// header is shared with code compiled per instruction set.

#include <cstdint>

namespace basin {

// Loops over the kept axes (outermost first: the result is dense in them) and
// over the reduced ones, with the input's strides in elements. The innermost
// axis of the input, of stride 1, is a separate loop of `inner` elements:
// reduced or kept.
struct ReduceLoops {
  static constexpr int kMaxLoops = 8;
  enum class Inner : uint8_t { kReduced, kKept };
  enum class Kind : uint8_t { kSum, kMax };

  Kind kind = Kind::kSum;
  Inner inner_is = Inner::kReduced;
  int64_t inner = 1;

  int kept_rank = 0;
  int64_t kept_dims[kMaxLoops] = {};
  int64_t kept_strides[kMaxLoops] = {};
  int64_t num_kept = 1;

  int reduced_rank = 0;
  int64_t reduced_dims[kMaxLoops] = {};
  int64_t reduced_strides[kMaxLoops] = {};
  int64_t num_reduced = 1;
};

// The order of the additions for one element of the result depends on the
// sizes of the reduced axes only.
using RunReduceFunction = void (*)(const ReduceLoops& loops, const float* x,
                                   float* out);

// The same in double.
using RunWideReduceFunction = void (*)(const ReduceLoops& loops, const float* x,
                                       double* out);
using RunDoubleReduceFunction = void (*)(const ReduceLoops& loops,
                                         const double* x, double* out);

// Defined in core/backend/cpu/reduce_isa.cc.
namespace isa_baseline {
extern const RunReduceFunction kRunReduce;
extern const RunWideReduceFunction kRunWideReduce;
extern const RunDoubleReduceFunction kRunDoubleReduce;
}  // namespace isa_baseline
namespace isa_v3 {
extern const RunReduceFunction kRunReduce;
extern const RunWideReduceFunction kRunWideReduce;
extern const RunDoubleReduceFunction kRunDoubleReduce;
}  // namespace isa_v3
namespace isa_v4 {
extern const RunReduceFunction kRunReduce;
extern const RunWideReduceFunction kRunWideReduce;
extern const RunDoubleReduceFunction kRunDoubleReduce;
}  // namespace isa_v4

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_REDUCE_LOOPS_H_
