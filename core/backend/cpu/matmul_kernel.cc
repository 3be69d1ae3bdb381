#include <cstdint>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>

#include "core/backend/cpu/binary_matmul_kernel.h"
#include "core/backend/cpu/dnnl_kernel.h"
#include "core/backend/cpu/float64_kernels.h"
#include "core/backend/cpu/kernel.h"

namespace basin {
namespace {

using Dims = dnnl::memory::dims;
constexpr auto kF32 = dnnl::memory::data_type::f32;

// An operand as [batch, rows, columns], or [rows, columns] without a batch;
// its last two axes lie the other way round if transposed.
dnnl::memory::desc OperandDesc(const Shape& shape, bool transposed) {
  const int64_t inner = shape.dim(-1);
  const int64_t outer = shape.dim(-2);
  int64_t batch = 1;
  for (int axis = 0; axis < shape.rank() - 2; ++axis) batch *= shape.dim(axis);
  Dims dims = transposed ? Dims{inner, outer} : Dims{outer, inner};
  Dims strides = transposed ? Dims{1, inner} : Dims{inner, 1};
  if (shape.rank() > 2) {
    dims.insert(dims.begin(), batch);
    strides.insert(strides.begin(), inner * outer);
  }
  return {dims, kF32, strides};
}

}  // namespace

KernelOr CreateMatmulKernel(const KernelInput& input) {
  if (input.precision == Precision::kFloat64) {
    return CreateFloat64MatmulKernel(input);
  }
  if (input.precision == Precision::kBFloat16 && !MultipliesBFloat16()) {
    return CreateRoundedKernel(input, CreateMatmulKernel);
  }
  if (SuitsBinaryMatmul(input)) return CreateBinaryMatmulKernel(input);
  const auto& attrs = std::get<MatmulAttrs>(input.node().attributes);
  const dnnl::memory::desc a =
      OperandDesc(input.input_shape(0), attrs.transpose_a);
  const dnnl::memory::desc b =
      OperandDesc(input.input_shape(1), attrs.transpose_b);
  const dnnl::memory::desc out = OperandDesc(input.node().shape, false);
  const Tensor* weights = input.constant(1);
  return CatchDnnl(input, [&]() -> KernelOr {
    auto kernel = std::make_unique<DnnlKernel>(Name(Op::kMatmul), input.engine);
    const auto type = FactorType(input.precision);
    const auto as_factor = [type](const dnnl::memory::desc& desc) {
      return dnnl::memory::desc(desc.dims(), type,
                                dnnl::memory::format_tag::any);
    };
    const bool converts = type != kF32;
    const dnnl::matmul::primitive_desc product(
        dnnl::matmul::desc(converts ? as_factor(a) : a,
                           converts || weights != nullptr ? as_factor(b) : b,
                           out),
        DnnlAttributes(), input.engine);
    const DnnlMemory left = kernel->InLayout(
        DnnlKernel::Value(input.input(0), a), product.src_desc());
    const DnnlMemory right =
        weights != nullptr
            ? DnnlKernel::Fixed(
                  input.weights.Packed(*weights, b, product.weights_desc()))
            : kernel->InLayout(DnnlKernel::Value(input.input(1), b),
                               product.weights_desc());
    kernel->AddMatmul(product, left, right, DnnlKernel::Value(input.id, out));
    return kernel;
  });
}

}  // namespace basin
