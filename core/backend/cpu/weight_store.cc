#include "core/backend/cpu/weight_store.h"

#include <cstring>
#include <string_view>
#include <utility>

#include <absl/hash/hash.h>

#include "core/base/check.h"

namespace basin {
namespace {

std::string_view BytesOf(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size()};
}

}  // namespace

size_t CpuWeightStore::bytes() const {
  MutexLock lock(mu_);
  return bytes_;
}

void CpuWeightStore::KeepElements(const Tensor& constant) {
  MutexLock lock(mu_);
  kept_.insert(constant.id());
}

void CpuWeightStore::Seal() {
  MutexLock lock(mu_);
  sealed_ = true;
  for (auto& [hash, tensors] : constants_) {
    std::vector<Tensor> kept;
    for (const Tensor& tensor : tensors) {
      if (kept_.contains(tensor.id())) {
        kept.push_back(tensor);
      } else {
        bytes_ -= tensor.byte_size();
      }
    }
    tensors = std::move(kept);
  }
}

Tensor CpuWeightStore::Intern(const Tensor& constant) {
  const uint64_t hash =
      absl::HashOf(static_cast<int>(constant.dtype()), BytesOf(constant));
  MutexLock lock(mu_);
  BASIN_CHECK(!sealed_);
  std::vector<Tensor>& same_hash = constants_[hash];
  for (const Tensor& known : same_hash) {
    const bool equal =
        known.dtype() == constant.dtype() &&
        (known.id() == constant.id() ? known.byte_size() == constant.byte_size()
                                     : BytesOf(known) == BytesOf(constant));
    if (equal) return known.Reshaped(constant.shape());
  }
  same_hash.push_back(constant);
  bytes_ += constant.byte_size();
  return constant;
}

const double* CpuWeightStore::Widened(const Tensor& constant) {
  MutexLock lock(mu_);
  std::vector<double>& wide = widened_[constant.id()];
  if (wide.empty()) {
    const auto elements = constant.data<float>();
    wide.assign(elements.begin(), elements.end());
    bytes_ += wide.size() * sizeof(double);
  }
  return wide.data();
}

const dnnl::memory* CpuWeightStore::Find(const Tensor& constant,
                                         std::string_view name,
                                         const dnnl::memory::desc& plain,
                                         const dnnl::memory::desc& wanted) {
  for (const PackedCopy& copy : packed_[constant.id()]) {
    if (copy.name == name && copy.plain == plain &&
        copy.memory.get_desc() == wanted) {
      return &copy.memory;
    }
  }
  return nullptr;
}

dnnl::memory CpuWeightStore::Reorder(dnnl::memory from,
                                     const dnnl::memory::desc& wanted) {
  dnnl::memory to(wanted, engine_);
  dnnl::stream stream(engine_);
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
  bytes_ += wanted.get_size();
  return to;
}

dnnl::memory CpuWeightStore::Packed(const Tensor& constant,
                                    const dnnl::memory::desc& plain,
                                    const dnnl::memory::desc& wanted) {
  MutexLock lock(mu_);
  if (const auto* known = Find(constant, "", plain, wanted)) return *known;
  // oneDNN takes void*, and only reads.
  void* elements = const_cast<std::byte*>(constant.bytes());
  const dnnl::memory from(plain, engine_, elements);
  if (plain == wanted) {
    kept_.insert(constant.id());
    return from;
  }
  const dnnl::memory to = Reorder(from, wanted);
  packed_[constant.id()].push_back({"", plain, to});
  return to;
}

dnnl::memory CpuWeightStore::PackedFrom(
    const Tensor& constant, std::string_view name,
    const dnnl::memory::desc& plain, const dnnl::memory::desc& wanted,
    const std::function<std::vector<float>()>& make) {
  MutexLock lock(mu_);
  if (const auto* known = Find(constant, name, plain, wanted)) return *known;
  std::vector<float> elements = make();
  const dnnl::memory from(plain, engine_, elements.data());
  const dnnl::memory to = Reorder(from, wanted);
  packed_[constant.id()].push_back({std::string(name), plain, to});
  return to;
}

}  // namespace basin
