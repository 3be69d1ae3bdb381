#ifndef BASIN_CORE_SCHEDULER_TILE_MEMORY_H_
#define BASIN_CORE_SCHEDULER_TILE_MEMORY_H_

#include <cstdint>
#include <vector>

#include <absl/status/status.h>

#include "core/backend/backend.h"
#include "core/backend/chain_tile.h"
#include "core/backend/chain_tile_buffer.h"
#include "core/model/model_info.h"

namespace basin::internal {

// One worker's tile on the device, and host arrays of the same shapes for
// what goes there and comes back. All grow to the largest tile seen. Not
// thread-safe; owned by its worker.
class TileMemory {
 public:
  // `backend` must outlive this object.
  explicit TileMemory(const Backend& backend)
      : backend_(backend), buffer_(backend) {}

  // Shapes tile(), context(), class_energies() and the host arrays for `rows`
  // rows of `model` in a plan of `capacity`. ResourceExhausted if there is no
  // memory.
  absl::Status Shape(int rows, int capacity, const ModelInfo& model,
                     const ChainTileBuffer::Parts& parts);

  const Backend& backend() const { return backend_; }
  ChainTile& tile() { return tile_; }
  int capacity() const { return capacity_; }  // rows that arrays have room for
  // [capacity, C]; zeros in the rows beyond `rows`.
  float* context() { return reinterpret_cast<float*>(context_.memory.get()); }
  // [capacity, K].
  double* class_energies() {
    return reinterpret_cast<double*>(class_energies_.memory.get());
  }
  uint8_t* finite() { return reinterpret_cast<uint8_t*>(finite_.memory.get()); }

  // Per row of the tile.
  struct Host {
    std::vector<float> states;         // [rows, D]
    std::vector<double> energies;      // [rows]
    std::vector<float> grad_energies;  // [rows, D]
    std::vector<uint64_t> seed, chain, step;
    std::vector<ChainCoefficients> coefficients;
    std::vector<float> scale;          // [rows, D] where the tile has one
    std::vector<const float*> factor;  // the same
    std::vector<double> log_ratio;     // [rows]
    std::vector<float> lower, upper;   // [rows, box_columns]
    std::vector<uint8_t> flags;
    std::vector<float> zeros;
  };
  Host& host() { return host_; }

  // Copies all of `from` to the device.
  template <typename T>
  void Upload(T* to, const std::vector<T>& from) {
    backend_.CopyToDevice(to, from.data(), from.size() * sizeof(T));
  }

 private:
  const Backend& backend_;
  ChainTileBuffer buffer_;
  Workspace finite_;
  Workspace context_;
  Workspace class_energies_;
  ChainTile tile_;
  int capacity_ = 0;
  Host host_;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_TILE_MEMORY_H_
