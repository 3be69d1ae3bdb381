#include "server/log.h"

#include <gtest/gtest.h>

namespace basin::testing {
namespace {

TEST(Log, QuotesWhatCouldBeMistaken) {
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, "model ready",
                          {{"model", "mnist"}, {"version", 3}}),
            "INFO model ready model=mnist version=3");
  EXPECT_EQ(FormatLogLine(LogLevel::kError, "failed",
                          {{"why", "a \"b\"\nFAKE line"}, {"empty", ""}}),
            "ERROR failed why=\"a \\\"b\\\"\\nFAKE line\" empty=\"\"");
}

}  // namespace
}  // namespace basin::testing
