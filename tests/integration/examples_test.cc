// The examples that README.md shows: they run against a real server, and C++
// and Python see the same energies.

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "tests/integration/server_process.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

// All numbers in the file, in order.
std::vector<float> NumbersIn(const std::string& path) {
  std::ifstream file(path);
  std::vector<float> numbers;
  for (std::string word; file >> word;) {
    if (word[0] == '[') word.erase(0, 1);
    char* end = nullptr;
    const float number = std::strtof(word.c_str(), &end);
    if (end != word.c_str()) numbers.push_back(number);
  }
  return numbers;
}

TEST(ExamplesTest, CppAndPythonSeeTheSameEnergies) {
  const ServerProcess server;
  const TempDir folder;
  const std::string cpp = folder.File("cpp");
  ASSERT_EQ(std::system(absl::StrCat(BASIN_EXAMPLE_PATH, " ", server.address(),
                                     " >", cpp)
                            .c_str()),
            0);
  const std::string source = BASIN_SOURCE_DIR;
  ASSERT_EQ(std::system(absl::StrCat(BASIN_PROTOC, " -I", source,
                                     "/proto --python_out=", folder.path(),
                                     " --grpc_python_out=", folder.path(),
                                     " --plugin=protoc-gen-grpc_python="
                                     "$(command -v grpc_python_plugin) ",
                                     source, "/proto/basin/v1/*.proto")
                            .c_str()),
            0);
  const std::string python = folder.File("python");
  ASSERT_EQ(std::system(absl::StrCat("PYTHONPATH=", folder.path(),
                                     " /usr/bin/python3 ", source,
                                     "/deploy/examples/digits.py ",
                                     server.address(), " >", python)
                            .c_str()),
            0);
  const std::vector<float> want = NumbersIn(cpp);
  std::vector<float> got = NumbersIn(python);
  ASSERT_EQ(want.size(), 16U);
  // Python prints the shape (16, 1, 28, 28) first.
  ASSERT_GE(got.size(), 16U);
  got.erase(got.begin(), got.end() - 16);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 1e-4) << i;
  }
}

}  // namespace
}  // namespace basin::testing
