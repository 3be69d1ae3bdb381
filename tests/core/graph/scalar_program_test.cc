#include "core/graph/scalar_program.h"

#include <cmath>
#include <limits>

#include "tests/testing/reference_scalar.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

TEST(ScalarOpTest, EvaluateAgreesWithTheDefinitions) {
  for (int i = 0; i <= static_cast<int>(ScalarOp::kSelect); ++i) {
    const auto op = static_cast<ScalarOp>(i);
    for (const float a : {-2.5f, -0.0f, 0.0f, 0.3f, 1.0f, 4.0f}) {
      for (const float b : {-1.0f, 0.0f, 0.3f, 2.0f}) {
        const auto wanted = static_cast<float>(ReferenceScalar(op, a, b, 7.0));
        const float got = EvaluateScalar(op, a, b, 7.0f);
        if (std::isnan(wanted)) {
          EXPECT_TRUE(std::isnan(got)) << std::string(Name(op));
        } else {
          EXPECT_FLOAT_EQ(got, wanted)
              << std::string(Name(op)) << " " << a << " " << b;
        }
      }
    }
  }
}

TEST(ScalarOpTest, ExtremesStayDefined) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float nan = std::nanf("");
  EXPECT_EQ(EvaluateScalar(ScalarOp::kExp, 1000, 0, 0), kInf);
  EXPECT_EQ(EvaluateScalar(ScalarOp::kExp, 100, 0, 0), kInf);
  EXPECT_EQ(EvaluateScalar(ScalarOp::kSigmoid, -1000, 0, 0), 0);
  EXPECT_EQ(EvaluateScalar(ScalarOp::kSoftplus, 1000, 0, 0), 1000);
  EXPECT_TRUE(std::isnan(EvaluateScalar(ScalarOp::kMax, nan, 1, 0)));
  EXPECT_TRUE(std::isnan(EvaluateScalar(ScalarOp::kMin, 1, nan, 0)));
  EXPECT_EQ(EvaluateScalar(ScalarOp::kSelect, 0, 2, 3), 3);
}

TEST(ScalarOpTest, ArityAndNames) {
  EXPECT_EQ(Arity(ScalarOp::kFloor), 1);
  EXPECT_EQ(Arity(ScalarOp::kAdd), 2);
  EXPECT_EQ(Arity(ScalarOp::kEqual), 2);
  EXPECT_EQ(Arity(ScalarOp::kSelect), 3);
  EXPECT_EQ(Name(ScalarOp::kNeg), "neg");
  EXPECT_EQ(Name(ScalarOp::kSoftplus), "softplus");
  EXPECT_EQ(Name(ScalarOp::kLessEqual), "less_equal");
  EXPECT_EQ(Name(ScalarOp::kSelect), "select");
}

ScalarProgram Square() { return {1, {}, {{ScalarOp::kMul, {0, 0, -1}}}}; }

TEST(ScalarProgramTest, ValidateAcceptsAProgram) {
  EXPECT_OK(Validate(Square()));
}

TEST(ScalarProgramTest, ValidateRefusesBadPrograms) {
  ScalarProgram empty = Square();
  empty.instructions.clear();
  ScalarProgram unread = Square();
  unread.num_operands = 0;
  ScalarProgram ahead = Square();
  ahead.instructions[0].args[1] = 1;  // its own result
  ScalarProgram missing = Square();
  missing.instructions[0].args[1] = -1;
  ScalarProgram long_one = Square();
  long_one.instructions.resize(kMaxProgramInstructions + 1,
                               long_one.instructions[0]);
  ScalarProgram unknown = Square();
  unknown.instructions[0].op = static_cast<ScalarOp>(200);
  for (const ScalarProgram& program :
       {empty, unread, ahead, missing, long_one, unknown}) {
    EXPECT_THAT(Validate(program), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("scalar program")));
  }
}

}  // namespace
}  // namespace basin::testing
