#ifndef BASIN_CORE_TENSOR_TENSOR_H_
#define BASIN_CORE_TENSOR_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include <absl/types/span.h>

#include "core/base/check.h"
#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace basin {

// A dense, row-major array in host memory, aligned to 64 bytes. Copies share
// the elements, so a Tensor is cheap to pass by value; sharers must not write.
// Thread-safe for readers.
class Tensor {
 public:
  // An empty float32 tensor of shape [0].
  Tensor();

  // Elements are zero. REQUIRES: the caller has checked the size against a
  // limit; memory that cannot be had ends the process.
  Tensor(DType dtype, const Shape& shape);

  // Copies `values`. REQUIRES: values.size() == shape.num_elements().
  template <typename T>
  static Tensor Of(const Shape& shape, absl::Span<const T> values);
  template <typename T>
  static Tensor Scalar(T value) {
    return Of<T>(Shape(), absl::MakeConstSpan(&value, 1));
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t num_elements() const { return shape_.num_elements(); }
  size_t byte_size() const;

  // REQUIRES: DTypeOf<T>() == dtype().
  template <typename T>
  absl::Span<const T> data() const;
  // REQUIRES: as data(), and nobody else reads or shares the elements.
  template <typename T>
  absl::Span<T> mutable_data();

  const std::byte* bytes() const { return buffer_.get(); }
  std::byte* mutable_bytes() { return buffer_.get(); }

  // The same elements under another shape, shared, not copied.
  // REQUIRES: as many elements.
  Tensor Reshaped(const Shape& shape) const;

  // Identifies the elements: tensors that share them have the same id, also
  // under other shapes. Keeps caches of packed weights apart.
  const void* id() const { return buffer_.get(); }

 private:
  DType dtype_;
  Shape shape_;
  std::shared_ptr<std::byte[]> buffer_;
};

// Real numbers are float32 or float64: a constant of a model is kept in the
// type that holds it, and rounded when it is compiled for float32.

// The nearest float32; infinite beyond the largest.
float ToFloat32(double value);
// A scalar: float32 if that holds `value` exactly, else float64.
Tensor RealScalar(double value);
// Whether the elements are real numbers.
bool IsReal(const Tensor& tensor);
// Element i. REQUIRES: IsReal(tensor), 0 <= i < its number of elements.
double RealAt(const Tensor& tensor, size_t i);
// The elements as float64, or each as ToFloat32() says; shared, not copied, if
// they are so already. REQUIRES: IsReal(tensor).
Tensor Widened(const Tensor& tensor);
Tensor Narrowed(const Tensor& tensor);

template <typename T>
absl::Span<const T> Tensor::data() const {
  BASIN_CHECK(DTypeOf<T>() == dtype_);
  return {reinterpret_cast<const T*>(buffer_.get()),
          static_cast<size_t>(num_elements())};
}

template <typename T>
absl::Span<T> Tensor::mutable_data() {
  BASIN_CHECK(DTypeOf<T>() == dtype_);
  return {reinterpret_cast<T*>(buffer_.get()),
          static_cast<size_t>(num_elements())};
}

template <typename T>
Tensor Tensor::Of(const Shape& shape, absl::Span<const T> values) {
  BASIN_CHECK(static_cast<int64_t>(values.size()) == shape.num_elements());
  Tensor tensor(DTypeOf<T>(), shape);
  T* out = tensor.mutable_data<T>().data();
  for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return tensor;
}

}  // namespace basin

#endif  // BASIN_CORE_TENSOR_TENSOR_H_
