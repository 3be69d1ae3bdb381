#include "core/backend/chain_tile_buffer.h"

#include <limits>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"

namespace basin {
namespace {

constexpr size_t kAlignment = 64;  // bytes

// Hands out arrays one after the other; with a null base it only counts.
class Layout {
 public:
  explicit Layout(std::byte* base) : base_(base) {}

  template <typename T>
  void Place(size_t elements, T*& array) {
    array = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + size_);
    size_ += (elements * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }
  size_t size() const { return size_; }

 private:
  std::byte* const base_;
  size_t size_ = 0;
};

// Sets the arrays of `tile` for `capacity` rows; returns the bytes they take.
size_t PlaceArrays(std::byte* base, size_t capacity,
                   const ChainTileBuffer::Parts& parts, ChainTile& tile) {
  Layout layout(base);
  const size_t elements = capacity * static_cast<size_t>(tile.dimension);
  layout.Place(elements, tile.position);
  layout.Place(elements, tile.grad_energy);
  layout.Place(elements, tile.proposal);
  layout.Place(elements, tile.proposal_grad_energy);
  layout.Place(capacity, tile.energy);
  layout.Place(capacity, tile.proposal_energy);
  layout.Place(capacity, tile.log_ratio);
  layout.Place(capacity, tile.surrogate_energy);
  layout.Place(capacity, tile.surrogate_proposal_energy);
  layout.Place(capacity, tile.seed);
  layout.Place(capacity, tile.chain);
  layout.Place(capacity, tile.step);
  layout.Place(capacity, tile.coefficients);
  if (parts.momentum) {
    layout.Place(elements, tile.momentum);
    layout.Place(elements, tile.proposal_momentum);
  }
  if (parts.scale) layout.Place(elements, tile.scale);
  if (parts.factor) layout.Place(capacity, tile.factor);
  const size_t faces = parts.box_per_coordinate ? elements : capacity;
  layout.Place(faces, tile.lower);
  layout.Place(faces, tile.upper);
  layout.Place(capacity, tile.accepted);
  return layout.size();
}

}  // namespace

absl::StatusOr<ChainTile> ChainTileBuffer::Shape(int rows, int capacity,
                                                 int64_t dimension,
                                                 const Parts& parts) {
  BASIN_CHECK(rows >= 0 && capacity >= rows && dimension >= 0);
  // Nine [capacity, D] arrays of floats and 112 bytes per row must be
  // countable.
  constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max() / 64;
  if (capacity > 0 && dimension > kMaxElements / capacity) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "a tile of ", capacity, " rows of ", dimension, " elements"));
  }
  ChainTile tile;
  tile.rows = rows;
  tile.dimension = dimension;
  tile.box_columns = parts.box_per_coordinate ? dimension : 1;
  const size_t needed = PlaceArrays(nullptr, capacity, parts, tile);
  if (needed > size_) {
    memory_.reset();
    size_ = 0;
    BASIN_ASSIGN_OR_RETURN(memory_, backend_.Allocate(needed));
    size_ = needed;
  }
  PlaceArrays(memory_.get(), capacity, parts, tile);
  const size_t unused =
      static_cast<size_t>(capacity - rows) * static_cast<size_t>(dimension);
  if (zeros_.size() < unused * sizeof(float)) {
    zeros_.resize(unused * sizeof(float));
  }
  const int64_t first = rows * dimension;
  backend_.CopyToDevice(tile.position + first, zeros_.data(),
                        unused * sizeof(float));
  backend_.CopyToDevice(tile.proposal + first, zeros_.data(),
                        unused * sizeof(float));
  return tile;
}

}  // namespace basin
