// Convolutions of doubles: a product of each image's columns with the weights.

#include <algorithm>
#include <cstdint>
#include <memory>

#include "core/backend/cpu/float64_kernels.h"
#include "core/backend/cpu/float64_loops.h"
#include "core/base/cpu_isa.h"

namespace basin {
namespace {

constexpr int kAxes = 3;  // spatial axes, innermost last

// The forward convolution that all three operations belong to, of one group.
struct Geometry {
  int64_t images = 1;
  int64_t groups = 1;
  int64_t channels = 1;  // of x, in one group
  int64_t outputs = 1;   // channels of y, in one group
  int64_t size[kAxes] = {1, 1, 1};
  int64_t count[kAxes] = {1, 1, 1};
  int64_t kernel[kAxes] = {1, 1, 1};
  int64_t stride[kAxes] = {1, 1, 1};
  int64_t dilation[kAxes] = {1, 1, 1};
  int64_t before[kAxes] = {};

  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t rows() const { return channels * taps(); }  // of the columns
  int64_t windows() const { return count[0] * count[1] * count[2]; }
  int64_t image() const { return channels * size[0] * size[1] * size[2]; }
};

Geometry GeometryOf(const ConvAttrs& attrs, const Shape& x,
                    const Shape& weights, const Shape& y) {
  const int spatial = x.rank() - 2;
  Geometry g;
  g.images = x.dim(0);
  g.groups = attrs.groups;
  g.channels = weights.dim(1);
  g.outputs = weights.dim(0) / attrs.groups;
  for (int i = 0; i < spatial; ++i) {
    const int axis = kAxes - spatial + i;
    const auto a = static_cast<size_t>(i);
    g.size[axis] = x.dim(2 + i);
    g.count[axis] = y.dim(2 + i);
    g.kernel[axis] = weights.dim(2 + i);
    g.stride[axis] = attrs.strides[a];
    g.dilation[axis] = attrs.dilations[a];
    g.before[axis] = attrs.pads_before[a];
  }
  return g;
}

// Calls visit(place in the columns, place in x) for each window of the tap
// `tap` that reads x, in order.
template <typename Visit>
void ForEachRead(const Geometry& g, const int64_t (&tap)[kAxes],
                 const Visit& visit) {
  const auto place = [&g, &tap](int axis, int64_t window) {
    return window * g.stride[axis] - g.before[axis] +
           tap[axis] * g.dilation[axis];
  };
  const auto outside = [&g](int axis, int64_t at) {
    return at < 0 || at >= g.size[axis];
  };
  for (int64_t i = 0; i < g.count[0]; ++i) {
    const int64_t x = place(0, i);
    if (outside(0, x)) continue;
    for (int64_t j = 0; j < g.count[1]; ++j) {
      const int64_t y = place(1, j);
      if (outside(1, y)) continue;
      for (int64_t k = 0; k < g.count[2]; ++k) {
        const int64_t z = place(2, k);
        if (outside(2, z)) continue;
        visit((i * g.count[1] + j) * g.count[2] + k,
              (x * g.size[1] + y) * g.size[2] + z);
      }
    }
  }
}

// Calls visit(row of the columns, channel's plane in x, tap).
template <typename Visit>
void ForEachRow(const Geometry& g, const Visit& visit) {
  int64_t row = 0;
  int64_t tap[kAxes];
  for (int64_t c = 0; c < g.channels; ++c) {
    for (tap[0] = 0; tap[0] < g.kernel[0]; ++tap[0]) {
      for (tap[1] = 0; tap[1] < g.kernel[1]; ++tap[1]) {
        for (tap[2] = 0; tap[2] < g.kernel[2]; ++tap[2]) {
          visit(row++, c * (g.image() / g.channels), tap);
        }
      }
    }
  }
}

// columns [rows, windows]: what each window reads of x [channels, size..].
void ToColumns(const Geometry& g, const double* x, double* columns) {
  std::fill_n(columns, g.rows() * g.windows(), 0.0);
  ForEachRow(g, [&](int64_t row, int64_t plane, const int64_t(&tap)[kAxes]) {
    double* to = columns + row * g.windows();
    ForEachRead(g, tap, [&](int64_t window, int64_t place) {
      to[window] = x[plane + place];
    });
  });
}

// Adds the columns to where they were read.
void AddColumns(const Geometry& g, const double* columns, double* x) {
  ForEachRow(g, [&](int64_t row, int64_t plane, const int64_t(&tap)[kAxes]) {
    const double* from = columns + row * g.windows();
    ForEachRead(g, tap, [&](int64_t window, int64_t place) {
      x[plane + place] += from[window];
    });
  });
}

class ConvKernel : public Kernel {
 public:
  ConvKernel(const KernelInput& input, const Geometry& geometry)
      : op_(input.node().op),
        g_(geometry),
        first_(input.input(0)),
        second_(input.input(1)),
        out_(input.id),
        elements_(input.node().shape.num_elements()) {}

