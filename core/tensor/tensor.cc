#include "core/tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
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

float ToFloat32(double value) {
  // A double beyond float's range is undefined to convert.
  constexpr double kMax = std::numeric_limits<float>::max();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (value > kMax) return kInfinity;
  if (value < -kMax) return -kInfinity;
  return static_cast<float>(value);
}

Tensor RealScalar(double value) {
  const float narrow = ToFloat32(value);
  const bool is_exact = std::isnan(value) || narrow == value;
  return is_exact ? Tensor::Scalar(narrow) : Tensor::Scalar(value);
}

bool IsReal(const Tensor& tensor) {
  return tensor.dtype() == DType::kFloat32 || tensor.dtype() == DType::kFloat64;
}

double RealAt(const Tensor& tensor, size_t i) {
  return tensor.dtype() == DType::kFloat32 ? tensor.data<float>()[i]
                                           : tensor.data<double>()[i];
}

Tensor Widened(const Tensor& tensor) {
  if (tensor.dtype() == DType::kFloat64) return tensor;
  const auto elements = tensor.data<float>();
  Tensor result(DType::kFloat64, tensor.shape());
  std::copy(elements.begin(), elements.end(),
            result.mutable_data<double>().begin());
  return result;
}

Tensor Narrowed(const Tensor& tensor) {
  if (tensor.dtype() == DType::kFloat32) return tensor;
  const auto elements = tensor.data<double>();
  Tensor result(DType::kFloat32, tensor.shape());
  std::transform(elements.begin(), elements.end(),
                 result.mutable_data<float>().begin(), ToFloat32);
  return result;
}

}  // namespace basin
