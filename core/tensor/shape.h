#ifndef BASIN_CORE_TENSOR_SHAPE_H_
#define BASIN_CORE_TENSOR_SHAPE_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include <absl/container/inlined_vector.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

namespace basin {

// The dimensions of a tensor, outermost first. Rank 0 is a scalar with one
// element; a dimension may be 0. The number of elements is below 2^48, so
// that byte counts never overflow. A value type.
class Shape {
 public:
  using Dims = absl::InlinedVector<int64_t, 4>;

  static constexpr int kMaxRank = 8;
  static constexpr int64_t kMaxElements = int64_t{1} << 48;

  // A scalar.
  Shape() = default;

  // REQUIRES: what Create() accepts.
  Shape(std::initializer_list<int64_t> dims);  // NOLINT: reads as a literal

  // For dimensions from outside. InvalidArgument if one is negative, the rank
  // is above kMaxRank, or there are more than kMaxElements elements.
  static absl::StatusOr<Shape> Create(absl::Span<const int64_t> dims);

  int rank() const { return static_cast<int>(dims_.size()); }
  // REQUIRES: -rank() <= axis < rank(); negative axes count from the end.
  int64_t dim(int axis) const;
  const Dims& dims() const { return dims_; }
  int64_t num_elements() const { return num_elements_; }

  // "[64, 1, 28, 28]"; "[]" for a scalar.
  std::string ToString() const;

  friend bool operator==(const Shape& a, const Shape& b) {
    return a.dims_ == b.dims_;
  }

 private:
  Dims dims_;
  int64_t num_elements_ = 1;
};

}  // namespace basin

#endif  // BASIN_CORE_TENSOR_SHAPE_H_
