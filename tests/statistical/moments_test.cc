// Every transition has the law that it declares, see checks.h.

#include <algorithm>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "tests/statistical/checks.h"

namespace basin {
namespace {

using testing::AllCases;
using testing::CheckMoments;
using testing::MomentCase;
using testing::Seeds;
using testing::Verdict;

class MomentsTest : public ::testing::TestWithParam<MomentCase> {};

INSTANTIATE_TEST_SUITE_P(
    All, MomentsTest, ::testing::ValuesIn(AllCases()), [](const auto& info) {
      std::string name = std::string(GetTransition(info.param.kind).name()) +
                         "_" + info.param.name;
      std::replace_if(
          name.begin(), name.end(),
          [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
      return name;
    });

TEST_P(MomentsTest, AreExact) {
  for (const uint64_t seed : Seeds()) {
    const Verdict verdict =
        CheckMoments(GetTransition(GetParam().kind), GetParam(), seed);
    EXPECT_TRUE(verdict.passed)
        << verdict.worst_of << " is off by " << verdict.worst_z
        << " standard errors with seed " << seed;
    std::printf("worst of %d: %.2f standard errors, %s\n", verdict.gates,
                verdict.worst_z, verdict.worst_of.c_str());
  }
}

// What checks.h says of false alarms holds.
TEST(FalseAlarmTest, GatesAreFewerThanStated) {
  size_t gates = 0;
  for (const MomentCase& one : AllCases()) gates += one.observables.size();
  EXPECT_LT(gates, 300U);
}

}  // namespace
}  // namespace basin
