#include "core/replay/replay_buffer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/backend/tile_ops.h"
#include "core/base/check.h"
#include "core/base/mutex.h"
#include "core/base/philox.h"
#include "core/base/status_macros.h"
#include "core/model/initial_states.h"
#include "core/replay/replay_store.h"
#include "core/replay/slot_pool.h"

namespace basin {
namespace {

using internal::ReplayStore;
using internal::SlotPool;

constexpr int64_t kMaxDraw = int64_t{1} << 24;  // chains

PhiloxBlock ReplayDraws(uint64_t seed, int64_t chain) {
  return Philox(seed, DrawCounter(0, static_cast<uint64_t>(chain), 0,
                                  static_cast<uint8_t>(DrawPurpose::kReplay)));
}

// True with `probability`: 0 never, 1 always.
bool Restarts(const PhiloxBlock& draws, double probability) {
  return draws.word[0] * 0x1p-32 < probability;
}

// Uniform in [0, count), from 64 bits: the high word of their product with
// `count`. REQUIRES: 0 < count < 2^32.
int64_t UniformIndex(const PhiloxBlock& draws, int64_t count) {
  const auto n = static_cast<uint64_t>(count);
  return static_cast<int64_t>(
      (draws.word[1] * n + ((draws.word[2] * n) >> 32)) >> 32);
}

// Draws places of [0, size) one by one. Without replacement this is a
// Fisher-Yates shuffle that stops early, with its array kept as the difference
// from 0, 1, 2, ...
class Places {
 public:
  Places(absl::Span<const int32_t> slots, ReplayReadPolicy policy)
      : slots_(slots), policy_(policy) {}

  bool AnyLeft() const { return taken_ < Size(); }

  // REQUIRES: AnyLeft().
  int64_t Take(const PhiloxBlock& draws) {
    if (policy_ == ReplayReadPolicy::kWithReplacement) {
      return slots_[UniformIndex(draws, Size())];
    }
    const int64_t place = taken_ + UniformIndex(draws, Size() - taken_);
    const int64_t chosen = At(place);
    moved_[place] = At(taken_++);
    return slots_[chosen];
  }

 private:
  int64_t Size() const { return static_cast<int64_t>(slots_.size()); }
  int64_t At(int64_t place) const {
    const auto it = moved_.find(place);
    return it == moved_.end() ? place : it->second;
  }

  const absl::Span<const int32_t> slots_;
  const ReplayReadPolicy policy_;
  int64_t taken_ = 0;  // without replacement
  absl::flat_hash_map<int64_t, int64_t> moved_;
};

int32_t LabelOf(absl::Span<const int32_t> labels, int64_t chain) {
  return labels.empty() ? kNoReplayLabel : labels[chain];
}

// Sets slots and unserved of `n` chains with draw.labels. A pure function:
// chain i uses its own random numbers.
void ChooseSlots(int64_t n, uint64_t seed, const SlotPool& pool,
                 double restart_probability, ReplayReadPolicy policy,
                 ReplayDraw& draw) {
  draw.slots.assign(static_cast<size_t>(n), ReplayDraw::kFresh);
  absl::flat_hash_map<int32_t, Places> places;
  for (int64_t i = 0; i < n; ++i) {
    const PhiloxBlock draws = ReplayDraws(seed, i);
    if (Restarts(draws, restart_probability)) continue;
    const int32_t label = LabelOf(draw.labels, i);
    Places& of_label =
        places.try_emplace(label, pool.slots_of(label), policy).first->second;
    if (of_label.AnyLeft()) {
      draw.slots[i] = of_label.Take(draws);
    } else {
      ++draw.unserved;
    }
  }
}

absl::Status CheckProbability(const char* field, double probability) {
  if (probability >= 0 && probability <= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": expected 0 to 1, got ", probability));
}

bool AllFinite(absl::Span<const float> values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

// Locks: `store_mu_` is held over disk writes, `mu_` only while memory
// changes, so that draws and write-backs never wait for the disk.
class ReplayBufferImpl : public ReplayBuffer {
 public:
  ReplayBufferImpl(Options options, SlotPool pool)
      : options_(std::move(options)), pool_(std::move(pool)) {}

  // Call once, before anything else, if the buffer has a path.
  absl::Status OpenStore();

  absl::StatusOr<ReplayDraw> Draw(int64_t n, uint64_t seed,
                                  double restart_probability,
                                  absl::Span<const int32_t> labels) override;
  int64_t WriteBack(const ReplayDraw& draw,
                    absl::Span<const float> states) override;
  absl::Status Insert(absl::Span<const float> states, int32_t label) override;
  absl::Status Clear() override;
  absl::Status Snapshot() override;
  bool HasStates(int32_t label) const override;
  ReplayStats Stats() const override;

 private:
  int64_t NowNs() const { return absl::ToUnixNanos(options_.clock->Now()); }
  absl::Span<const float> Row(absl::Span<const float> states, int64_t i) const {
    const auto d = static_cast<size_t>(options_.dimension);
    return states.subspan(static_cast<size_t>(i) * d, d);
  }
  absl::Status CheckStates(absl::Span<const float> states) const;
  absl::Status PrepareAppend() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mu_);
  absl::Status SnapshotLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mu_);
  ReplayStore::SlotHeader ReadSlot(int64_t slot, absl::Span<float> state);
  bool IsUnchanged(const ReplayDraw& draw, int64_t i) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;

