// Products and convolutions of bfloat16 on processors that cannot multiply
// them: the factors are rounded to bfloat16, and a kernel of float32 does the
// rest. A product of two bfloat16 is exact in float32, so these are the sums
// that an instruction for bfloat16 forms, but for their order.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/backend/cpu/dnnl_kernel.h"
#include "core/backend/cpu/kernel.h"
#include "core/base/status_macros.h"

namespace basin {
namespace {

// To the nearest bfloat16, ties to even. NaNs stay NaNs.
float Rounded(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U;
  const uint32_t quiet = (bits | 0x00400000U) & 0xFFFF0000U;
  return std::bit_cast<float>(value != value ? quiet : rounded);
}

void Round(const float* from, size_t n, float* to) {
  for (size_t i = 0; i < n; ++i) to[i] = Rounded(from[i]);
}

Tensor RoundedCopy(const Tensor& tensor) {
  Tensor copy(DType::kFloat32, tensor.shape());
  const auto from = tensor.data<float>();
  Round(from.data(), from.size(), copy.mutable_data<float>().data());
  return copy;
}

class RoundedKernel : public Kernel {
 public:
  // A factor that is rounded before each run, into scratch memory.
  struct Factor {
    ValueId value;
    size_t elements;
    size_t offset;  // bytes
  };

  RoundedKernel(std::unique_ptr<Kernel> exact, std::vector<Factor> factors,
                size_t factor_bytes, size_t num_values)
      : exact_(std::move(exact)),
        factors_(std::move(factors)),
        factor_bytes_(factor_bytes),
        num_values_(num_values) {}

  size_t scratch_bytes() const override {
    return factor_bytes_ + exact_->scratch_bytes();
  }

  std::unique_ptr<KernelState> CreateState() const override {
    auto state = std::make_unique<State>();
    state->exact = exact_->CreateState();
    state->values.resize(num_values_);
    return state;
  }

  absl::Status Run(const KernelContext& context) const override {
    auto& state = static_cast<State&>(*context.state);
    std::copy_n(context.values, num_values_, state.values.begin());
    for (const Factor& factor : factors_) {
      auto* rounded = reinterpret_cast<float*>(context.scratch + factor.offset);
      Round(context.values[factor.value], factor.elements, rounded);
      state.values[static_cast<size_t>(factor.value)] = rounded;
    }
    KernelContext exact = context;
    exact.values = state.values.data();
    exact.scratch = context.scratch + factor_bytes_;
    exact.state = state.exact.get();
    return exact_->Run(exact);
  }

 private:
  struct State : KernelState {
    std::unique_ptr<KernelState> exact;
    std::vector<float*> values;  // the plan's, but for factors
  };

  const std::unique_ptr<Kernel> exact_;
  const std::vector<Factor> factors_;
  const size_t factor_bytes_;
  const size_t num_values_;
};

}  // namespace

bool MultipliesBFloat16() { return DnnlHas(dnnl_cpu_isa_avx512_core); }

KernelOr CreateRoundedKernel(const KernelInput& input, KernelFactory create) {
  std::vector<const Tensor*> constants = input.constants;
  std::vector<RoundedKernel::Factor> factors;
  size_t factor_bytes = 0;
  Tensor weights;
  for (int i = 0; i < 2; ++i) {
    const ValueId value = input.input(i);
    if (i == 1 && input.constant(i) != nullptr) {
      // Packed now; as a second factor its elements are not read later.
      weights = input.weights.Intern(RoundedCopy(*input.constant(i)));
      constants[static_cast<size_t>(value)] = &weights;
      continue;
    }
    const auto elements =
        static_cast<size_t>(input.graph.shape(value).num_elements());
    factors.push_back({value, elements, factor_bytes});
    factor_bytes += AlignedSize(elements * sizeof(float));
  }
  const KernelInput exact = {input.graph,  input.id,  input.weights,
                             input.engine, constants, Precision::kFloat32};
  BASIN_ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel, create(exact));
  return std::make_unique<RoundedKernel>(
      std::move(kernel), std::move(factors), factor_bytes,
      static_cast<size_t>(input.graph.size()));
}

}  // namespace basin
