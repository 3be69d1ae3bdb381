#ifndef BASIN_TESTS_CORE_REPLAY_FAKE_FILES_H_
#define BASIN_TESTS_CORE_REPLAY_FAKE_FILES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/replay/file_layer.h"

namespace basin::testing {

// A disk in memory that loses what was not synced, and fails on request. Not
// thread-safe.
class FakeFiles : public internal::FileLayer {
 public:
  // What a crash leaves of bytes that were not synced, and of names.
  enum class Tail { kLost, kHalf, kZeros, kKept };
  enum class Names { kSyncedOnly, kAll };

  // From the operation number `operation` (0 = the next) on, everything
  // fails; an append that fails has written half its bytes.
  void FailFrom(int64_t operation) { fail_from_ = operations_ + operation; }
  // Operation number `operation` fails, later ones do not.
  void FailOnce(int64_t operation) { fail_once_ = operations_ + operation; }
  int64_t operations() const { return operations_; }

  // The disk after a crash and a restart.
  FakeFiles AfterCrash(Tail tail, Names names) const;

  // The bytes of a file; "" if there is none.
  std::string Contents(const std::string& path) const;

  absl::StatusOr<std::unique_ptr<internal::WritableFile>> Create(
      const std::string& path) override;
  absl::StatusOr<std::unique_ptr<internal::WritableFile>> OpenForAppend(
      const std::string& path) override;
  absl::StatusOr<std::unique_ptr<internal::ReadableFile>> OpenForRead(
      const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status SyncFolderOf(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<internal::FileLock>> Lock(
      const std::string& path) override;

  // Counts an operation; an error if it is to fail.
  absl::Status Step();

  struct File {
    std::string bytes;
    size_t synced = 0;  // bytes that survive a crash
  };

 private:
  using Folder = std::map<std::string, std::shared_ptr<File>>;

  Folder names_;
  Folder synced_names_;
  int64_t operations_ = 0;
  int64_t fail_from_ = -1;  // -1 = never
  int64_t fail_once_ = -1;  // -1 = never
};

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_REPLAY_FAKE_FILES_H_
