// Every discrete transition is the matrix that its definition says, and that
// matrix leaves the model's law as it is.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "tests/statistical/discrete_checks.h"
#include "tests/statistical/false_alarms.h"

namespace basin::testing {
namespace {

class DiscreteMatrixTest : public ::testing::TestWithParam<MatrixCase> {};

INSTANTIATE_TEST_SUITE_P(All, DiscreteMatrixTest,
                         ::testing::ValuesIn(AllMatrixCases()),
                         [](const auto& info) {
                           std::string name =
                               std::string(
                                   GetTransition(info.param.kind).name()) +
                               "_" + info.param.name;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

// Of the free sites given the clamped ones: the law restricted to states that
// can reach each other is in balance if the whole law is.
TEST_P(DiscreteMatrixTest, LeavesTheLawAsItIs) {
  const MatrixCase& one = GetParam();
  const std::vector<float> states = AllStates(*one.model);
  const std::vector<double> law =
      ExactLaw(*one.model, states, one.inverse_temperature);
  const std::vector<double> matrix = ExactMatrix(one);
  const size_t n = law.size();
  ASSERT_LE(n, 16U);
  // A sweep over blocks in order is not reversible.
  const bool reversible = one.kind != TransitionKind::kGibbs;
  for (size_t s = 0; s < n; ++s) {
    double all = 0;
    double after = 0;
    for (size_t t = 0; t < n; ++t) {
      all += matrix[s * n + t];
      after += law[t] * matrix[t * n + s];
      if (!reversible) continue;
      EXPECT_NEAR(law[s] * matrix[s * n + t], law[t] * matrix[t * n + s], 1e-8)
          << s << " " << t;
    }
    EXPECT_NEAR(all, 1, 1e-8);
    EXPECT_NEAR(after, law[s], 1e-8);
  }
}

TEST_P(DiscreteMatrixTest, FrequenciesAreThoseOfTheMatrix) {
  for (const uint64_t seed : Seeds(kDiscreteSeed)) {
    const DiscreteVerdict verdict =
        CheckFrequencies(GetTransition(GetParam().kind), GetParam(), seed);
    CountGates(Gate::kFrequency, verdict.gates);
    EXPECT_TRUE(verdict.passed)
        << verdict.worst_of << " is " << verdict.worst
        << " times as far off as it may be with seed " << seed;
    std::printf("worst of %d: %.2f of the bound, %s\n", verdict.gates,
                verdict.worst, verdict.worst_of.c_str());
  }
}

// Those of R^D have tests of their own, of all that there are.
TEST(MatrixCases, HaveEveryDiscreteTransition) {
  for (const Transition* transition : AllTransitions()) {
    if (CheckFits(transition->kind(), ModelInfo()).ok()) continue;
    const bool has_case = std::any_of(
        AllMatrixCases().begin(), AllMatrixCases().end(),
        [&](const MatrixCase& one) { return one.kind == transition->kind(); });
    EXPECT_TRUE(has_case) << transition->name();
  }
}

TEST_P(DiscreteMatrixTest, SameBytesAloneAndAmongOthers) {
  EXPECT_TRUE(CheckSameBytesOf(GetTransition(GetParam().kind), GetParam()));
}

}  // namespace
}  // namespace basin::testing