  // Held over every durable operation, so that the journal has them in the
  // order in which they change the pool.
  Mutex store_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  // Null = memory only.
  std::unique_ptr<ReplayStore> store_ ABSL_GUARDED_BY(store_mu_);

  mutable Mutex mu_;
  SlotPool pool_ ABSL_GUARDED_BY(mu_);
  ReplayStats counts_ ABSL_GUARDED_BY(mu_);  // what Stats() does not compute
};

absl::Status ReplayBufferImpl::OpenStore() {
  MutexLock store_lock(store_mu_);
  ReplayStore::Found found;
  {
    MutexLock lock(mu_);
    BASIN_ASSIGN_OR_RETURN(
        store_, ReplayStore::Open({.files = options_.files,
                                   .path = options_.path,
                                   .dimension = options_.dimension,
                                   .capacity = options_.policy.capacity},
                                  pool_, &found));
    counts_.torn_slots = found.torn_slots;
    if (found.last_snapshot_ns != 0) {
      counts_.last_snapshot = absl::FromUnixNanos(found.last_snapshot_ns);
    }
  }
  return found.needs_snapshot ? SnapshotLocked() : absl::OkStatus();
}

absl::StatusOr<ReplayDraw> ReplayBufferImpl::Draw(
    int64_t n, uint64_t seed, double restart_probability,
    absl::Span<const int32_t> labels) {
  if (n < 1 || n > kMaxDraw) {
    return absl::InvalidArgumentError(absl::StrCat(
        "replay draw: expected 1 to ", kMaxDraw, " states, got ", n));
  }
  if (restart_probability < 0) {
    restart_probability = options_.policy.restart_probability;
  }
  BASIN_RETURN_IF_ERROR(
      CheckProbability("restart_probability", restart_probability));
  BASIN_CHECK(labels.empty() || static_cast<int64_t>(labels.size()) == n);
  const auto d = static_cast<size_t>(options_.dimension);
  ReplayDraw draw;
  draw.labels.assign(labels.begin(), labels.end());
  draw.states.resize(static_cast<size_t>(n) * d);
  draw.generations.resize(static_cast<size_t>(n));
  {
    MutexLock lock(mu_);
    ChooseSlots(n, seed, pool_, restart_probability,
                options_.policy.read_policy, draw);
    for (int64_t i = 0; i < n; ++i) {
      if (draw.slots[i] == ReplayDraw::kFresh) continue;
      const absl::Span<const float> state = pool_.state(draw.slots[i]);
      std::copy(state.begin(), state.end(), draw.states.begin() + i * d);
      draw.generations[i] = pool_.generation(draw.slots[i]);
    }
    counts_.draws += n;
    counts_.restarts +=
        std::count(draw.slots.begin(), draw.slots.end(), ReplayDraw::kFresh);
  }
  for (int64_t i = 0; i < n; ++i) {
    if (draw.slots[i] != ReplayDraw::kFresh) continue;
    DrawInitialState(options_.initial, seed, static_cast<uint64_t>(i),
                     absl::MakeSpan(draw.states).subspan(i * d, d));
  }
  return draw;
}

bool ReplayBufferImpl::IsUnchanged(const ReplayDraw& draw, int64_t i) const {
  const int64_t slot = draw.slots[i];
  return slot >= 0 && slot < pool_.size() &&
         pool_.generation(slot) == draw.generations[i];
}

int64_t ReplayBufferImpl::WriteBack(const ReplayDraw& draw,
                                    absl::Span<const float> states) {
  const auto n = static_cast<int64_t>(draw.slots.size());
  BASIN_CHECK(static_cast<int64_t>(states.size()) == n * options_.dimension);
  const bool in_place =
      options_.policy.write_policy == ReplayWritePolicy::kInPlace;
  const int64_t now_ns = NowNs();
  int64_t written = 0;
  MutexLock lock(mu_);
  // A slot that still has its generation still has its label, too.
  // Drawn chains first: the fresh ones may need the place of the oldest, which
  // must not be one that is about to be written.
  if (in_place) {
    for (int64_t i = 0; i < n; ++i) {
      if (!IsUnchanged(draw, i) || !AllFinite(Row(states, i))) continue;
      pool_.Replace(draw.slots[i], Row(states, i), now_ns);
      ++written;
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    if (in_place && draw.slots[i] != ReplayDraw::kFresh) continue;
    if (!AllFinite(Row(states, i))) continue;
    pool_.Add(Row(states, i), LabelOf(draw.labels, i), now_ns);
    ++written;
  }
  counts_.write_backs += written;
  return written;
}

absl::Status ReplayBufferImpl::CheckStates(
    absl::Span<const float> states) const {
  const auto d = static_cast<size_t>(options_.dimension);
  if (states.size() % d != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "states: expected a multiple of ", d, " floats, got ", states.size()));
  }
  for (size_t row = 0; row * d < states.size(); ++row) {
    if (AllFinite(states.subspan(row * d, d))) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("states: row ", row, " has a value that is not finite"));
  }
  return absl::OkStatus();
}

