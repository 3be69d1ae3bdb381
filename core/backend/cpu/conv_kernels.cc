#include <cstdint>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "core/backend/cpu/conv_columns_kernel.h"
#include "core/backend/cpu/dnnl_kernel.h"
#include "core/backend/cpu/float64_kernels.h"
#include "core/backend/cpu/kernel.h"
#include "core/backend/cpu/winograd_kernel.h"
#include "core/base/cpu_isa.h"

namespace basin {
namespace {

using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;
constexpr auto kF32 = dnnl::memory::data_type::f32;
constexpr int64_t kBlock = 16;  // channels of oneDNN's AVX-512 layout
constexpr auto kDirect = dnnl::algorithm::convolution_direct;

using Type = dnnl::memory::data_type;

Desc Any(const Desc& desc, Type type = kF32) {
  return {desc.dims(), type, dnnl::memory::format_tag::any};
}

// The same layout of elements of another type.
Desc OfType(Desc desc, Type type) {
  desc.data.data_type = dnnl::memory::convert_to_c(type);
  return desc;
}

Dims ToDims(const IntList& list) { return {list.begin(), list.end()}; }

// An image as oneDNN counts axes, [N, C, s..], however it lies in memory.
Desc ImageDesc(const Shape& shape, ImageLayout layout) {
  const Desc dense = DenseDesc(shape);
  if (layout == ImageLayout::kChannelsFirst) return dense;
  std::vector<int> places = {0};  // of dense's axes
  for (int axis = 2; axis < shape.rank(); ++axis) places.push_back(axis);
  places.push_back(1);
  return dense.permute_axes(places);
}

// The forward convolution that all three operations belong to.
struct Convolution {
  Desc x;        // [N, C, s..]
  Desc weights;  // [O, C, k..] or [groups, O/groups, C/groups, k..], row-major
  Desc y;        // [N, O, s..]
  ImageLayout layout;
  Dims strides;
  Dims dilations;  // 0: dense, as oneDNN counts
  Dims pads_before;
  Dims pads_after;
};

Convolution ConvolutionOf(const ConvAttrs& attrs, const Shape& x,
                          const Shape& weights, const Shape& y) {
  Convolution conv;
  conv.x = ImageDesc(x, attrs.layout);
  conv.y = ImageDesc(y, attrs.layout);
  conv.layout = attrs.layout;
  if (conv.layout == ImageLayout::kChannelsLast && x.rank() == 4 &&
      x.dim(-1) == 1 && y.dim(-1) == kBlock && ActiveIsa() == CpuIsa::kV4) {
    // The same memory under the names that oneDNN's kernel for one channel
    // knows, five times as fast as the other.
    conv.x = {conv.x.dims(), kF32, dnnl::memory::format_tag::nchw};
    conv.y = {conv.y.dims(), kF32, dnnl::memory::format_tag::nChw16c};
  }
  conv.weights = DenseDesc(weights);
  if (attrs.groups > 1) {
    Dims dims = conv.weights.dims();
    dims[0] /= attrs.groups;
    dims.insert(dims.begin(), attrs.groups);
    conv.weights = conv.weights.reshape(dims);
  }
  conv.strides = ToDims(attrs.strides);
  conv.dilations = ToDims(attrs.dilations);
  for (int64_t& dilation : conv.dilations) --dilation;
  conv.pads_before = ToDims(attrs.pads_before);
  conv.pads_after = ToDims(attrs.pads_after);
  return conv;
}

// What a primitive is made for: the images' layouts, or any; and the type of
// the two factors.
struct Wanted {
  Desc x;
  Desc y;
  Type factors;
};

dnnl::convolution_forward::primitive_desc ForwardPrimitive(
    const Convolution& conv, const Wanted& wanted, const dnnl::engine& engine) {
  return {dnnl::convolution_forward::desc(
              dnnl::prop_kind::forward_training, kDirect,
              OfType(wanted.x, wanted.factors),
              Any(conv.weights, wanted.factors), wanted.y, conv.strides,
              conv.dilations, conv.pads_before, conv.pads_after),
          DnnlAttributes(), engine};
}

dnnl::convolution_backward_data::primitive_desc BackwardDataPrimitive(
    const Convolution& conv, const Wanted& wanted, const dnnl::engine& engine) {
  return {dnnl::convolution_backward_data::desc(
              kDirect, wanted.x, Any(conv.weights, wanted.factors),
              OfType(wanted.y, wanted.factors), conv.strides, conv.dilations,
              conv.pads_before, conv.pads_after),
          DnnlAttributes(), engine, ForwardPrimitive(conv, wanted, engine)};
}

// The primitive on images as they are, where oneDNN has a fast one for their
// layout; else the one that it likes best, with reorders around it.
template <typename Make>
auto FastPrimitive(const Convolution& conv, Type factors,
                   const dnnl::engine& engine, const Make& make) {
  const Wanted any = {Any(conv.x), Any(conv.y), factors};
  if (conv.layout == ImageLayout::kChannelsFirst) {
    return make(conv, any, engine);
  }
  auto primitive = make(conv, Wanted{conv.x, conv.y, factors}, engine);
  const std::string_view name = primitive.impl_info_str();
  const bool is_slow = name.substr(0, 3) == "ref" ||
                       name.find("gemm:ref") != std::string_view::npos;
  return is_slow ? make(conv, any, engine) : primitive;
}

// The kernel's weights in the layout that its primitive wants.
DnnlMemory Weights(const KernelInput& input, const Desc& plain,
                   const Desc& wanted, DnnlKernel& kernel) {
  if (const Tensor* constant = input.constant(1)) {
    return DnnlKernel::Fixed(input.weights.Packed(*constant, plain, wanted));
  }
  return kernel.InLayout(DnnlKernel::Value(input.input(1), plain), wanted);
}

// Adds the primitive, and a reorder of its result if it is not row-major.
void AddResult(const KernelInput& input, const dnnl::primitive& primitive,
               std::vector<DnnlKernel::Argument> arguments, int result_name,
               const Desc& wanted, const Desc& plain, DnnlKernel& kernel) {
  const DnnlMemory result = DnnlKernel::Value(input.id, plain);
  if (wanted == plain) {
    arguments.push_back({result_name, result});
    kernel.AddCall(primitive, std::move(arguments));
    return;
  }
  const DnnlMemory blocked = kernel.Scratch(wanted);
  arguments.push_back({result_name, blocked});
  kernel.AddCall(primitive, std::move(arguments));
  kernel.AddReorder(blocked, result);
}

void BuildForward(const KernelInput& input, const Convolution& conv,
                  DnnlKernel& kernel) {
  const auto forward = FastPrimitive(conv, FactorType(input.precision),
                                     input.engine, ForwardPrimitive);
  const DnnlMemory x = kernel.InLayout(
      DnnlKernel::Value(input.input(0), conv.x), forward.src_desc());
  const DnnlMemory weights =
      Weights(input, conv.weights, forward.weights_desc(), kernel);
  AddResult(input, dnnl::convolution_forward(forward),
            {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, weights}}, DNNL_ARG_DST,
            forward.dst_desc(), conv.y, kernel);
}

void BuildBackwardData(const KernelInput& input, const Convolution& conv,
                       DnnlKernel& kernel) {
  const auto backward = FastPrimitive(conv, FactorType(input.precision),
                                      input.engine, BackwardDataPrimitive);
  const DnnlMemory dy = kernel.InLayout(
      DnnlKernel::Value(input.input(0), conv.y), backward.diff_dst_desc());
  const DnnlMemory weights =
      Weights(input, conv.weights, backward.weights_desc(), kernel);
  AddResult(input, dnnl::convolution_backward_data(backward),
            {{DNNL_ARG_DIFF_DST, dy}, {DNNL_ARG_WEIGHTS, weights}},
            DNNL_ARG_DIFF_SRC, backward.diff_src_desc(), conv.x, kernel);
}

void BuildBackwardWeights(const KernelInput& input, const Convolution& conv,
                          DnnlKernel& kernel) {
  const dnnl::convolution_backward_weights::primitive_desc backward(
      dnnl::convolution_backward_weights::desc(
          kDirect, Any(conv.x), Any(conv.weights), Any(conv.y), conv.strides,
          conv.dilations, conv.pads_before, conv.pads_after),
      DnnlAttributes(), input.engine,
      ForwardPrimitive(conv, {Any(conv.x), Any(conv.y), kF32}, input.engine));
  const DnnlMemory x = kernel.InLayout(
      DnnlKernel::Value(input.input(0), conv.x), backward.src_desc());
  const DnnlMemory dy = kernel.InLayout(
      DnnlKernel::Value(input.input(1), conv.y), backward.diff_dst_desc());
  AddResult(input, dnnl::convolution_backward_weights(backward),
            {{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_DST, dy}}, DNNL_ARG_DIFF_WEIGHTS,
            backward.diff_weights_desc(), conv.weights, kernel);
}

}  // namespace

