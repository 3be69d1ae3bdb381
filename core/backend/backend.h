#ifndef BASIN_CORE_BACKEND_BACKEND_H_
#define BASIN_CORE_BACKEND_BACKEND_H_

// The seam between what is computed and where. A Backend is one device: its
// memory, its plans, its tile operations. "Device memory" below is host memory
// on the CPU backend; nothing outside core/backend dereferences it.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/backend/tile_ops.h"
#include "core/graph/graph.h"

namespace basin {

// Device memory, freed with this object. Movable. Not thread-safe.
using DeviceMemory =
    std::unique_ptr<std::byte[], std::function<void(std::byte*)>>;

// Scratch memory for plans: one per worker, used by one plan at a time.
// Owned by its worker thread; not thread-safe.
struct Workspace {
  DeviceMemory memory;
  size_t size = 0;  // bytes
};

// A graph compiled for one row count. Immutable; thread-safe: several workers
// run one plan at once, each with its own Workspace.
class Plan {
 public:
  virtual ~Plan() = default;

  // Bytes of Workspace that Run() needs.
  virtual size_t workspace_bytes() const = 0;

  // Computes the graph's outputs. `inputs` and `outputs` are device memory in
  // the order of the graph's inputs and outputs, of their shapes, aligned to
  // 64 bytes, and do not overlap. A float64 output is an array of
  // doubles, any other one of floats. Allocates nothing.
  // REQUIRES: workspace.size >= workspace_bytes().
  virtual absl::Status Run(Workspace& workspace,
                           absl::Span<const float* const> inputs,
                           absl::Span<void* const> outputs) const = 0;
  // The same where only the first `rows` rows of the outputs are wanted: the
  // others may become anything.
  virtual absl::Status RunRows(Workspace& workspace, int /*rows*/,
                               absl::Span<const float* const> inputs,
                               absl::Span<void* const> outputs) const {
    return Run(workspace, inputs, outputs);
  }
};

// Weights in the device's layout, shared by all plans of one model version
// and freed with it. Created by Backend::CreateWeightStore(). Thread-safe.
class WeightStore {
 public:
  virtual ~WeightStore() = default;
  // Bytes held on the device, packed copies included.
  virtual size_t bytes() const = 0;
  // Frees what only further plans would need. REQUIRES: no plan is compiled
  // into the store from now on.
  virtual void Seal() = 0;
};

// What a plan computes in. Inputs and gradients are float32 in all of them.
enum class Precision {
  kFloat32,   // products, sums and elementwise operations
  kBFloat16,  // products and convolutions of bfloat16, summed in float32; the
              // rest in float32
  kFloat64,   // everything
};

// "float32", "bfloat16", "float64".
std::string_view Name(Precision precision);

struct DeviceInfo {
  std::string kind;  // "cpu"
  std::string name;  // the processor's own name
  std::string isa;   // what results depend on: "x86-64-v4+bf16", ...
};

// Thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual const DeviceInfo& info() const = 0;

  // Zeroed device memory aligned to 64 bytes. ResourceExhausted if there is
  // not enough.
  virtual absl::StatusOr<DeviceMemory> Allocate(size_t bytes) const = 0;
  virtual void CopyToDevice(void* device, const void* host,
                            size_t bytes) const = 0;
  virtual void CopyToHost(void* host, const void* device,
                          size_t bytes) const = 0;

  // Makes `workspace` at least `bytes` large; its contents are lost.
  absl::Status Reserve(Workspace& workspace, size_t bytes) const;

  virtual std::shared_ptr<WeightStore> CreateWeightStore() const = 0;

  // Compiles `graph`, which the backend optimizes first. Constants are packed
  // into `weights` (of this backend), once for each Tensor::id() and layout.
  // Unimplemented, naming the operation or precision, for what the device
  // cannot compute.
  virtual absl::StatusOr<std::unique_ptr<Plan>> Compile(
      const Graph& graph, const std::shared_ptr<WeightStore>& weights,
      Precision precision) const = 0;

  virtual const TileOps& tile_ops() const = 0;

  // Called once by each thread that will run plans, before it does.
  virtual void PrepareWorkerThread() const = 0;
};

// oneDNN for products and convolutions, our vectorised loops for the rest.
std::unique_ptr<Backend> CreateCpuBackend();

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_BACKEND_H_
