#include "core/replay/file_layer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

absl::Status SystemError(const std::string& what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

// An open file descriptor; closed with this object.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<Descriptor> OpenPath(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return SystemError("open", path);
  return Descriptor(fd);
}

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(std::string path, Descriptor fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::Status Append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return SystemError("write", path_);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (fdatasync(fd_.get()) != 0) return SystemError("sync", path_);
    return absl::OkStatus();
  }

 private:
  const std::string path_;
  const Descriptor fd_;
};

class PosixReadableFile : public ReadableFile {
 public:
  PosixReadableFile(std::string path, Descriptor fd, int64_t size)
      : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

  int64_t size() const override { return size_; }

  absl::Status Read(int64_t offset, absl::Span<char> bytes) override {
    while (!bytes.empty()) {
      const ssize_t got = pread(fd_.get(), bytes.data(), bytes.size(), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return SystemError("read", path_);
      if (got == 0) return absl::OutOfRangeError(absl::StrCat(path_, " ends"));
      bytes.remove_prefix(static_cast<size_t>(got));
      offset += got;
    }
    return absl::OkStatus();
  }

 private:
  const std::string path_;
  const Descriptor fd_;
  const int64_t size_;  // bytes
};

// The system drops the lock with the descriptor.
class PosixFileLock : public FileLock {
 public:
  explicit PosixFileLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;
};

class PosixFileLayer : public FileLayer {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) override {
    BASIN_ASSIGN_OR_RETURN(
        Descriptor fd, OpenPath(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND));
    return std::make_unique<PosixWritableFile>(path, std::move(fd));
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(
      const std::string& path) override {
    BASIN_ASSIGN_OR_RETURN(Descriptor fd, OpenPath(path, O_WRONLY | O_APPEND));
    return std::make_unique<PosixWritableFile>(path, std::move(fd));
  }

  absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForRead(
      const std::string& path) override {
    BASIN_ASSIGN_OR_RETURN(Descriptor fd, OpenPath(path, O_RDONLY));
    struct stat status = {};
    if (fstat(fd.get(), &status) != 0) return SystemError("inspect", path);
    return std::make_unique<PosixReadableFile>(path, std::move(fd),
                                               status.st_size);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) != 0) {
      return SystemError(absl::StrCat("rename ", from, " to"), to);
    }
    return absl::OkStatus();
  }

  absl::Status SyncFolderOf(const std::string& path) override {
    std::filesystem::path parent = std::filesystem::path(path).parent_path();
    if (parent.empty()) parent = std::filesystem::path(".");
    const std::string folder = parent.string();
    BASIN_ASSIGN_OR_RETURN(const Descriptor fd,
                           OpenPath(folder, O_RDONLY | O_DIRECTORY));
    if (fsync(fd.get()) != 0) return SystemError("sync", folder);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(
      const std::string& path) override {
    BASIN_ASSIGN_OR_RETURN(Descriptor fd, OpenPath(path, O_RDWR | O_CREAT));
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return SystemError("lock", path);
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is locked: the store is already open"));
    }
    return std::make_unique<PosixFileLock>(std::move(fd));
  }
};

}  // namespace

FileLayer& FileLayer::Real() {
  static auto* const layer = new PosixFileLayer();
  return *layer;
}

}  // namespace basin::internal
