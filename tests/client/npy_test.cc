#include "client/npy.h"

#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::client {
namespace {

using ::basin::testing::StatusIs;
using ::basin::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FileWith(const TempDir& dir, const std::string& bytes) {
  const std::string path = dir.File("array.npy");
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

// A version 1 file with this dictionary and these data.
std::string NpyBytes(const std::string& dictionary, const std::string& data) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(dictionary.size());
  bytes += '\0';
  return bytes + dictionary + data;
}

TEST(NpyTest, WhatIsWrittenReadsBack) {
  const TempDir dir;
  const Array array{{2, 1, 3}, {1, 2, 3, -4, 5.5, 1e-20F}};
  const std::string path = dir.File("a.npy");
  ASSERT_OK(WriteNpy(path, array));
  ASSERT_OK_AND_ASSIGN(const v1::Tensor tensor, ReadNpy(path));
  ASSERT_OK_AND_ASSIGN(const Array read, FromTensor(tensor));
  EXPECT_EQ(read.shape, array.shape);
  EXPECT_EQ(read.values, array.values);
}

TEST(NpyTest, ReadsTheQuickstartImages) {
  ASSERT_OK_AND_ASSIGN(const v1::Tensor tensor,
                       ReadNpy(std::string(BASIN_SOURCE_DIR) +
                               "/deploy/data/mnist_test_1000.npy"));
  EXPECT_EQ(tensor.dtype(), v1::UINT8);
  EXPECT_THAT(tensor.shape(), ElementsAre(1000, 1, 28, 28));
}

TEST(NpyTest, RefusesWhatItCannotRead) {
  const TempDir dir;
  const struct {
    std::string bytes;
    std::string message;
  } cases[] = {
      {"", "no .npy file"},
      {"\x89PNG but not NumPy", "no .npy file"},
      {std::string("\x93NUMPY\x01\x00\xff\x7f{'descr'", 18), "cut short"},
      {NpyBytes("{'descr': '<i2', 'fortran_order': False, 'shape': (1,), }",
                std::string(8, 'x')),
       "dtype is '<i2';"},
      {NpyBytes("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }",
                std::string(4, 'x')),
       "Fortran order"},
      {NpyBytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
                std::string(4, 'x')),
       "more than the file holds"},
      {NpyBytes("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
                std::string(8, 'x')),
       "needs 4 bytes"},
      {NpyBytes("{'descr': '|u1', 'fortran_order': False, 'shape': "
                "(4611686018427387904, 8), }",
                "xx"),
       "more than the file holds"},
      {NpyBytes("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }",
                "xx"),
       "more than the file holds"},
      {NpyBytes("{'descr': '|u1', 'fortran_order': False}", "xx"),
       "no shape in its header"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(
        ReadNpy(FileWith(dir, c.bytes)),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.message)));
  }
}

TEST(NpyTest, EveryTruncationIsRefused) {
  const TempDir dir;
  const std::string path = dir.File("whole.npy");
  ASSERT_OK(WriteNpy(path, Array{{3}, {1, 2, 3}}));
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)),
                          std::istreambuf_iterator<char>());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ReadNpy(FileWith(dir, bytes.substr(0, size))).ok()) << size;
  }
}

TEST(NpyTest, NamesAFileThatIsNotThere) {
  EXPECT_THAT(
      ReadNpy("/nonexistent/x.npy"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/x.npy")));
  EXPECT_FALSE(WriteNpy("/nonexistent/x.npy", Array{{1}, {1}}).ok());
}

}  // namespace
}  // namespace basin::client
