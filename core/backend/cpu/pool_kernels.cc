// Pooling: windows over the spatial axes of [N, C, s..]. Each image and
// channel is a plane by itself; up to three spatial axes.

#include <algorithm>
#include <cstdint>
#include <memory>

#include "core/backend/cpu/kernel.h"
#include "core/base/elementary.h"

namespace basin {
namespace {

constexpr int kAxes = 3;

// One plane: x [size], y [windows], axes innermost last.
struct Windows {
  int64_t size[kAxes] = {1, 1, 1};
  int64_t count[kAxes] = {1, 1, 1};
  int64_t kernel[kAxes] = {1, 1, 1};
  int64_t stride[kAxes] = {1, 1, 1};
  int64_t before[kAxes] = {};
  int64_t after[kAxes] = {};

  int64_t plane_size() const { return size[0] * size[1] * size[2]; }
  int64_t num_windows() const { return count[0] * count[1] * count[2]; }
};

Windows WindowsOf(const PoolAttrs& attrs, const Shape& x, const Shape& y) {
  Windows windows;
  const int spatial = x.rank() - 2;
  for (int i = 0; i < spatial; ++i) {
    const int axis = kAxes - spatial + i;
    const auto a = static_cast<size_t>(i);
    windows.size[axis] = x.dim(2 + i);
    windows.count[axis] = y.dim(2 + i);
    windows.kernel[axis] = attrs.kernel[a];
    windows.stride[axis] = attrs.strides[a];
    windows.before[axis] = attrs.pads_before[a];
    windows.after[axis] = attrs.pads_after[a];
  }
  return windows;
}

// The part of a window that lies in the plane; `cells` also counts padding.
struct Box {
  int64_t begin[kAxes];
  int64_t end[kAxes];
  int64_t cells;
  int64_t padded_cells;
};

Box BoxAt(const Windows& w, const int64_t (&window)[kAxes]) {
  Box box = {{}, {}, 1, 1};
  for (int a = 0; a < kAxes; ++a) {
    const int64_t start = window[a] * w.stride[a] - w.before[a];
    const int64_t end = start + w.kernel[a];
    box.begin[a] = std::max<int64_t>(start, 0);
    box.end[a] = std::min(end, w.size[a]);
    box.cells *= box.end[a] - box.begin[a];
    box.padded_cells *= std::min(end, w.size[a] + w.after[a]) - start;
  }
  return box;
}

// Calls visit(window number, box) for each window.
template <typename Visit>
void ForEachWindow(const Windows& w, const Visit& visit) {
  int64_t number = 0;
  for (int64_t i = 0; i < w.count[0]; ++i) {
    for (int64_t j = 0; j < w.count[1]; ++j) {
      for (int64_t k = 0; k < w.count[2]; ++k) {
        visit(number++, BoxAt(w, {i, j, k}));
      }
    }
  }
}

// Calls visit(offset in the plane) for each cell, in row-major order.
template <typename Visit>
void ForEachCell(const Windows& w, const Box& box, const Visit& visit) {
  for (int64_t i = box.begin[0]; i < box.end[0]; ++i) {
    for (int64_t j = box.begin[1]; j < box.end[1]; ++j) {
      const int64_t row = (i * w.size[1] + j) * w.size[2];
      for (int64_t k = box.begin[2]; k < box.end[2]; ++k) visit(row + k);
    }
  }
}

// The first maximum of a window.
int64_t FirstMaximum(const Windows& w, const Box& box, const float* x) {
  int64_t best = -1;
  ForEachCell(w, box, [&](int64_t cell) {
    if (best < 0 || x[cell] > x[best] || x[cell] != x[cell]) best = cell;
  });
  return best;
}

void MaxPool(const Windows& w, const float* x, float* y) {
  ForEachWindow(w, [&](int64_t window, const Box& box) {
    y[window] = x[FirstMaximum(w, box, x)];
  });
}

void MaxPoolGrad(const Windows& w, const float* x, const float* dy, float* dx) {
  std::fill(dx, dx + w.plane_size(), 0.0F);
  ForEachWindow(w, [&](int64_t window, const Box& box) {
    dx[FirstMaximum(w, box, x)] += dy[window];
  });
}

enum class Divisor { kCells, kPaddedCells };

float CountOf(const Box& box, Divisor divisor) {
  return static_cast<float>(divisor == Divisor::kPaddedCells ? box.padded_cells
                                                             : box.cells);
}

void AvgPool(const Windows& w, Divisor divisor, const float* x, float* y) {
  ForEachWindow(w, [&](int64_t window, const Box& box) {
    float sum = 0;
    ForEachCell(w, box, [&](int64_t cell) { sum += x[cell]; });
    y[window] = sum / CountOf(box, divisor);
  });
}

void AvgPoolGrad(const Windows& w, Divisor divisor, const float* dy,
                 float* dx) {
  std::fill(dx, dx + w.plane_size(), 0.0F);
  ForEachWindow(w, [&](int64_t window, const Box& box) {
    const float share = dy[window] / CountOf(box, divisor);
    ForEachCell(w, box, [&](int64_t cell) { dx[cell] += share; });
  });
}

class PoolKernel : public Kernel {
 public:
  explicit PoolKernel(const KernelInput& input)
      : op_(input.node().op),
        first_(input.input(0)),
        second_(op_ == Op::kMaxPoolGrad ? input.input(1) : first_),
        out_(input.id) {
    const auto& attrs = std::get<PoolAttrs>(input.node().attributes);
    const bool is_grad = op_ == Op::kMaxPoolGrad || op_ == Op::kAvgPoolGrad;
    const Shape& x = is_grad ? input.node().shape : input.input_shape(0);
    const Shape& y = is_grad ? input.graph.shape(second_) : input.node().shape;
    windows_ = WindowsOf(attrs, x, y);
    planes_ = x.dim(0) * x.dim(1);
    divisor_ =
        attrs.count_include_pad ? Divisor::kPaddedCells : Divisor::kCells;
  }

  absl::Status Run(const KernelContext& context) const override {
    const float* first = context.values[first_];
    const float* second = context.values[second_];
    float* out = context.values[out_];
    const int64_t size = windows_.plane_size();
    const int64_t count = windows_.num_windows();
    for (int64_t p = 0; p < planes_; ++p) {
      switch (op_) {
        case Op::kMaxPool:
          MaxPool(windows_, first + p * size, out + p * count);
          break;
        case Op::kMaxPoolGrad:
          MaxPoolGrad(windows_, first + p * size, second + p * count,
                      out + p * size);
          break;
        case Op::kAvgPool:
          AvgPool(windows_, divisor_, first + p * size, out + p * count);
          break;
        default:
          AvgPoolGrad(windows_, divisor_, first + p * count, out + p * size);
          break;
      }
    }
    return absl::OkStatus();
  }

 private:
  const Op op_;
  const ValueId first_;
  const ValueId second_;
  const ValueId out_;
  Windows windows_;
  int64_t planes_ = 0;
  Divisor divisor_ = Divisor::kCells;
};

}  // namespace

KernelOr CreatePoolKernel(const KernelInput& input) {
  return std::make_unique<PoolKernel>(input);
}

}  // namespace basin
