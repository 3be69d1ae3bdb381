#include "client/cli/resume_file.h"

#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::client {
namespace {

using ::basin::testing::StatusIs;
using ::basin::testing::TempDir;
using ::testing::HasSubstr;

TEST(ResumeFileTest, WhatIsWrittenReadsBack) {
  const TempDir dir;
  const std::string token("\n\0 any \xff bytes\n", 14);
  ASSERT_OK(WriteResumeFile(dir.File("r"), {"product(a, 0.5*b)", token}));
  ASSERT_OK_AND_ASSIGN(const ResumeFile file, ReadResumeFile(dir.File("r")));
  EXPECT_EQ(file.model, "product(a, 0.5*b)");
  EXPECT_EQ(file.token, token);
}

TEST(ResumeFileTest, RefusesOtherFiles) {
  const TempDir dir;
  for (const char* bytes :
       {"", "\x93NUMPY", "basin resume m", "other m\nx", "basin resume m\n"}) {
    std::ofstream(dir.File("r"), std::ios::binary) << bytes;
    EXPECT_THAT(ReadResumeFile(dir.File("r")),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("expected a file of --save_resume")));
  }
  EXPECT_THAT(ReadResumeFile(dir.File("none")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_FALSE(WriteResumeFile("/nonexistent/r", {"m", "t"}).ok());
}

}  // namespace
}  // namespace basin::client
