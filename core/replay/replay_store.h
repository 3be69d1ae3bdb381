#ifndef BASIN_CORE_REPLAY_REPLAY_STORE_H_
#define BASIN_CORE_REPLAY_REPLAY_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/replay/file_layer.h"
#include "core/replay/slot_pool.h"

namespace basin::internal {

// The files of one replay buffer:
//
//   <path>.snapshot  all slots at one time; replaced as a whole
//   <path>.journal   inserts and clears since; grows at its end
//   <path>.lock      keeps a second process away
//
// Every journal record has a sequence number, and a snapshot says which was
// the last one it holds. So a crash between the two steps of a snapshot (new
// snapshot in place, journal not yet emptied) applies nothing twice: records
// that the snapshot holds are skipped. A record is acknowledged only when it
// is on the disk, so an unfinished one at the end was never acknowledged.
// After an error of the disk the end of the journal is unknown, and nothing
// is appended to it before a snapshot has replaced it.
//
// Not thread-safe.
class ReplayStore {
 public:
  struct Options {
    FileLayer* files = nullptr;  // outlives the store
    std::string path;
    int64_t dimension = 0;  // D
    int64_t capacity = 0;   // slots; sets how long a journal may grow
  };

  // What Open() found beside the slots.
  struct Found {
    int64_t torn_slots = 0;        // dropped: cut off or failing their checksum
    bool needs_snapshot = false;   // the files are damaged or not there yet
    int64_t last_snapshot_ns = 0;  // since the Unix epoch; 0 = none
  };

  // Restores the slots into `pool`, which is empty. FailedPrecondition if the
  // files belong to another dimension or are open already; DataLoss if the
  // snapshot's header is damaged. Where found->needs_snapshot, WriteSnapshot()
  // must follow before anything is appended.
  static absl::StatusOr<std::unique_ptr<ReplayStore>> Open(Options options,
                                                           SlotPool& pool,
                                                           Found* found);

  // A snapshot is due before the next append: the journal holds more than
  // twice the bytes of all slots, or an error made its end unknown.
  bool NeedsSnapshot() const;

  // Durable when they return OK. REQUIRES: !NeedsSnapshot(); states [n, D];
  // -1 (none) <= label < kMaxLabels.
  absl::Status AppendInsert(absl::Span<const float> states, int32_t label,
                            int64_t written_ns);
  absl::Status AppendClear(int64_t written_ns);

  // What a snapshot saves: `count` slots; read(i, state) fills state [D] of
  // slot i and returns its label, generation and time. Slots may change in
  // between.
  struct SlotHeader {
    int32_t label = SlotPool::kNoLabel;
    uint64_t generation = 0;
    int64_t written_ns = 0;
  };
  struct Source {
    int64_t count = 0;
    uint64_t next_generation = 0;
    int64_t now_ns = 0;
    std::function<SlotHeader(int64_t slot, absl::Span<float> state)> read;
  };
  // Replaces the snapshot, then the journal by an empty one; durable when it
  // returns OK. After an error the files still hold what was acknowledged.
  absl::Status WriteSnapshot(const Source& source);

 private:
  explicit ReplayStore(Options options) : options_(std::move(options)) {}

  std::string SnapshotPath() const { return options_.path + ".snapshot"; }
  std::string JournalPath() const { return options_.path + ".journal"; }

  absl::Status ReadSnapshot(SlotPool& pool, Found* found);
  absl::Status ReadSlots(ReadableFile& file, int64_t count, SlotPool& pool,
                         Found* found);
  absl::Status ReadJournal(SlotPool& pool, Found* found);
  // `kind` as in JournalRecord.
  absl::Status AppendRecords(absl::Span<const float> states, uint32_t kind,
                             int64_t written_ns);
  absl::Status WriteSlots(WritableFile& file, const Source& source);
  // Puts the finished file `path`.tmp in the place of `path`.
  absl::Status Publish(WritableFile& file, const std::string& path);

  const Options options_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<WritableFile> journal_;  // null = nothing may be appended
  int64_t journal_bytes_ = 0;
  uint64_t sequence_ = 0;  // of the last journal record
};

}  // namespace basin::internal

#endif  // BASIN_CORE_REPLAY_REPLAY_STORE_H_
