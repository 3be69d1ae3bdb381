#include "core/tensor/tensor.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace basin {
namespace {

constexpr std::align_val_t kAlignment{64};

std::shared_ptr<std::byte[]> AllocateZeroed(size_t bytes) {
  auto* memory = static_cast<std::byte*>(
      ::operator new(std::max<size_t>(bytes, 1), kAlignment));
  std::memset(memory, 0, bytes);
  return {memory, [](std::byte* p) { ::operator delete(p, kAlignment); }};
}

}  // namespace

Tensor::Tensor() : Tensor(DType::kFloat32, Shape({0})) {}

Tensor::Tensor(DType dtype, const Shape& shape)
    : dtype_(dtype), shape_(shape), buffer_(AllocateZeroed(byte_size())) {}

size_t Tensor::byte_size() const {
  return static_cast<size_t>(num_elements()) * ByteSize(dtype_);
}

Tensor Tensor::Reshaped(const Shape& shape) const {
  BASIN_CHECK(shape.num_elements() == num_elements());
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

}  // namespace basin
