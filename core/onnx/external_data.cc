#include "core/onnx/external_data.h"

#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

#include <absl/status/status.h>
#include <absl/strings/numbers.h>

#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

namespace fs = std::filesystem;

struct Location {
  std::string path;
  int64_t offset = 0;
  int64_t length = -1;  // to the end of the file
};

absl::Status ParseSize(const onnx::StringStringEntryProto& entry,
                       int64_t& value) {
  if (absl::SimpleAtoi(entry.value(), &value) && value >= 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("external data ", entry.key(),
                                                 " ", Quoted(entry.value()),
                                                 " is not a number of bytes"));
}

absl::StatusOr<Location> ParseLocation(const onnx::TensorProto& tensor) {
  Location location;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") {
      location.path = entry.value();
    } else if (entry.key() == "offset") {
      BASIN_RETURN_IF_ERROR(ParseSize(entry, location.offset));
    } else if (entry.key() == "length") {
      BASIN_RETURN_IF_ERROR(ParseSize(entry, location.length));
    }
  }
  return location;
}

absl::Status Escapes(const std::string& path) {
  return absl::InvalidArgumentError(
      absl::StrCat("external data location ", Quoted(path),
                   " is not a file inside the model's folder"));
}

// The real path of a regular file below `folder`.
absl::StatusOr<fs::path> Resolve(const std::string& folder,
                                 const std::string& location) {
  const fs::path relative(location);
  if (location.empty() || location.find('\0') != std::string::npos ||
      relative.is_absolute()) {
    return Escapes(location);
  }
  for (const fs::path& part : relative) {
    if (part == "..") return Escapes(location);
  }
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) return Escapes(location);
  const fs::path path = fs::canonical(root / relative, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("external data file ", Quoted(location),
                     " cannot be opened: ", error.message()));
  }
  const fs::path from_root = path.lexically_relative(root);
  if (from_root.empty() || *from_root.begin() == ".." ||
      !fs::is_regular_file(path, error)) {
    return Escapes(location);
  }
  return path;
}

}  // namespace

absl::StatusOr<std::string> ReadExternalData(const onnx::TensorProto& tensor,
                                             const std::string& folder,
                                             int64_t expected_bytes) {
  if (folder.empty()) {
    return absl::InvalidArgumentError(
        "external data is not accepted for a model without a folder");
  }
  BASIN_ASSIGN_OR_RETURN(const Location location, ParseLocation(tensor));
  BASIN_ASSIGN_OR_RETURN(const fs::path path, Resolve(folder, location.path));
  std::error_code error;
  const auto file_bytes = fs::file_size(path, error);
  if (error || file_bytes > std::numeric_limits<int64_t>::max()) {
    return Escapes(location.path);
  }
  const auto size = static_cast<int64_t>(file_bytes);
  const int64_t left = size - std::min(location.offset, size);
  const int64_t length = location.length < 0 ? left : location.length;
  if (length != expected_bytes || length > left) {
    return absl::InvalidArgumentError(
        absl::StrCat("external data of ", length, " bytes at offset ",
                     location.offset, " of ", Quoted(location.path), " (", size,
                     " bytes): the tensor needs ", expected_bytes));
  }
  std::string bytes(static_cast<size_t>(length), '\0');
  std::ifstream file(path, std::ios::binary);
  file.seekg(location.offset);
  if (!file.read(bytes.data(), length)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "external data file ", Quoted(location.path), " cannot be read"));
  }
  return bytes;
}

}  // namespace basin::internal
