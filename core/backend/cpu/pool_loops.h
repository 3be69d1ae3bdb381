#ifndef BASIN_CORE_BACKEND_CPU_POOL_LOOPS_H_
#define BASIN_CORE_BACKEND_CPU_POOL_LOOPS_H_

// Pooling, see pool_kernels.cc. Plain types only: this header is shared with
// code compiled per instruction set.

#include <cstdint>

namespace basin {

// Windows over images [size.., channels] with results [count.., channels],
// each channel by itself.
struct PoolLoops {
  static constexpr int kAxes = 3;  // axes innermost last
  enum class Kind : uint8_t { kMax, kMaxGrad, kAvg, kAvgGrad };

  Kind kind = Kind::kMax;
  bool divides_by_padded_cells = false;  // kAvg, kAvgGrad

  int64_t images = 1;
  int64_t channels = 1;
  int64_t size[kAxes] = {1, 1, 1};
  int64_t count[kAxes] = {1, 1, 1};
  int64_t kernel[kAxes] = {1, 1, 1};
  int64_t stride[kAxes] = {1, 1, 1};
  int64_t before[kAxes] = {};
  int64_t after[kAxes] = {};
};

// kMax, kAvg: first = x, out = y. kMaxGrad: first = x, second = dy, out = dx.
// kAvgGrad: first = dy, out = dx. Unused ones are any pointer.
template <typename T>
using RunPoolFunction = void (*)(const PoolLoops& loops, const T* first,
                                 const T* second, T* out);

// Defined in core/backend/cpu/pool_isa.cc.
namespace isa_baseline {
extern const RunPoolFunction<float> kRunPool;
extern const RunPoolFunction<double> kRunDoublePool;
}  // namespace isa_baseline
namespace isa_v3 {
extern const RunPoolFunction<float> kRunPool;
extern const RunPoolFunction<double> kRunDoublePool;
}  // namespace isa_v3
namespace isa_v4 {
extern const RunPoolFunction<float> kRunPool;
extern const RunPoolFunction<double> kRunDoublePool;
}  // namespace isa_v4

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_POOL_LOOPS_H_
