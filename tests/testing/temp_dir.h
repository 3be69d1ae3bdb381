#ifndef BASIN_TESTS_TESTING_TEMP_DIR_H_
#define BASIN_TESTS_TESTING_TEMP_DIR_H_

#include <string>

namespace basin::testing {

// A fresh folder that disappears with this object. Not thread-safe.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace basin::testing

#endif  // BASIN_TESTS_TESTING_TEMP_DIR_H_
