#ifndef BASIN_CORE_BACKEND_CPU_WINOGRAD_LOOPS_H_
#define BASIN_CORE_BACKEND_CPU_WINOGRAD_LOOPS_H_

// The transforms of Winograd's convolution, see winograd_kernel.cc. Plain types
// only: this header is shared with code compiled per instruction set.

#include <cstdint>

namespace basin {

// Tiles of 2 x 2 results, each from 4 x 4 elements of the image, numbered by
// image, row and column.
struct WinogradTiles {
  static constexpr int kPoints = 16;        // of a transformed tile
  static constexpr int64_t kMultiple = 16;  // that channel counts are of

  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t in_size[2] = {};
  int64_t out_size[2] = {};
  int64_t pad[2] = {};    // zeros before
  int64_t count[2] = {};  // tiles of an image
};

// The tiles first, .., first + count - 1. What is between the transforms is
// [kPoints, count, channels], with the points `stride` floats apart.
struct WinogradChunk {
  int64_t first = 0;
  int64_t count = 0;
  int64_t stride = 0;
};

using WinogradFunction = void (*)(const WinogradTiles& tiles,
                                  const WinogradChunk& chunk, const float* from,
                                  float* to);

// Defined in core/backend/cpu/winograd_isa.cc. Image to points; points to
// image.
namespace isa_baseline {
extern const WinogradFunction kWinogradInput;
extern const WinogradFunction kWinogradOutput;
}  // namespace isa_baseline
namespace isa_v3 {
extern const WinogradFunction kWinogradInput;
extern const WinogradFunction kWinogradOutput;
}  // namespace isa_v3
namespace isa_v4 {
extern const WinogradFunction kWinogradInput;
extern const WinogradFunction kWinogradOutput;
}  // namespace isa_v4

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_WINOGRAD_LOOPS_H_
