#ifndef BASIN_CORE_BACKEND_CHAIN_TILE_BUFFER_H_
#define BASIN_CORE_BACKEND_CHAIN_TILE_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include <absl/status/statusor.h>

#include "core/backend/backend.h"
#include "core/backend/chain_tile.h"

namespace basin {

// Owns the arrays of one worker's tile. They grow to the largest tile seen and
// are then used again, so a steady state allocates nothing. Not thread-safe;
// owned by its worker.
class ChainTileBuffer {
 public:
  // `backend` must outlive this object.
  explicit ChainTileBuffer(const Backend& backend) : backend_(backend) {}

  // The arrays that not every tile has.
  struct Parts {
    bool momentum = false;
    bool scale = false;
    bool factor = false;
    bool box_per_coordinate = false;
  };

  // A tile of `rows` chains whose arrays have room for `capacity` rows
  // (capacity >= rows: the row count of the plan). Rows of position and
  // proposal from `rows` on are zero, so that plans read no garbage; all else
  // is undefined. Earlier tiles of this buffer become invalid.
  // ResourceExhausted if the device has no memory.
  absl::StatusOr<ChainTile> Shape(int rows, int capacity, int64_t dimension,
                                  const Parts& parts);

  size_t bytes() const { return size_; }

 private:
  const Backend& backend_;
  DeviceMemory memory_;
  size_t size_ = 0;               // bytes
  std::vector<std::byte> zeros_;  // to clear rows with
};

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CHAIN_TILE_BUFFER_H_
