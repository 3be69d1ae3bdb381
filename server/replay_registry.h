#ifndef BASIN_SERVER_REPLAY_REGISTRY_H_
#define BASIN_SERVER_REPLAY_REGISTRY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/base/mutex.h"
#include "core/replay/replay_buffer.h"

namespace basin {

// The replay buffers of the ready model versions that have one, and a thread
// that snapshots those that have changed. Thread-safe.
class ReplayRegistry {
 public:
  struct Options {
    std::string folder;  // holds <model>/<version>.*; "" = memory only
    absl::Duration snapshot_interval = absl::Minutes(1);
  };
  struct Entry {
    std::string model;
    int64_t version = 0;
    std::shared_ptr<ReplayBuffer> buffer;
  };

  // Creates the folder. Errors name it.
  static absl::StatusOr<std::unique_ptr<ReplayRegistry>> Create(
      Options options);
  // Ends the thread; takes no snapshots.
  ~ReplayRegistry();

  // The version's buffer, opened at the first call. FailedPrecondition if its
  // configuration has none; else why the store does not open.
  absl::StatusOr<std::shared_ptr<ReplayBuffer>> Get(const ModelInfo& model);

  // Snapshots and forgets the buffer of an unloaded version, if it is open.
  void Close(const std::string& model, int64_t version);

  // Snapshots all buffers that have changed since; logs what fails.
  void SnapshotChanged();

  // Those open.
  std::vector<Entry> List() const;

 private:
  using Key = std::pair<std::string, int64_t>;
  struct Slot {
    std::shared_ptr<ReplayBuffer> buffer;
    // Still alive in a request that began before Close().
    std::weak_ptr<ReplayBuffer> closed;
    int64_t dimension = 0;
    ReplayOptions policy;
    int64_t writes_at_snapshot = 0;
  };

  explicit ReplayRegistry(Options options);
  absl::StatusOr<std::shared_ptr<ReplayBuffer>> Open(const ModelInfo& model,
                                                     Slot& slot);
  void SnapshotLoop();
  void SnapshotIfChanged(const Key& key);

  const Options options_;

  mutable Mutex mu_;
  CondVar stop_signal_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::map<Key, Slot> slots_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;  // constant after Create()
};

}  // namespace basin

#endif  // BASIN_SERVER_REPLAY_REGISTRY_H_
