#ifndef BASIN_CORE_BACKEND_CPU_WEIGHT_STORE_H_
#define BASIN_CORE_BACKEND_CPU_WEIGHT_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

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
  void Seal() override;

  // The one tensor that stands for all constants with these elements, kept
  // until the store is sealed, or beyond if KeepElements() was called: plans of
  // several row counts fold the same constants anew, and share them by this.
  Tensor Intern(const Tensor& constant);

  // Plans read the elements of `constant` as they are.
  void KeepElements(const Tensor& constant);

  // The elements of a float32 constant as doubles; made at the first call.
  // REQUIRES: `constant` came from Intern().
  const double* Widened(const Tensor& constant);

  // The elements of `constant`, which lie as `plain` says, in the layout
  // `wanted`; made at the first call. Throws dnnl::error.
  // REQUIRES: `constant` came from Intern().
  dnnl::memory Packed(const Tensor& constant, const dnnl::memory::desc& plain,
                      const dnnl::memory::desc& wanted);

  // The same for elements that `make`, called `name`, makes of `constant`:
  // these lie as `plain` says, and are not kept.
  dnnl::memory PackedFrom(const Tensor& constant, std::string_view name,
                          const dnnl::memory::desc& plain,
                          const dnnl::memory::desc& wanted,
                          const std::function<std::vector<float>()>& make);

 private:
  struct PackedCopy {
    std::string name;  // empty: of the constant itself
    dnnl::memory::desc plain;
    dnnl::memory memory;
  };

  // Null if there is none yet.
  const dnnl::memory* Find(const Tensor& constant, std::string_view name,
                           const dnnl::memory::desc& plain,
                           const dnnl::memory::desc& wanted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  dnnl::memory Reorder(dnnl::memory from, const dnnl::memory::desc& wanted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const dnnl::engine engine_;
  mutable Mutex mu_;
  // By a hash of type and elements.
  absl::flat_hash_map<uint64_t, std::vector<Tensor>> constants_
      ABSL_GUARDED_BY(mu_);
  // By Tensor::id().
  absl::flat_hash_map<const void*, std::vector<PackedCopy>> packed_
      ABSL_GUARDED_BY(mu_);
  // By Tensor::id().
  absl::flat_hash_map<const void*, std::vector<double>> widened_
      ABSL_GUARDED_BY(mu_);
  // Tensor::id() of constants whose elements are read as they are.
  absl::flat_hash_set<const void*> kept_ ABSL_GUARDED_BY(mu_);
  bool sealed_ ABSL_GUARDED_BY(mu_) = false;
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_WEIGHT_STORE_H_
