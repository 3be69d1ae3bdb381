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
                          dimension_ * static_cast<int64_t>(sizeof(float));
  return size() * slot_bytes;
}

absl::Span<const float> SlotPool::state(int64_t slot) const {
  BASIN_DCHECK(0 <= slot && slot < size());
  return {states_.get() + slot * dimension_, static_cast<size_t>(dimension_)};
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
  (s.older == kNone ? oldest_ : slots_[s.older].newer) = s.newer;
  (s.newer == kNone ? newest_ : slots_[s.newer].older) = s.older;
}

void SlotPool::LinkAsNewest(int32_t slot) {
  slots_[slot].older = newest_;
  slots_[slot].newer = kNone;
  (newest_ == kNone ? oldest_ : slots_[newest_].newer) = slot;
  newest_ = slot;
}

void SlotPool::Replace(int64_t slot, absl::Span<const float> state,
                       int64_t written_ns) {
  BASIN_CHECK(0 <= slot && slot < size());
  Fill(slot, state, written_ns);
  slots_[slot].generation = next_generation_++;
  Unlink(static_cast<int32_t>(slot));
  LinkAsNewest(static_cast<int32_t>(slot));
}

void SlotPool::Add(absl::Span<const float> state, int64_t written_ns) {
  if (size() == capacity_) return Replace(oldest_, state, written_ns);
  const auto slot = static_cast<int32_t>(size());
  slots_.emplace_back();
  Fill(slot, state, written_ns);
  slots_[slot].generation = next_generation_++;
  LinkAsNewest(slot);
}

void SlotPool::Clear() {
  slots_.clear();
  oldest_ = newest_ = kNone;
  written_sum_ = absl::ZeroDuration();
}

void SlotPool::Restore(absl::Span<const float> state, uint64_t generation,
                       int64_t written_ns) {
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
}

}  // namespace basin::internal
