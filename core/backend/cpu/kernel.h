#ifndef BASIN_CORE_BACKEND_CPU_KERNEL_H_
#define BASIN_CORE_BACKEND_CPU_KERNEL_H_

#include <cstddef>
#include <limits>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/backend/backend.h"
#include "core/backend/cpu/weight_store.h"
#include "core/graph/graph.h"

namespace basin {

// What one kernel keeps between runs of one worker, created when the worker
// first runs the plan. Not thread-safe.
class KernelState {
 public:
  virtual ~KernelState() = default;
};

// What a kernel may use while it runs.
struct KernelContext {
  // By ValueId; kernels write their own only. Arrays of double in a plan of
  // Precision::kFloat64, of float in others.
  float* const* values = nullptr;
  std::byte* scratch = nullptr;  // scratch_bytes(), aligned to 64 bytes
  KernelState* state = nullptr;  // from CreateState()
  // How many rows of the plan are wanted.
  int rows = std::numeric_limits<int>::max();

  template <typename T>
  T* As(ValueId id) const {
    return reinterpret_cast<T*>(values[id]);
  }
};

// One operation of a plan. Immutable; thread-safe.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual size_t scratch_bytes() const { return 0; }
  virtual std::unique_ptr<KernelState> CreateState() const { return nullptr; }
  virtual absl::Status Run(const KernelContext& context) const = 0;
};

// What kernels are made from. The factories below take one node of `graph`,
// whose values are dense and row-major and not empty.
struct KernelInput {
  const Graph& graph;
  ValueId id;
  CpuWeightStore& weights;
  const dnnl::engine& engine;
  // By ValueId: interned constants, null for other values.
  const std::vector<const Tensor*>& constants;
  Precision precision = Precision::kFloat32;

  const Node& node() const { return graph.node(id); }
  ValueId input(int i) const { return node().inputs[static_cast<size_t>(i)]; }
  // Input i, if it is a constant; else null.
  const Tensor* constant(int i) const {
    return constants[static_cast<size_t>(input(i))];
  }
  const Shape& input_shape(int i) const { return graph.shape(input(i)); }
};

using KernelOr = absl::StatusOr<std::unique_ptr<Kernel>>;

// kFused, kElementwise.
KernelOr CreateProgramKernel(const KernelInput& input);
// kReduceSum, kReduceMax.
KernelOr CreateReduceKernel(const KernelInput& input);
// kReshape, kStopGradient, kBroadcast, kTranspose, kSlice, kPad, kConcat.
KernelOr CreateCopyKernel(const KernelInput& input);
// kGather, kScatterAdd.
KernelOr CreateIndexKernel(const KernelInput& input);
// kTake, kPutAdd.
KernelOr CreateTakeKernel(const KernelInput& input);
// kTopK.
KernelOr CreateTopKKernel(const KernelInput& input);
// kMaxPool, kMaxPoolGrad, kAvgPool, kAvgPoolGrad.
KernelOr CreatePoolKernel(const KernelInput& input);
// kMatmul.
KernelOr CreateMatmulKernel(const KernelInput& input);
// Whether oneDNN has products of bfloat16 here. In what --max_isa leaves.
bool MultipliesBFloat16();
// kMatmul, kConv, kConvBackwardData in bfloat16 where it has none: `create`
// makes the kernel of float32 that gets rounded factors.
using KernelFactory = KernelOr (*)(const KernelInput& input);
KernelOr CreateRoundedKernel(const KernelInput& input, KernelFactory create);
// kConv, kConvBackwardData, kConvBackwardWeights.
KernelOr CreateConvKernel(const KernelInput& input);
// kToFloat64.
KernelOr CreateWidenKernel(const KernelInput& input);
// kCombineEnergies, kMixtureShare.
KernelOr CreateCombineKernel(const KernelInput& input);
// kReduceSum of floats, whose double sums are the kToFloat64 `out`.
KernelOr CreateDoubleSumKernel(const KernelInput& input, ValueId out);
// All zeros: sums of nothing.
std::unique_ptr<Kernel> CreateZeroKernel(const KernelInput& input);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_KERNEL_H_
