#ifndef BASIN_CORE_REPLAY_FILE_LAYER_H_
#define BASIN_CORE_REPLAY_FILE_LAYER_H_

// Files as the replay store needs them, injected so that tests can crash
// between any two operations.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

namespace basin::internal {

// A file that grows at its end. Closed with this object. Not thread-safe.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // Not durable before Sync(). After an error any part may have been written.
  virtual absl::Status Append(std::string_view bytes) = 0;
  // What was appended survives a crash when this returns OK.
  virtual absl::Status Sync() = 0;
};

// Not thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual int64_t size() const = 0;
  // Fills `bytes` from `offset`. OutOfRange if the file ends before.
  virtual absl::Status Read(int64_t offset, absl::Span<char> bytes) = 0;
};

// Held as long as this object lives.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Thread-safe. Errors name the path and the system's reason.
class FileLayer {
 public:
  virtual ~FileLayer() = default;

  // An empty file in place of what was there.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) = 0;
  // NotFound if there is none.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(
      const std::string& path) = 0;
  // NotFound if there is none.
  virtual absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForRead(
      const std::string& path) = 0;
  // Replaces `to` atomically. Durable after SyncFolderOf().
  virtual absl::Status Rename(const std::string& from,
                              const std::string& to) = 0;
  // Makes names in the folder of `path` durable.
  virtual absl::Status SyncFolderOf(const std::string& path) = 0;
  // FailedPrecondition if somebody, this process included, holds it. A
  // process that dies lets go of it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(
      const std::string& path) = 0;

  // The system's files; never destroyed.
  static FileLayer& Real();
};

}  // namespace basin::internal

#endif  // BASIN_CORE_REPLAY_FILE_LAYER_H_