  size_t scratch_bytes() const override {
    const int64_t copies = op_ == Op::kConvBackwardWeights ? 2 : 1;
    return static_cast<size_t>(copies * g_.rows() * g_.windows()) *
           sizeof(double);
  }

  absl::Status Run(const KernelContext& context) const override {
    const auto* first = context.As<const double>(first_);
    const auto* second = context.As<const double>(second_);
    auto* out = context.As<double>(out_);
    auto* columns = reinterpret_cast<double*>(context.scratch);
    if (op_ != Op::kConv) std::fill_n(out, elements_, 0.0);
    const int64_t y_size = g_.outputs * g_.windows();
    for (int64_t i = 0; i < g_.images * g_.groups; ++i) {
      const int64_t w = i % g_.groups * g_.outputs * g_.rows();
      const int64_t x = i * g_.image();
      const int64_t y = i * y_size;
      switch (op_) {
        case Op::kConv:
          Forward(first + x, second + w, columns, out + y);
          break;
        case Op::kConvBackwardData:
          BackwardData(first + y, second + w, columns, out + x);
          break;
        default:
          BackwardWeights(first + x, second + y, columns, out + w);
          break;
      }
    }
    return absl::OkStatus();
  }

 private:
  void Forward(const double* x, const double* w, double* columns,
               double* y) const {
    ToColumns(g_, x, columns);
    multiply_({g_.outputs, g_.windows(), g_.rows(), g_.rows(), 1, false}, w,
              columns, y);
  }

  void BackwardData(const double* dy, const double* w, double* columns,
                    double* dx) const {
    multiply_({g_.rows(), g_.windows(), g_.outputs, 1, g_.rows(), false}, w, dy,
              columns);
    AddColumns(g_, columns, dx);
  }

  void BackwardWeights(const double* x, const double* dy, double* columns,
                       double* dw) const {
    double* turned = columns + g_.rows() * g_.windows();
    ToColumns(g_, x, columns);
    for (int64_t row = 0; row < g_.rows(); ++row) {
      for (int64_t w = 0; w < g_.windows(); ++w) {
        turned[w * g_.rows() + row] = columns[row * g_.windows() + w];
      }
    }
    multiply_({g_.outputs, g_.rows(), g_.windows(), g_.windows(), 1, true}, dy,
              turned, dw);
  }

  const Op op_;
  const Geometry g_;
  const ValueId first_;
  const ValueId second_;
  const ValueId out_;
  const int64_t elements_;
  const MultiplyFunction multiply_ = SelectByIsa(
      isa_baseline::kMultiply, isa_v3::kMultiply, isa_v4::kMultiply);
};

}  // namespace

KernelOr CreateFloat64ConvKernel(const KernelInput& input) {
  const auto& attrs = std::get<ConvAttrs>(input.node().attributes);
  const Shape& first = input.input_shape(0);
  const Shape& second = input.input_shape(1);
  const Shape& out = input.node().shape;
  const Op op = input.node().op;
  const Geometry geometry =
      op == Op::kConv               ? GeometryOf(attrs, first, second, out)
      : op == Op::kConvBackwardData ? GeometryOf(attrs, out, second, first)
                                    : GeometryOf(attrs, first, out, second);
  return std::make_unique<ConvKernel>(input, geometry);
}

}  // namespace basin