absl::Status ReplayBufferImpl::PrepareAppend() {
  if (!store_->NeedsSnapshot()) return absl::OkStatus();
  return SnapshotLocked();
}

absl::Status ReplayBufferImpl::Insert(absl::Span<const float> states,
                                      int32_t label) {
  BASIN_RETURN_IF_ERROR(CheckStates(states));
  if (label < kNoReplayLabel || label >= kMaxReplayLabels) {
    return absl::InvalidArgumentError(absl::StrCat("label: expected 0 to ",
                                                   kMaxReplayLabels - 1,
                                                   ", or none, got ", label));
  }
  const auto n = static_cast<int64_t>(states.size()) / options_.dimension;
  // Of more rows than fit only the last can stay.
  const int64_t first = std::max<int64_t>(0, n - options_.policy.capacity);
  const absl::Span<const float> kept =
      states.subspan(static_cast<size_t>(first * options_.dimension));
  MutexLock store_lock(store_mu_);
  const int64_t now_ns = NowNs();
  if (store_ != nullptr) {
    BASIN_RETURN_IF_ERROR(PrepareAppend());
    BASIN_RETURN_IF_ERROR(store_->AppendInsert(kept, label, now_ns));
  }
  MutexLock lock(mu_);
  for (int64_t i = 0; i < n - first; ++i)
    pool_.Add(Row(kept, i), label, now_ns);
  counts_.inserts += n;
  return absl::OkStatus();
}

absl::Status ReplayBufferImpl::Clear() {
  MutexLock store_lock(store_mu_);
  if (store_ != nullptr) {
    BASIN_RETURN_IF_ERROR(PrepareAppend());
    BASIN_RETURN_IF_ERROR(store_->AppendClear(NowNs()));
  }
  MutexLock lock(mu_);
  pool_.Clear();
  return absl::OkStatus();
}

absl::Status ReplayBufferImpl::Snapshot() {
  MutexLock store_lock(store_mu_);
  if (store_ == nullptr) {
    return absl::FailedPreconditionError(
        "replay: the buffer is in memory only, there is nowhere to save it");
  }
  return SnapshotLocked();
}

ReplayStore::SlotHeader ReplayBufferImpl::ReadSlot(int64_t slot,
                                                   absl::Span<float> state) {
  MutexLock lock(mu_);
  const absl::Span<const float> from = pool_.state(slot);
  std::copy(from.begin(), from.end(), state.begin());
  return {.label = pool_.label(slot),
          .generation = pool_.generation(slot),
          .written_ns = pool_.written_ns(slot)};
}

absl::Status ReplayBufferImpl::SnapshotLocked() {
  ReplayStore::Source source;
  source.now_ns = NowNs();
  {
    MutexLock lock(mu_);
    // Slots do not disappear while store_mu_ is held.
    source.count = pool_.size();
    source.next_generation = pool_.next_generation();
  }
  source.read = [this](int64_t slot, absl::Span<float> state) {
    return ReadSlot(slot, state);
  };
  BASIN_RETURN_IF_ERROR(store_->WriteSnapshot(source));
  MutexLock lock(mu_);
  counts_.last_snapshot = absl::FromUnixNanos(source.now_ns);
  return absl::OkStatus();
}

bool ReplayBufferImpl::HasStates(int32_t label) const {
  MutexLock lock(mu_);
  return !pool_.slots_of(label).empty();
}

ReplayStats ReplayBufferImpl::Stats() const {
  MutexLock lock(mu_);
  ReplayStats stats = counts_;
  stats.capacity = pool_.capacity();
  stats.size = pool_.size();
  stats.label_sizes = pool_.sizes();
  stats.mean_age = pool_.MeanAge(options_.clock->Now());
  stats.bytes = pool_.bytes();
  return stats;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReplayBuffer>> ReplayBuffer::Open(
    Options options) {
  BASIN_RETURN_IF_ERROR(CheckProbability("replay.restart_probability",
                                         options.policy.restart_probability));
  BASIN_ASSIGN_OR_RETURN(
      SlotPool pool,
      SlotPool::Create(options.policy.capacity, options.dimension));
  const bool durable = !options.path.empty();
  auto buffer =
      std::make_unique<ReplayBufferImpl>(std::move(options), std::move(pool));
  if (durable) BASIN_RETURN_IF_ERROR(buffer->OpenStore());
  return buffer;
}

}  // namespace basin
