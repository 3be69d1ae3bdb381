#include "tests/testing/temp_dir.h"

#include <stdlib.h>

#include <filesystem>
#include <system_error>

#include "core/base/check.h"

namespace basin::testing {

TempDir::TempDir() {
  std::string path = std::filesystem::temp_directory_path() / "basin-XXXXXX";
  BASIN_CHECK(mkdtemp(path.data()) != nullptr);
  path_ = path;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace basin::testing
