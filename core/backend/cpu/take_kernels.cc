// Indices that are computed at run time.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>

#include "core/backend/cpu/kernel.h"

namespace basin {
namespace {

// The element of an axis of `size` that a float means, or -1: see TopKAttrs.
template <typename T>
int64_t PlaceOf(T index, int64_t size) {
  const auto limit = static_cast<T>(size);  // at most 2^24: exact
  if (!(index > -limit - 1 && index < limit)) return -1;
  const auto place = static_cast<int64_t>(index);
  return place < 0 ? place + size : place;
}

// kTake: x [B, V, D] to out [B, K, D]. kPutAdd: x [B, K, D] to out [B, V, D].
template <typename T>
class TakeKernel : public Kernel {
 public:
  explicit TakeKernel(const KernelInput& input)
      : takes_(input.node().op == Op::kTake),
        x_(input.input(0)),
        indices_(input.input(1)),
        out_(input.id),
        batch_(input.node().shape.dim(0)),
        size_(takes_ ? input.input_shape(0).dim(1) : input.node().shape.dim(1)),
        picks_(input.input_shape(1).dim(1)),
        row_(input.node().shape.dim(2)) {}

  absl::Status Run(const KernelContext& context) const override {
    const T* x = context.As<T>(x_);
    const T* indices = context.As<T>(indices_);
    T* out = context.As<T>(out_);
    if (!takes_) std::fill(out, out + batch_ * size_ * row_, T{0});
    for (int64_t b = 0; b < batch_; ++b) {
      if (takes_) {
        Take(x + b * size_ * row_, indices, out + b * picks_ * row_);
      } else {
        PutAdd(x + b * picks_ * row_, indices, out + b * size_ * row_);
      }
      indices += picks_;
    }
    return absl::OkStatus();
  }

 private:
  void Take(const T* x, const T* indices, T* out) const {
    for (int64_t k = 0; k < picks_; ++k) {
      const int64_t place = PlaceOf(indices[k], size_);
      if (place < 0) {
        std::fill_n(out + k * row_, row_, std::numeric_limits<T>::quiet_NaN());
      } else {
        std::memcpy(out + k * row_, x + place * row_,
                    static_cast<size_t>(row_) * sizeof(T));
      }
    }
  }

  // In the indices' order, so that sums have one.
  void PutAdd(const T* dy, const T* indices, T* out) const {
    for (int64_t k = 0; k < picks_; ++k) {
      const int64_t place = PlaceOf(indices[k], size_);
      if (place < 0) {
        std::fill_n(out, size_ * row_, std::numeric_limits<T>::quiet_NaN());
        return;
      }
      T* to = out + place * row_;
      for (int64_t d = 0; d < row_; ++d) to[d] += dy[k * row_ + d];
    }
  }

  const bool takes_;
  const ValueId x_;
  const ValueId indices_;
  const ValueId out_;
  const int64_t batch_;
  const int64_t size_;
  const int64_t picks_;
  const int64_t row_;
};

template <typename T>
class TopKKernel : public Kernel {
 public:
  explicit TopKKernel(const KernelInput& input)
      : x_(input.input(0)),
        out_(input.id),
        rows_(input.node().shape.num_elements() / input.node().shape.dim(-1)),
        size_(input.input_shape(0).dim(-1)),
        attributes_(std::get<TopKAttrs>(input.node().attributes)) {}

  size_t scratch_bytes() const override {
    return static_cast<size_t>(size_) * sizeof(int32_t);
  }

  absl::Status Run(const KernelContext& context) const override {
    const T* x = context.As<T>(x_);
    T* out = context.As<T>(out_);
    auto* places = reinterpret_cast<int32_t*>(context.scratch);
    for (int64_t r = 0; r < rows_; ++r) {
      std::iota(places, places + size_, 0);
      std::partial_sort(
          places, places + attributes_.k, places + size_,
          [&](int32_t a, int32_t b) { return Precedes(x, a, b); });
      std::copy(places, places + attributes_.k, out);
      x += size_;
      out += attributes_.k;
    }
    return absl::OkStatus();
  }

 private:
  // A strict weak order, also with NaN.
  bool Precedes(const T* x, int32_t a, int32_t b) const {
    const bool largest = attributes_.order == TopKAttrs::Order::kLargest;
    const bool a_is_nan = x[a] != x[a];
    const bool b_is_nan = x[b] != x[b];
    if (a_is_nan != b_is_nan) return a_is_nan == largest;
    if (!a_is_nan && x[a] != x[b]) return (x[a] > x[b]) == largest;
    return a < b;
  }

  const ValueId x_;
  const ValueId out_;
  const int64_t rows_;
  const int64_t size_;
  const TopKAttrs attributes_;
};

}  // namespace

KernelOr CreateTakeKernel(const KernelInput& input) {
  if (input.precision == Precision::kFloat64) {
    return std::make_unique<TakeKernel<double>>(input);
  }
  return std::make_unique<TakeKernel<float>>(input);
}

KernelOr CreateTopKKernel(const KernelInput& input) {
  if (input.precision == Precision::kFloat64) {
    return std::make_unique<TopKKernel<double>>(input);
  }
  return std::make_unique<TopKKernel<float>>(input);
}

}  // namespace basin
