// Pooling: windows over the spatial axes of images, up to three of them.

#include <cstdint>
#include <memory>

#include "core/backend/cpu/kernel.h"
#include "core/backend/cpu/pool_loops.h"
#include "core/base/cpu_isa.h"

namespace basin {
namespace {

PoolLoops::Kind KindOf(Op op) {
  switch (op) {
    case Op::kMaxPool:
      return PoolLoops::Kind::kMax;
    case Op::kMaxPoolGrad:
      return PoolLoops::Kind::kMaxGrad;
    case Op::kAvgPool:
      return PoolLoops::Kind::kAvg;
    default:  // kAvgPoolGrad
      return PoolLoops::Kind::kAvgGrad;
  }
}

// `x` and `y` are the forward operation's. With the channels first, each
// channel is an image of its own.
PoolLoops LoopsOf(Op op, const PoolAttrs& attrs, const Shape& x,
                  const Shape& y) {
  const bool is_last = attrs.layout == ImageLayout::kChannelsLast;
  const int spatial = x.rank() - 2;
  const int first = is_last ? 1 : 2;
  PoolLoops loops;
  loops.kind = KindOf(op);
  loops.divides_by_padded_cells = attrs.count_include_pad;
  loops.images = is_last ? x.dim(0) : x.dim(0) * x.dim(1);
  loops.channels = is_last ? x.dim(-1) : 1;
  for (int i = 0; i < spatial; ++i) {
    const int axis = PoolLoops::kAxes - spatial + i;
    const auto a = static_cast<size_t>(i);
    loops.size[axis] = x.dim(first + i);
    loops.count[axis] = y.dim(first + i);
    loops.kernel[axis] = attrs.kernel[a];
    loops.stride[axis] = attrs.strides[a];
    loops.before[axis] = attrs.pads_before[a];
    loops.after[axis] = attrs.pads_after[a];
  }
  return loops;
}

template <typename T>
class PoolKernel : public Kernel {
 public:
  PoolKernel(const KernelInput& input, RunPoolFunction<T> run)
      : first_(input.input(0)), out_(input.id), run_(run) {
    const Op op = input.node().op;
    second_ = op == Op::kMaxPoolGrad ? input.input(1) : first_;
    const bool is_grad = op == Op::kMaxPoolGrad || op == Op::kAvgPoolGrad;
    loops_ = LoopsOf(op, std::get<PoolAttrs>(input.node().attributes),
                     is_grad ? input.node().shape : input.input_shape(0),
                     is_grad ? input.graph.shape(second_) : input.node().shape);
  }

  absl::Status Run(const KernelContext& context) const override {
    run_(loops_, context.As<const T>(first_), context.As<const T>(second_),
         context.As<T>(out_));
    return absl::OkStatus();
  }

 private:
  const ValueId first_;
  ValueId second_;
  const ValueId out_;
  PoolLoops loops_;
  const RunPoolFunction<T> run_;
};

}  // namespace

KernelOr CreatePoolKernel(const KernelInput& input) {
  if (input.precision == Precision::kFloat64) {
    return std::make_unique<PoolKernel<double>>(
        input, SelectByIsa(isa_baseline::kRunDoublePool, isa_v3::kRunDoublePool,
                           isa_v4::kRunDoublePool));
  }
  return std::make_unique<PoolKernel<float>>(
      input,
      SelectByIsa(isa_baseline::kRunPool, isa_v3::kRunPool, isa_v4::kRunPool));
}

}  // namespace basin
