// The gradient of a convolution of few channels, the first of a network: one
// product with the weights, whose columns are then added to where the
// convolution read them ("col2im"). oneDNN's own kernels leave most lanes of a
// vector empty there.

#include "core/backend/cpu/conv_columns_kernel.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>

#include "core/backend/cpu/dnnl_kernel.h"

namespace basin {
namespace {

constexpr int kAxes = 2;  // spatial axes; one is counted as [1, size]
constexpr int64_t kMaxChannels = 4;

struct Geometry {
  int64_t images = 1;
  int64_t channels = 1;
  int64_t size[kAxes] = {1, 1};   // of x
  int64_t count[kAxes] = {1, 1};  // of y
  int64_t kernel[kAxes] = {1, 1};
  int64_t stride[kAxes] = {1, 1};
  int64_t dilation[kAxes] = {1, 1};
  int64_t before[kAxes] = {};

  int64_t columns() const { return channels * kernel[0] * kernel[1]; }
  int64_t windows() const { return count[0] * count[1]; }
};

Geometry GeometryOf(const KernelInput& input) {
  const auto& attrs = std::get<ConvAttrs>(input.node().attributes);
  const Shape& x = input.node().shape;
  const Shape& weights = input.input_shape(1);
  const Shape& y = input.input_shape(0);
  const int spatial = x.rank() - 2;
  Geometry g;
  g.images = x.dim(0);
  g.channels = x.dim(-1);
  for (int i = 0; i < spatial; ++i) {
    const int axis = kAxes - spatial + i;
    const auto a = static_cast<size_t>(i);
    g.size[axis] = x.dim(1 + i);
    g.count[axis] = y.dim(1 + i);
    g.kernel[axis] = weights.dim(2 + i);
    g.stride[axis] = attrs.strides[a];
    g.dilation[axis] = attrs.dilations[a];
    g.before[axis] = attrs.pads_before[a];
  }
  return g;
}

// The taps of window `window` along an axis that lie in the image.
struct Taps {
  int64_t begin;
  int64_t end;
  int64_t start;  // where tap 0 is in x
};

Taps TapsOf(const Geometry& g, int axis, int64_t window) {
  const int64_t start = window * g.stride[axis] - g.before[axis];
  const int64_t dilation = g.dilation[axis];
  const int64_t left = g.size[axis] - start;  // places from tap 0 to the end
  const int64_t begin = start < 0 ? (-start + dilation - 1) / dilation : 0;
  const int64_t end = left <= 0 ? 0 : (left + dilation - 1) / dilation;
  return {begin, std::max(begin, std::min(end, g.kernel[axis])), start};
}

// Adds the columns [channels, k, k] of one window to its image.
void AddWindow(const Geometry& g, const Taps& rows, const Taps& places,
               const float* columns, float* dx) {
  const int64_t step = g.dilation[1] * g.channels;
  for (int64_t c = 0; c < g.channels; ++c) {
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      const int64_t row = rows.start + i * g.dilation[0];
      float* to = dx + (row * g.size[1] + places.start) * g.channels + c;
      const float* from = columns + (c * g.kernel[0] + i) * g.kernel[1];
      for (int64_t j = places.begin; j < places.end; ++j) {
        to[j * step] += from[j];
      }
    }
  }
}

void AddImage(const Geometry& g, const float* columns, float* dx) {
  std::fill_n(dx, g.size[0] * g.size[1] * g.channels, 0.0F);
  for (int64_t i = 0; i < g.count[0]; ++i) {
    const Taps rows = TapsOf(g, 0, i);
    for (int64_t j = 0; j < g.count[1]; ++j) {
      AddWindow(g, rows, TapsOf(g, 1, j), columns, dx);
      columns += g.columns();
    }
  }
}

class ColumnsKernel : public Kernel {
 public:
  ColumnsKernel(const KernelInput& input, const Geometry& geometry)
      : geometry_(geometry),
        out_(input.id),
        product_(Name(Op::kConvBackwardData), input.engine) {}

  // dy [images * windows, O] times the weights [O, columns]. Throws
  // dnnl::error.
  void Build(const KernelInput& input) {
    using dnnl::memory;
    constexpr auto kF32 = memory::data_type::f32;
    constexpr auto kDense = memory::format_tag::ab;
    const int64_t rows = geometry_.images * geometry_.windows();
    const int64_t inner = input.input_shape(0).dim(-1);
    const int64_t columns = geometry_.columns();
    const memory::desc dy({rows, inner}, kF32, kDense);
    const memory::desc plain({inner, columns}, kF32, kDense);
    const memory::desc any({inner, columns}, kF32, memory::format_tag::any);
    const memory::desc result({rows, columns}, kF32, kDense);
    const Tensor* constant = input.constant(1);
    const dnnl::matmul::primitive_desc product(
        dnnl::matmul::desc(dy, constant != nullptr ? any : plain, result),
        DnnlAttributes(), input.engine);
    const DnnlMemory weights =
        constant != nullptr ? DnnlKernel::Fixed(input.weights.Packed(
                                  *constant, plain, product.weights_desc()))
                            : DnnlKernel::Value(input.input(1), plain);
    const DnnlMemory scratch = product_.Scratch(result);
    columns_offset_ = scratch.offset;
    product_.AddMatmul(product, DnnlKernel::Value(input.input(0), dy), weights,
                       scratch);
  }

  size_t scratch_bytes() const override { return product_.scratch_bytes(); }
  std::unique_ptr<KernelState> CreateState() const override {
    return product_.CreateState();
  }

  absl::Status Run(const KernelContext& context) const override {
    absl::Status status = product_.Run(context);
    if (!status.ok()) return status;
    const auto* columns =
        reinterpret_cast<const float*>(context.scratch + columns_offset_);
    float* dx = context.values[out_];
    for (int64_t image = 0; image < geometry_.images; ++image) {
      AddImage(geometry_, columns, dx);
      columns += geometry_.windows() * geometry_.columns();
      dx += geometry_.size[0] * geometry_.size[1] * geometry_.channels;
    }
    return status;
  }

 private:
  const Geometry geometry_;
  const ValueId out_;
  DnnlKernel product_;
  size_t columns_offset_ = 0;  // in the scratch memory, bytes
};

}  // namespace

bool SuitsColumns(const KernelInput& input) {
  const auto& attrs = std::get<ConvAttrs>(input.node().attributes);
  const Shape& x = input.node().shape;
  return input.precision == Precision::kFloat32 &&
         input.node().op == Op::kConvBackwardData &&
         attrs.layout == ImageLayout::kChannelsLast && attrs.groups == 1 &&
         x.rank() - 2 <= kAxes && x.dim(-1) <= kMaxChannels;
}

KernelOr CreateColumnsKernel(const KernelInput& input) {
  return CatchDnnl(input, [&]() -> KernelOr {
    auto kernel = std::make_unique<ColumnsKernel>(input, GeometryOf(input));
    kernel->Build(input);
    return kernel;
  });
}

}  // namespace basin
