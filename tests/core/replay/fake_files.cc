#include "tests/core/replay/fake_files.h"

#include <algorithm>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"

namespace basin::testing {
namespace {

class FakeWritableFile : public internal::WritableFile {
 public:
  FakeWritableFile(FakeFiles& files, std::shared_ptr<FakeFiles::File> file)
      : files_(files), file_(std::move(file)) {}

  absl::Status Append(std::string_view bytes) override {
    const absl::Status status = files_.Step();
    if (!status.ok()) bytes = bytes.substr(0, bytes.size() / 2);
    file_->bytes.append(bytes);
    return status;
  }
  absl::Status Sync() override {
    BASIN_RETURN_IF_ERROR(files_.Step());
    file_->synced = file_->bytes.size();
    return absl::OkStatus();
  }

 private:
  FakeFiles& files_;
  const std::shared_ptr<FakeFiles::File> file_;
};

class FakeReadableFile : public internal::ReadableFile {
 public:
  explicit FakeReadableFile(std::shared_ptr<const FakeFiles::File> file)
      : file_(std::move(file)) {}

  int64_t size() const override {
    return static_cast<int64_t>(file_->bytes.size());
  }
  absl::Status Read(int64_t offset, absl::Span<char> bytes) override {
    if (offset + static_cast<int64_t>(bytes.size()) > size()) {
      return absl::OutOfRangeError("the file ends");
    }
    std::copy_n(file_->bytes.begin() + offset, bytes.size(), bytes.begin());
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<const FakeFiles::File> file_;
};

}  // namespace

absl::Status FakeFiles::Step() {
  const int64_t operation = operations_++;
  if ((fail_from_ >= 0 && operation >= fail_from_) || operation == fail_once_) {
    return absl::ResourceExhaustedError("the disk is full");
  }
  return absl::OkStatus();
}

FakeFiles FakeFiles::AfterCrash(Tail tail, Names names) const {
  FakeFiles after;
  after.names_ = names == Names::kAll ? names_ : synced_names_;
  for (auto& [name, file] : after.names_) {
    auto copy = std::make_shared<File>(*file);
    const size_t lost = copy->bytes.size() - copy->synced;
    if (tail == Tail::kLost) copy->bytes.resize(copy->synced);
    if (tail == Tail::kHalf) copy->bytes.resize(copy->synced + lost / 2);
    if (tail == Tail::kZeros) {
      copy->bytes.replace(copy->synced, lost, lost, '\0');
    }
    copy->synced = copy->bytes.size();
    file = std::move(copy);
  }
  after.synced_names_ = after.names_;
  return after;
}

std::string FakeFiles::Contents(const std::string& path) const {
  const auto it = names_.find(path);
  return it == names_.end() ? "" : it->second->bytes;
}

absl::StatusOr<std::unique_ptr<internal::WritableFile>> FakeFiles::Create(
    const std::string& path) {
  BASIN_RETURN_IF_ERROR(Step());
  names_[path] = std::make_shared<File>();
  return std::make_unique<FakeWritableFile>(*this, names_[path]);
}

absl::StatusOr<std::unique_ptr<internal::WritableFile>>
FakeFiles::OpenForAppend(const std::string& path) {
  BASIN_RETURN_IF_ERROR(Step());
  const auto it = names_.find(path);
  if (it == names_.end()) return absl::NotFoundError(path);
  return std::make_unique<FakeWritableFile>(*this, it->second);
}

absl::StatusOr<std::unique_ptr<internal::ReadableFile>> FakeFiles::OpenForRead(
    const std::string& path) {
  BASIN_RETURN_IF_ERROR(Step());
  const auto it = names_.find(path);
  if (it == names_.end()) return absl::NotFoundError(path);
  return std::make_unique<FakeReadableFile>(it->second);
}

absl::Status FakeFiles::Rename(const std::string& from, const std::string& to) {
  BASIN_RETURN_IF_ERROR(Step());
  const auto it = names_.find(from);
  if (it == names_.end()) return absl::NotFoundError(from);
  names_[to] = it->second;
  names_.erase(it);
  return absl::OkStatus();
}

absl::Status FakeFiles::SyncFolderOf(const std::string& /*path*/) {
  BASIN_RETURN_IF_ERROR(Step());
  synced_names_ = names_;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<internal::FileLock>> FakeFiles::Lock(
    const std::string& /*path*/) {
  BASIN_RETURN_IF_ERROR(Step());
  return std::make_unique<internal::FileLock>();
}

}  // namespace basin::testing
