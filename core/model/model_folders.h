#ifndef BASIN_CORE_MODEL_MODEL_FOLDERS_H_
#define BASIN_CORE_MODEL_MODEL_FOLDERS_H_

// Names and versions in a folder of models: models/<name>/<version>.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace basin::internal {

inline constexpr size_t kMaxNameLength = 128;

// Letters, digits, '_', '.', '-', not beginning with a dot: never a path.
bool IsPlainName(const std::string& name);

// Names of the folders in `path`, sorted.
std::vector<std::string> Folders(const std::string& path);

// The highest version, "1", "2", ..., in a model's folder; nothing if there
// is none.
std::optional<int64_t> HighestVersion(const std::string& path);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_MODEL_FOLDERS_H_
