#include <cpuid.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include "core/backend/backend.h"
#include "core/backend/cpu/channels_last.h"
#include "core/backend/cpu/cpu_plan.h"
#include "core/backend/cpu/dnnl_kernel.h"
#include "core/backend/cpu/tile_ops_cpu.h"
#include "core/backend/cpu/weight_store.h"
#include "core/base/cpu_isa.h"
#include "core/base/status_macros.h"
#include "core/graph/passes.h"
#include "core/graph/widen_energies.h"

// GNU OpenMP, which the packaged oneDNN runs on. Declared here because clang
// brings another runtime's header.
extern "C" {
void omp_set_num_threads(int num_threads);
int omp_get_max_threads();
}

namespace basin {
namespace {

constexpr size_t kAlignment = 64;  // bytes

// oneDNN in this thread runs single-threaded while this object lives: what it
// prepares depends on the number of threads.
class SingleThreaded {
 public:
  SingleThreaded() : previous_(omp_get_max_threads()) {
    omp_set_num_threads(1);
  }
  ~SingleThreaded() { omp_set_num_threads(previous_); }
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  const int previous_;
};

std::string ProcessorName() {
  unsigned int words[12] = {};
  for (unsigned int leaf = 0; leaf < 3; ++leaf) {
    unsigned int* w = words + 4 * leaf;
    if (__get_cpuid(0x80000002U + leaf, &w[0], &w[1], &w[2], &w[3]) == 0) {
      return "unknown";
    }
  }
  char name[sizeof(words) + 1] = {};
  std::memcpy(name, words, sizeof(words));
  return std::string(absl::StripAsciiWhitespace(name));
}

// Holds oneDNN to the instruction set that our own loops use, and to no less:
// its fast products of bfloat16 need what came after AVX-512's core. Those of
// float32 are the same on all v4 machines.
void CapDnnlIsa() {
  // oneDNN's choice is final once it has computed anything: then it stays.
  switch (ActiveIsa()) {
    case CpuIsa::kV4:
      dnnl_set_max_cpu_isa(dnnl_cpu_isa_all);
      break;
    case CpuIsa::kV3:
      dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
      break;
    case CpuIsa::kBaseline:
      dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
      break;
  }
}

// All that results depend on: "x86-64-v4+bf16".
std::string CappedIsa() {
  CapDnnlIsa();
  const std::string isa(Name(ActiveIsa()));
  if (DnnlHas(dnnl_cpu_isa_avx512_core_amx)) return absl::StrCat(isa, "+amx");
  if (DnnlHas(dnnl_cpu_isa_avx512_core_bf16)) return absl::StrCat(isa, "+bf16");
  return isa;
}

class CpuBackend : public Backend {
 public:
  CpuBackend()
      : info_{"cpu", ProcessorName(), CappedIsa()},
        tile_ops_(CreateCpuTileOps(ActiveIsa())) {
    engine_ = dnnl::engine(dnnl::engine::kind::cpu, 0);
  }

  const DeviceInfo& info() const override { return info_; }

  absl::StatusOr<DeviceMemory> Allocate(size_t bytes) const override {
    const size_t size = (bytes / kAlignment + 1) * kAlignment;
    void* memory =
        size > bytes ? std::aligned_alloc(kAlignment, size) : nullptr;
    if (memory == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat("cannot allocate ", bytes, " bytes of host memory"));
    }
    std::memset(memory, 0, size);
    return DeviceMemory(static_cast<std::byte*>(memory),
                        [](std::byte* p) { std::free(p); });
  }

  void CopyToDevice(void* device, const void* host,
                    size_t bytes) const override {
    if (bytes > 0) std::memcpy(device, host, bytes);
  }
  void CopyToHost(void* host, const void* device, size_t bytes) const override {
    if (bytes > 0) std::memcpy(host, device, bytes);
  }

  std::shared_ptr<WeightStore> CreateWeightStore() const override {
    return std::make_shared<CpuWeightStore>(engine_);
  }

  absl::StatusOr<std::unique_ptr<Plan>> Compile(
      const Graph& graph, const std::shared_ptr<WeightStore>& weights,
      Precision precision) const override {
    const SingleThreaded single_threaded;
    auto store = std::static_pointer_cast<CpuWeightStore>(weights);
    if (precision == Precision::kFloat64) {
      BASIN_ASSIGN_OR_RETURN(const Graph exact,
                             Simplify(graph, Folding::kExact));
      return CpuPlan::Create(exact, store, engine_, precision);
    }
    BASIN_ASSIGN_OR_RETURN(const Graph narrow, Narrow(graph));
    BASIN_ASSIGN_OR_RETURN(const Graph simple, Simplify(narrow));
    BASIN_ASSIGN_OR_RETURN(const Graph wide, WidenEnergies(simple));
    BASIN_ASSIGN_OR_RETURN(const Graph images_last, ToChannelsLast(wide));
    BASIN_ASSIGN_OR_RETURN(const Graph optimized, Optimize(images_last));
    return CpuPlan::Create(optimized, store, engine_, precision);
  }

  const TileOps& tile_ops() const override { return *tile_ops_; }

  void PrepareWorkerThread() const override { omp_set_num_threads(1); }

 private:
  const DeviceInfo info_;
  const std::unique_ptr<const TileOps> tile_ops_;
  dnnl::engine engine_;
};

}  // namespace

std::unique_ptr<Backend> CreateCpuBackend() {
  return std::make_unique<CpuBackend>();
}

}  // namespace basin