KernelOr CreateConvKernel(const KernelInput& input) {
  if (input.precision == Precision::kFloat64) {
    return CreateFloat64ConvKernel(input);
  }
  const Op op = input.node().op;
  // Gradients of weights are of float32 always.
  if (input.precision == Precision::kBFloat16 && !MultipliesBFloat16() &&
      op != Op::kConvBackwardWeights) {
    return CreateRoundedKernel(input, CreateConvKernel);
  }
  if (SuitsColumns(input)) return CreateColumnsKernel(input);
  if (SuitsWinograd(input)) return CreateWinogradKernel(input);
  const auto& attrs = std::get<ConvAttrs>(input.node().attributes);
  const Shape& first = input.input_shape(0);
  const Shape& second = input.input_shape(1);
  const Shape& out = input.node().shape;
  return CatchDnnl(input, [&]() -> KernelOr {
    auto kernel = std::make_unique<DnnlKernel>(Name(op), input.engine);
    switch (op) {
      case Op::kConv:
        BuildForward(input, ConvolutionOf(attrs, first, second, out), *kernel);
        break;
      case Op::kConvBackwardData:
        BuildBackwardData(input, ConvolutionOf(attrs, out, second, first),
                          *kernel);
        break;
      default:
        BuildBackwardWeights(input, ConvolutionOf(attrs, first, out, second),
                             *kernel);
        break;
    }
    return kernel;
  });
}

}  // namespace basin
