#ifndef BASIN_CORE_REPLAY_REPLAY_BUFFER_H_
#define BASIN_CORE_REPLAY_REPLAY_BUFFER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <absl/types/span.h>

#include "core/base/clock.h"
#include "core/model/energy_model.h"
#include "core/replay/file_layer.h"

namespace basin {

// The label of states that have none.
inline constexpr int32_t kNoReplayLabel = -1;
// Labels are 0 to this, less one: each write looks at all that have states.
inline constexpr int32_t kMaxReplayLabels = 1024;

// States drawn to start chains from. Row i of a request starts from
// states[i]; slots[i] is where it came from, or kFresh for a chain that the
// restart probability sent to the initial law.
struct ReplayDraw {
  static constexpr int64_t kFresh = -1;
  std::vector<float> states;          // [n, D]
  std::vector<int64_t> slots;         // [n]
  std::vector<uint64_t> generations;  // [n], of the slot when drawn
  std::vector<int32_t> labels;        // [n], or empty = kNoReplayLabel
  // How many are kFresh because no state was left for them.
  int64_t unserved = 0;
};

struct ReplayStats {
  int64_t capacity = 0;
  int64_t size = 0;                        // states held
  std::map<int32_t, int64_t> label_sizes;  // of labels that have any
  // Since Open():
  int64_t inserts = 0;  // states that Insert() took
  int64_t write_backs = 0;
  int64_t draws = 0;
  int64_t restarts = 0;     // draws that started afresh
  int64_t torn_slots = 0;   // dropped when the store was opened
  absl::Duration mean_age;  // of the states held, since last written
  absl::Time last_snapshot = absl::InfinitePast();  // if none
  int64_t bytes = 0;
};

// One model version's pool of past chain states, with its durable store. States
// have a label or none, for the law that they are chains of: p(x), or p(x | y)
// for a label y. Chains start from states of their own label, and go back to
// it. All labels share the capacity; when it is full they come to hold even
// shares.
// A crash at any instant leaves files that Open() opens: with every
// acknowledged Insert() and the state of the last Snapshot(), but for torn
// slots, which are dropped and counted. Thread-safe.
class ReplayBuffer {
 public:
  struct Options {
    ReplayOptions policy;
    int64_t dimension = 0;  // D
    InitialLaw initial;
    std::string path;  // prefix of the store's files; "" = memory only
    const Clock* clock = &Clock::Real();
    // Outlives the buffer.
    internal::FileLayer* files = &internal::FileLayer::Real();
  };

  // Restores what the store holds; a smaller capacity keeps the newest states.
  // FailedPrecondition if it belongs to another dimension, or is open already,
  // here or in another process. DataLoss if the snapshot's header is damaged
  // (which no crash does). ResourceExhausted without memory for the capacity.
  static absl::StatusOr<std::unique_ptr<ReplayBuffer>> Open(Options options);
  virtual ~ReplayBuffer() = default;

  // Starting states of `n` chains; `labels` are theirs, [n], or empty = none
  // has one. Depends on the buffer's contents and the arguments only.
  // `restart_probability` in [0, 1], or negative = the configured one. Without
  // states of its label a chain starts afresh; so does, without replacement,
  // each for which no state is left.
  // InvalidArgument unless 1 <= n <= 2^24.
  // REQUIRES: labels from kNoReplayLabel to kMaxReplayLabels - 1.
  virtual absl::StatusOr<ReplayDraw> Draw(int64_t n, uint64_t seed,
                                          double restart_probability,
                                          absl::Span<const int32_t> labels) = 0;
  absl::StatusOr<ReplayDraw> Draw(int64_t n, uint64_t seed,
                                  double restart_probability) {
    return Draw(n, seed, restart_probability, {});
  }

  // Puts the chains' last states [n, D] back by the write policy. In place, a
  // slot that another writer changed since the draw (its generation moved on)
  // is left alone, and fresh chains go to free slots, else the oldest of the
  // label with the most; rows with non-finite values are skipped. Returns how
  // many were written.
  virtual int64_t WriteBack(const ReplayDraw& draw,
                            absl::Span<const float> states) = 0;

  // Adds states [n, D] of one label; when full, the oldest go, of the label
  // with the most. Durable when it returns. Now and then this makes a
  // snapshot, which keeps the journal short. InvalidArgument if a value is not
  // finite (naming the row), the size is not a multiple of D, or there is no
  // such label.
  virtual absl::Status Insert(absl::Span<const float> states,
                              int32_t label) = 0;
  absl::Status Insert(absl::Span<const float> states) {
    return Insert(states, kNoReplayLabel);
  }

  // Removes all states, durably.
  virtual absl::Status Clear() = 0;

  // Makes all states durable, those written back too: a new file that
  // replaces the old one atomically. FailedPrecondition without a store.
  virtual absl::Status Snapshot() = 0;

  // Whether there are states of `label`, or without one.
  virtual bool HasStates(int32_t label) const = 0;

  virtual ReplayStats Stats() const = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_REPLAY_REPLAY_BUFFER_H_
