#include "core/replay/slot_pool.h"

#include <algorithm>
#include <new>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/tensor/shape.h"

namespace basin::internal {

absl::StatusOr<SlotPool> SlotPool::Create(int64_t capacity, int64_t dimension) {
  if (capacity < 1 || capacity > kMaxCapacity) {
    return absl::InvalidArgumentError(absl::StrCat(
        "replay.capacity: expected 1 to ", kMaxCapacity, ", got ", capacity));
  }
  if (dimension < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "replay: dimension is ", dimension, ", expected at least 1"));
  }
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(std::vector<int64_t>{
                                                capacity, dimension}));
  std::unique_ptr<float[]> states(
      new (std::nothrow) float[static_cast<size_t>(shape.num_elements())]);
  if (states == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("replay.capacity: no memory for ", capacity, " states of ",
                     dimension, " floats"));
  }
  return SlotPool(capacity, dimension, std::move(states));
}

int64_t SlotPool::bytes() const {
  const auto slot_bytes = static_cast<int64_t>(sizeof(Slot)) +
                          static_cast<int64_t>(sizeof(int32_t)) +
                          dimension_ * static_cast<int64_t>(sizeof(float));
  return size() * slot_bytes;
}

absl::Span<const float> SlotPool::state(int64_t slot) const {
  BASIN_DCHECK(0 <= slot && slot < size());
  return {states_.get() + slot * dimension_, static_cast<size_t>(dimension_)};
}

absl::Span<const int32_t> SlotPool::slots_of(int32_t label) const {
  const auto found = partitions_.find(label);
  if (found == partitions_.end()) return {};
  return found->second.slots;
}

std::map<int32_t, int64_t> SlotPool::sizes() const {
  std::map<int32_t, int64_t> sizes;
  for (const auto& [label, partition] : partitions_) {
    sizes[label] = static_cast<int64_t>(partition.slots.size());
  }
  return sizes;
}

absl::Duration SlotPool::MeanAge(absl::Time now) const {
  if (slots_.empty()) return absl::ZeroDuration();
  return (now - absl::UnixEpoch()) - written_sum_ / size();
}

void SlotPool::Fill(int64_t slot, absl::Span<const float> state,
                    int64_t written_ns) {
  BASIN_CHECK(static_cast<int64_t>(state.size()) == dimension_);
  std::copy(state.begin(), state.end(), states_.get() + slot * dimension_);
  written_sum_ += absl::Nanoseconds(written_ns) -
                  absl::Nanoseconds(slots_[slot].written_ns);
  slots_[slot].written_ns = written_ns;
}

void SlotPool::Unlink(int32_t slot) {
  Slot& s = slots_[slot];
  Partition& of = partitions_[s.label];
  (s.older == kNone ? of.oldest : slots_[s.older].newer) = s.newer;
  (s.newer == kNone ? of.newest : slots_[s.newer].older) = s.older;
}

void SlotPool::LinkAsNewest(int32_t slot) {
  Partition& of = partitions_[slots_[slot].label];
  slots_[slot].older = of.newest;
  slots_[slot].newer = kNone;
  (of.newest == kNone ? of.oldest : slots_[of.newest].newer) = slot;
  of.newest = slot;
}

void SlotPool::Replace(int64_t slot, absl::Span<const float> state,
                       int64_t written_ns) {
  BASIN_CHECK(0 <= slot && slot < size());
  Fill(slot, state, written_ns);
  slots_[slot].generation = next_generation_++;
  Unlink(static_cast<int32_t>(slot));
  LinkAsNewest(static_cast<int32_t>(slot));
}

int32_t SlotPool::SlotToReplace(int32_t label) const {
  const Partition* most = nullptr;
  for (const auto& [of, partition] : partitions_) {
    if (most == nullptr || partition.slots.size() > most->slots.size()) {
      most = &partition;
    }
  }
  const auto own = partitions_.find(label);
  // Not for a difference of one, which would only change sides.
  const bool has_its_share = own != partitions_.end() &&
                             own->second.slots.size() + 1 >= most->slots.size();
  return has_its_share ? own->second.oldest : most->oldest;
}

void SlotPool::MoveTo(int32_t label, int32_t slot) {
  const auto from = partitions_.find(slots_[slot].label);
  Unlink(slot);
  std::vector<int32_t>& old = from->second.slots;
  old.erase(std::lower_bound(old.begin(), old.end(), slot));
  if (old.empty()) partitions_.erase(from);
  slots_[slot].label = label;
  std::vector<int32_t>& now = partitions_[label].slots;
  now.insert(std::lower_bound(now.begin(), now.end(), slot), slot);
  LinkAsNewest(slot);
}

void SlotPool::Add(absl::Span<const float> state, int32_t label,
                   int64_t written_ns) {
  if (size() == capacity_) {
    const int32_t slot = SlotToReplace(label);
    if (slots_[slot].label != label) MoveTo(label, slot);
    return Replace(slot, state, written_ns);
  }
  const auto slot = static_cast<int32_t>(size());
  slots_.emplace_back();
  Fill(slot, state, written_ns);
  slots_[slot].generation = next_generation_++;
  slots_[slot].label = label;
  partitions_[label].slots.push_back(slot);
  LinkAsNewest(slot);
}

void SlotPool::Clear() {
  slots_.clear();
  partitions_.clear();
  written_sum_ = absl::ZeroDuration();
}

void SlotPool::Restore(absl::Span<const float> state, int32_t label,
                       uint64_t generation, int64_t written_ns) {
  const auto newer = [this](int32_t a, int32_t b) {
    return slots_[a].generation > slots_[b].generation;
  };
  if (size() < capacity_) {
    restored_.push_back(static_cast<int32_t>(size()));
    slots_.emplace_back();
  } else {
    if (generation <= slots_[restored_.front()].generation) return;
    std::pop_heap(restored_.begin(), restored_.end(), newer);
  }
  const int32_t slot = restored_.back();
  Fill(slot, state, written_ns);
  slots_[slot].generation = generation;
  slots_[slot].label = label;
  std::push_heap(restored_.begin(), restored_.end(), newer);
}

void SlotPool::FinishRestore(uint64_t next_generation) {
  std::sort(restored_.begin(), restored_.end(), [this](int32_t a, int32_t b) {
    return slots_[a].generation < slots_[b].generation;
  });
  next_generation_ = std::max(next_generation_, next_generation);
  for (const int32_t slot : restored_) {
    LinkAsNewest(slot);
    next_generation_ = std::max(next_generation_, slots_[slot].generation + 1);
  }
  restored_ = {};
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    partitions_[slots_[slot].label].slots.push_back(static_cast<int32_t>(slot));
  }
}

}  // namespace basin::internal
