#ifndef BASIN_CORE_BACKEND_CPU_CPU_PLAN_H_
#define BASIN_CORE_BACKEND_CPU_CPU_PLAN_H_

#include <cstddef>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include <absl/base/thread_annotations.h>

#include "core/backend/backend.h"
#include "core/backend/cpu/kernel.h"
#include "core/backend/cpu/weight_store.h"
#include "core/base/mutex.h"
#include "core/graph/graph.h"

namespace basin {

// A plan is a list of kernels over a table of addresses, one for each value.
// The workspace is [addresses | values, by PlanMemory() | converted inputs and
// outputs, float64 values | kernels' scratch]. In a plan of Precision::kFloat64
// all values are doubles, and inputs and outputs are converted. Thread-safe.
class CpuPlan : public Plan {
 public:
  // `graph` must have been through Optimize(); for kFloat64 it must not have
  // been through Fuse() and ToChannelsLast().
  static absl::StatusOr<std::unique_ptr<Plan>> Create(
      const Graph& graph, const std::shared_ptr<CpuWeightStore>& weights,
      const dnnl::engine& engine, Precision precision);

  size_t workspace_bytes() const override { return workspace_bytes_; }

  absl::Status Run(Workspace& workspace, absl::Span<const float* const> inputs,
                   absl::Span<void* const> outputs) const override {
    return RunRows(workspace, std::numeric_limits<int>::max(), inputs, outputs);
  }
  absl::Status RunRows(Workspace& workspace, int rows,
                       absl::Span<const float* const> inputs,
                       absl::Span<void* const> outputs) const override;

 private:
  // Where a value is. Values that are reshapes of others are where those are.
  struct Location {
    enum class Place { kArena, kInput, kOutput, kConstant, kConverted };
    Place place = Place::kArena;
    size_t offset = 0;  // kArena, kConverted: bytes; kInput, kOutput: index
    const void* constant = nullptr;
  };
  // An output whose value lives elsewhere: an input, say. In kFloat64: all
  // outputs, narrowed unless they are float64 themselves.
  struct OutputCopy {
    ValueId value;
    size_t output;
    size_t elements;
    DType dtype;
  };
  struct InputCopy {
    ValueId value;
    size_t input;
    size_t elements;
  };
  // What the kernels keep between runs, for one Run() at a time.
  using States = std::vector<std::unique_ptr<KernelState>>;
  class Lease;

  CpuPlan(std::shared_ptr<CpuWeightStore> weights, Precision precision)
      : weights_(std::move(weights)), precision_(precision) {}

  bool is_double() const { return precision_ == Precision::kFloat64; }
  absl::Status Place(const Graph& graph);
  void PlaceInputs(const Graph& graph);
  void PlaceOutputs(const Graph& graph);
  Location NewConverted(const Node& node);
  absl::Status AddKernels(const Graph& graph, const dnnl::engine& engine);
  void ReleasePacked(const Graph& graph);
  absl::Status SumUpMemory(const Graph& graph);
  States NewStates() const;
  float** Addresses(Workspace& workspace, absl::Span<const float* const> inputs,
                    absl::Span<void* const> outputs) const;
  void CopyOutputs(float* const* addresses,
                   absl::Span<void* const> outputs) const;

  // Constant after construction.
  const std::shared_ptr<CpuWeightStore> weights_;
  const Precision precision_;
  std::vector<Tensor> constants_;    // but those that ReleasePacked() let go
  std::vector<Location> locations_;  // by ValueId
  std::vector<InputCopy> input_copies_;
  std::vector<OutputCopy> output_copies_;
  std::vector<std::unique_ptr<Kernel>> kernels_;
  size_t num_inputs_ = 0;
  size_t num_outputs_ = 0;
  size_t arena_offset_ = 0;  // bytes
  size_t arena_bytes_ = 0;
  size_t converted_offset_ = 0;  // bytes
  size_t converted_bytes_ = 0;
  size_t scratch_offset_ = 0;  // bytes
  size_t workspace_bytes_ = 0;

  mutable Mutex mu_;
  mutable std::vector<States> idle_ ABSL_GUARDED_BY(mu_);
  mutable size_t num_states_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_CPU_PLAN_H_
