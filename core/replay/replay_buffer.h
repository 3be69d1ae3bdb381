#ifndef BASIN_CORE_REPLAY_REPLAY_BUFFER_H_
#define BASIN_CORE_REPLAY_REPLAY_BUFFER_H_

#include <cstdint>
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

// States drawn to start chains from. Row i of a request starts from
// states[i]; slots[i] is where it came from, or kFresh for a chain that the
// restart probability sent to the initial law.
struct ReplayDraw {
  static constexpr int64_t kFresh = -1;
  std::vector<float> states;          // [n, D]
  std::vector<int64_t> slots;         // [n]
  std::vector<uint64_t> generations;  // [n], of the slot when drawn
};

struct ReplayStats {
  int64_t capacity = 0;
  int64_t size = 0;  // states held
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

// One model version's pool of past chain states, with its durable store.
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

  // Starting states of `n` chains. Depends on the buffer's contents, `seed`,
  // `n` and the restart probability only. `restart_probability` in [0, 1], or
  // negative = the configured one. An empty buffer starts every chain afresh;
  // so does, without replacement, each chain for which no state is left.
  // InvalidArgument unless 1 <= n <= 2^24.
  virtual absl::StatusOr<ReplayDraw> Draw(int64_t n, uint64_t seed,
                                          double restart_probability) = 0;

  // Puts the chains' last states [n, D] back by the write policy. In place, a
  // slot that another writer changed since the draw (its generation moved on)
  // is left alone, and fresh chains go to free slots, else the oldest; rows
  // with non-finite values are skipped. Returns how many were written.
  virtual int64_t WriteBack(const ReplayDraw& draw,
                            absl::Span<const float> states) = 0;

  // Adds states [n, D]; when full, the oldest go. Durable when it returns.
  // Now and then this makes a snapshot, which keeps the journal short.
  // InvalidArgument if a value is not finite (naming the row) or the size is
  // not a multiple of D.
  virtual absl::Status Insert(absl::Span<const float> states) = 0;

  // Removes all states, durably.
  virtual absl::Status Clear() = 0;

  // Makes all states durable, those written back too: a new file that
  // replaces the old one atomically. FailedPrecondition without a store.
  virtual absl::Status Snapshot() = 0;

  virtual ReplayStats Stats() const = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_REPLAY_REPLAY_BUFFER_H_
