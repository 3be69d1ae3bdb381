#include "core/scheduler/tile_memory.h"

#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

// std::vector::resize() keeps the memory it has, so this allocates only for a
// larger tile than any before.
template <typename... Vectors>
void Resize(size_t size, Vectors&... vectors) {
  (vectors.resize(size), ...);
}

}  // namespace

absl::Status TileMemory::Shape(int rows, int capacity, int64_t dimension) {
  BASIN_ASSIGN_OR_RETURN(tile_, buffer_.Shape(rows, capacity, dimension));
  const auto flags = static_cast<size_t>(capacity);
  if (finite_size_ < flags) {
    BASIN_ASSIGN_OR_RETURN(finite_, backend_.Allocate(flags));
    finite_size_ = flags;
  }
  Resize(rows * dimension, host_.states, host_.grad_energies);
  Resize(rows, host_.energies, host_.seed, host_.chain, host_.step);
  Resize(rows, host_.drift, host_.noise, host_.clip, host_.beta, host_.lower,
         host_.upper, host_.flags);
  return absl::OkStatus();
}

}  // namespace basin::internal
