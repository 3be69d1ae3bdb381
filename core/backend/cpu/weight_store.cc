#include "core/backend/cpu/weight_store.h"

#include <cstring>
#include <string_view>

#include <absl/hash/hash.h>

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

Tensor CpuWeightStore::Intern(const Tensor& constant) {
  const uint64_t hash =
      absl::HashOf(static_cast<int>(constant.dtype()), BytesOf(constant));
  MutexLock lock(mu_);
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

dnnl::memory CpuWeightStore::Packed(const Tensor& constant,
                                    const dnnl::memory::desc& plain,
                                    const dnnl::memory::desc& wanted) {
  MutexLock lock(mu_);
  std::vector<PackedCopy>& copies = packed_[constant.id()];
  for (const PackedCopy& copy : copies) {
    if (copy.plain == plain && copy.memory.get_desc() == wanted) {
      return copy.memory;
    }
  }
  // oneDNN takes void*, and only reads.
  void* elements = const_cast<std::byte*>(constant.bytes());
  dnnl::memory from(plain, engine_, elements);
  if (plain == wanted) return from;  // as it is; the store keeps the tensor
  dnnl::memory to(wanted, engine_);
  dnnl::stream stream(engine_);
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
  copies.push_back({plain, to});
  bytes_ += wanted.get_size();
  return to;
}

}  // namespace basin
