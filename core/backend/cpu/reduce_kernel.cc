#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend/cpu/kernel.h"
#include "core/backend/cpu/reduce_loops.h"
#include "core/base/cpu_isa.h"

namespace basin {
namespace {

struct Axis {
  int64_t dim = 1;
  int64_t stride = 1;  // elements
  bool reduced = false;
};

// The input's axes, neighbours of the same fate joined; at least one.
std::vector<Axis> JoinedAxes(const Shape& x, const IntList& reduced) {
  std::vector<Axis> axes;  // innermost first
  int64_t stride = 1;
  for (int axis = x.rank() - 1; axis >= 0; --axis) {
    if (x.dim(axis) == 1) continue;
    const bool is_reduced =
        std::find(reduced.begin(), reduced.end(), axis) != reduced.end();
    if (!axes.empty() && axes.back().reduced == is_reduced) {
      axes.back().dim *= x.dim(axis);
    } else {
      axes.push_back({x.dim(axis), stride, is_reduced});
    }
    stride *= x.dim(axis);
  }
  if (axes.empty()) axes.push_back({});
  std::reverse(axes.begin(), axes.end());
  return axes;
}

ReduceLoops LoopsOf(const KernelInput& input) {
  const std::vector<Axis> axes =
      JoinedAxes(input.input_shape(0),
                 std::get<ReduceAttrs>(input.node().attributes).axes);
  ReduceLoops loops;
  loops.kind = input.node().op == Op::kReduceSum ? ReduceLoops::Kind::kSum
                                                 : ReduceLoops::Kind::kMax;
  loops.inner = axes.back().dim;
  loops.inner_is = axes.back().reduced ? ReduceLoops::Inner::kReduced
                                       : ReduceLoops::Inner::kKept;
  for (size_t i = 0; i + 1 < axes.size(); ++i) {
    const Axis& axis = axes[i];
    if (axis.reduced) {
      loops.reduced_dims[loops.reduced_rank] = axis.dim;
      loops.reduced_strides[loops.reduced_rank++] = axis.stride;
      loops.num_reduced *= axis.dim;
    } else {
      loops.kept_dims[loops.kept_rank] = axis.dim;
      loops.kept_strides[loops.kept_rank++] = axis.stride;
      loops.num_kept *= axis.dim;
    }
  }
  return loops;
}

class ReduceKernel : public Kernel {
 public:
  explicit ReduceKernel(const KernelInput& input)
      : x_(input.input(0)), out_(input.id), loops_(LoopsOf(input)) {}

  absl::Status Run(const KernelContext& context) const override {
    run_(loops_, context.values[x_], context.values[out_]);
    return absl::OkStatus();
  }

 private:
  const ValueId x_;
  const ValueId out_;
  const ReduceLoops loops_;
  const RunReduceFunction run_ = SelectByIsa(
      isa_baseline::kRunReduce, isa_v3::kRunReduce, isa_v4::kRunReduce);
};

// From T to double.
template <typename T, typename Function>
class DoubleReduceKernel : public Kernel {
 public:
  DoubleReduceKernel(const KernelInput& input, ValueId out, Function run)
      : x_(input.input(0)), out_(out), loops_(LoopsOf(input)), run_(run) {}

  absl::Status Run(const KernelContext& context) const override {
    run_(loops_, context.As<const T>(x_), context.As<double>(out_));
    return absl::OkStatus();
  }

 private:
  const ValueId x_;
  const ValueId out_;
  const ReduceLoops loops_;
  const Function run_;
};

}  // namespace

KernelOr CreateReduceKernel(const KernelInput& input) {
  if (input.precision != Precision::kFloat64) {
    return std::make_unique<ReduceKernel>(input);
  }
  return std::make_unique<DoubleReduceKernel<double, RunDoubleReduceFunction>>(
      input, input.id,
      SelectByIsa(isa_baseline::kRunDoubleReduce, isa_v3::kRunDoubleReduce,
                  isa_v4::kRunDoubleReduce));
}

KernelOr CreateDoubleSumKernel(const KernelInput& input, ValueId out) {
  return std::make_unique<DoubleReduceKernel<float, RunWideReduceFunction>>(
      input, out,
      SelectByIsa(isa_baseline::kRunWideReduce, isa_v3::kRunWideReduce,
                  isa_v4::kRunWideReduce));
}

}  // namespace basin
