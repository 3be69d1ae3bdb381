#ifndef BASIN_CORE_BACKEND_CPU_WEIGHT_STORE_H_
#define BASIN_CORE_BACKEND_CPU_WEIGHT_STORE_H_

#include <cstddef>
#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>

#include "core/backend/backend.h"
#include "core/base/mutex.h"
#include "core/tensor/tensor.h"

namespace basin {

// The constants of one model version's plans, in host memory, and their copies
// in the layouts that oneDNN's primitives want. Thread-safe.
class CpuWeightStore : public WeightStore {
 public:
  explicit CpuWeightStore(dnnl::engine engine) : engine_(std::move(engine)) {}

  size_t bytes() const override;

  // The one tensor that stands for all constants with these elements, kept
  // for as long as the store: plans of several row counts fold the same
  // constants anew, and share them by this.
  Tensor Intern(const Tensor& constant);

  // The elements of `constant`, which lie as `plain` says, in the layout
  // `wanted`; made at the first call. Throws dnnl::error.
  // REQUIRES: `constant` came from Intern().
  dnnl::memory Packed(const Tensor& constant, const dnnl::memory::desc& plain,
                      const dnnl::memory::desc& wanted);

 private:
  struct PackedCopy {
    dnnl::memory::desc plain;
    dnnl::memory memory;
  };

  const dnnl::engine engine_;
  mutable Mutex mu_;
  // By a hash of type and elements.
  absl::flat_hash_map<uint64_t, std::vector<Tensor>> constants_
      ABSL_GUARDED_BY(mu_);
  // By Tensor::id().
  absl::flat_hash_map<const void*, std::vector<PackedCopy>> packed_
      ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_WEIGHT_STORE_H_
