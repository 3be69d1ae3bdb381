#ifndef BASIN_CORE_REPLAY_SLOT_POOL_H_
#define BASIN_CORE_REPLAY_SLOT_POOL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <absl/types/span.h>

namespace basin::internal {

// The states of a replay buffer in memory: slots [0, size) hold one each,
// ordered by when they were last written. Each belongs to a label, that of the
// law whose chain it is, or to none. A slot's generation is the number of the
// write that made it: no two writes have the same, so an unchanged generation
// means an unchanged slot. Not thread-safe.
class SlotPool {
 public:
  static constexpr int64_t kMaxCapacity = int64_t{1} << 24;  // slots
  static constexpr int32_t kNoLabel = -1;

  // InvalidArgument unless 1 <= capacity <= kMaxCapacity and dimension >= 1;
  // ResourceExhausted if there is not enough memory for [capacity, D].
  static absl::StatusOr<SlotPool> Create(int64_t capacity, int64_t dimension);

  int64_t capacity() const { return capacity_; }
  int64_t dimension() const { return dimension_; }
  int64_t size() const { return static_cast<int64_t>(slots_.size()); }
  // Of the states held and what is kept of each.
  int64_t bytes() const;
  // The number of the next write.
  uint64_t next_generation() const { return next_generation_; }

  // REQUIRES: 0 <= slot < size().
  absl::Span<const float> state(int64_t slot) const;  // [D]
  uint64_t generation(int64_t slot) const { return slots_[slot].generation; }
  int64_t written_ns(int64_t slot) const { return slots_[slot].written_ns; }
  int32_t label(int64_t slot) const { return slots_[slot].label; }
  // The slots of one label, ascending.
  absl::Span<const int32_t> slots_of(int32_t label) const;
  // How many those are, of labels that have any; kNoLabel is one.
  std::map<int32_t, int64_t> sizes() const;
  // The mean of now - written; zero if empty.
  absl::Duration MeanAge(absl::Time now) const;

  // Writes `state` [D] to `slot`, which becomes the newest of its label.
  // REQUIRES: 0 <= slot < size().
  void Replace(int64_t slot, absl::Span<const float> state, int64_t written_ns);
  // Writes `state` [D] to a free slot; else to the oldest of the label that
  // has the most slots, so that labels come to share the pool evenly.
  void Add(absl::Span<const float> state, int32_t label, int64_t written_ns);
  void Clear();

  // Puts back what a file held, in slot order; beyond the capacity the oldest
  // generations go. REQUIRES: between Create() and FinishRestore().
  void Restore(absl::Span<const float> state, int32_t label,
               uint64_t generation, int64_t written_ns);
  // Call once after the last Restore(); later writes are numbered from
  // `next_generation` or above what was restored.
  void FinishRestore(uint64_t next_generation);

 private:
  static constexpr int32_t kNone = -1;
  struct Slot {
    uint64_t generation = 0;
    int64_t written_ns = 0;  // since the Unix epoch
    int32_t older = kNone;   // neighbours in the label's order of writing
    int32_t newer = kNone;
    int32_t label = kNoLabel;
  };
  // The slots of one label.
  struct Partition {
    int32_t oldest = kNone;
    int32_t newest = kNone;
    std::vector<int32_t> slots;  // ascending
  };

  SlotPool(int64_t capacity, int64_t dimension, std::unique_ptr<float[]> states)
      : capacity_(capacity),
        dimension_(dimension),
        states_(std::move(states)) {}

  void Fill(int64_t slot, absl::Span<const float> state, int64_t written_ns);
  void Unlink(int32_t slot);
  void LinkAsNewest(int32_t slot);
  // Whose place a new state of `label` takes. REQUIRES: the pool is full.
  int32_t SlotToReplace(int32_t label) const;
  void MoveTo(int32_t label, int32_t slot);

  int64_t capacity_;
  int64_t dimension_;
  // [capacity, D], not initialised: the system gives pages as slots fill.
  std::unique_ptr<float[]> states_;
  std::vector<Slot> slots_;
  std::map<int32_t, Partition> partitions_;  // by label; none is empty
  uint64_t next_generation_ = 1;
  absl::Duration written_sum_;  // of all slots, since the Unix epoch
  // A heap of slots, oldest generation on top; used while restoring.
  std::vector<int32_t> restored_;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_REPLAY_SLOT_POOL_H_
