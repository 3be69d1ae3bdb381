#include "core/model/model_folders.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

namespace basin::internal {
namespace {

namespace fs = std::filesystem;

// The version that a folder's name stands for; nothing if none.
std::optional<int64_t> VersionOf(const std::string& folder_name) {
  int64_t version = 0;
  if (!absl::SimpleAtoi(folder_name, &version) || version < 1 ||
      absl::StrCat(version) != folder_name) {
    return std::nullopt;
  }
  return version;
}

}  // namespace

bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameLength && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
         });
}

std::vector<std::string> Folders(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;  // a broken link is not a folder
    if (it->is_directory(ignored)) names.push_back(it->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<int64_t> HighestVersion(const std::string& path) {
  std::optional<int64_t> highest;
  for (const std::string& name : Folders(path)) {
    highest = std::max(highest, VersionOf(name));
  }
  return highest;
}

}  // namespace basin::internal
