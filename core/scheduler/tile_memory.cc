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

absl::Status TileMemory::Shape(int rows, int capacity, const ModelInfo& model,
                               const ChainTileBuffer::Parts& parts) {
  const int64_t dimension = model.dimension;
  BASIN_ASSIGN_OR_RETURN(tile_,
                         buffer_.Shape(rows, capacity, dimension, parts));
  tile_.classes = model.domain.classes;
  capacity_ = capacity;
  const auto places = static_cast<size_t>(capacity);
  BASIN_RETURN_IF_ERROR(backend_.Reserve(finite_, places));
  BASIN_RETURN_IF_ERROR(backend_.Reserve(
      context_, places * model.context_dimension * sizeof(float)));
  BASIN_RETURN_IF_ERROR(backend_.Reserve(
      class_energies_, places * model.classes * sizeof(double)));
  const size_t unused = (places - rows) * model.context_dimension;
  if (host_.zeros.size() < unused) host_.zeros.resize(unused);
  backend_.CopyToDevice(context() + rows * model.context_dimension,
                        host_.zeros.data(), unused * sizeof(float));
  Resize(rows * dimension, host_.states, host_.grad_energies);
  Resize(rows, host_.energies, host_.log_ratio, host_.seed, host_.chain,
         host_.step);
  Resize(rows, host_.coefficients, host_.flags);
  Resize(parts.scale ? rows * dimension : 0, host_.scale);
  Resize(parts.factor ? rows : 0, host_.factor);
  Resize(rows * tile_.box_columns, host_.lower, host_.upper);
  return absl::OkStatus();
}

}  // namespace basin::internal
