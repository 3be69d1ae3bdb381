// Every transition has the law that it declares, see checks.h.

#include <algorithm>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "tests/statistical/checks.h"
#include "tests/statistical/false_alarms.h"

namespace basin {
namespace {

using testing::AllCases;
using testing::CheckMoments;
using testing::CountGates;
using testing::Gate;
using testing::kFixedSeed;
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
  for (const uint64_t seed : Seeds(kFixedSeed)) {
    const Verdict verdict =
        CheckMoments(GetTransition(GetParam().kind), GetParam(), seed);
    CountGates(Gate::kMoment, verdict.gates);
    EXPECT_TRUE(verdict.passed)
        << verdict.worst_of << " is off by " << verdict.worst_z
        << " standard errors with seed " << seed;
    std::printf("worst of %d: %.2f standard errors, %s\n", verdict.gates,
                verdict.worst_z, verdict.worst_of.c_str());
  }
}

}  // namespace
}  // namespace basin
