#include "server/log_likelihood.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/test_models.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Context a [2] with default 0.5, and b [] with default -1.
ModelInfo ConditionalModel() {
  ModelInfo model = SmallModel();
  model.log_z = KnownLogZ{12.5, 0.25};
  ContextInput a;
  a.name = "a";
  a.shape = Shape({2});
  a.default_value = 0.5F;
  ContextInput b;
  b.name = "b";
  b.default_value = -1;
  b.offset = 2;
  model.context = {a, b};
  model.context_dimension = 3;
  return model;
}

TEST(CheckLogLikelihood, NeedsLogZ) {
  ModelInfo model = SmallModel();
  EXPECT_THAT(CheckLogLikelihood(model, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("`basin log_z small`"),
                             HasSubstr("config.pbtxt"))));
  model.family = "composition";
  EXPECT_THAT(CheckLogLikelihood(model, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("got a composition")));
  model = SmallModel();
  model.log_z = KnownLogZ();
  EXPECT_OK(CheckLogLikelihood(model, {}));
}

TEST(CheckLogLikelihood, NeedsTheDefaultContextInEveryRow) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  ModelInfo model = ConditionalModel();
  EXPECT_OK(CheckLogLikelihood(model, {0.5F, 0.5F, -1}));
  EXPECT_THAT(
      CheckLogLikelihood(model, {0.5F, 0.5F, -1, 0.5F, 0.5F, 3}),
      StatusIs(kInvalid, HasSubstr("context.b: expected its default, -1, with "
                                   "want_log_likelihood, since log_z is of "
                                   "that, got 3")));
  EXPECT_THAT(CheckLogLikelihood(model, {0.5F, 0, -1}),
              StatusIs(kInvalid, HasSubstr("context.a: expected its default, "
                                           "0.5")));
  model.context[0].default_value.reset();
  EXPECT_THAT(CheckLogLikelihood(model, {0.5F, 0.5F, -1}),
              StatusIs(kInvalid, HasSubstr("context.a, which has no default")));
}

TEST(LogLikelihoods, AreMinusInfinityOutsideOfTheDomain) {
  const std::vector<bool> outside =
      OutsideDomain(SmallModel(), {0, 1, 0, 1, 0, 1, /**/ 0, 1.5F, 0, 1, 0, 1});
  EXPECT_THAT(outside, ElementsAre(false, true));
  EXPECT_THAT(LogLikelihoods({2, 0.1}, {-3, -3}, outside),
              ElementsAre(1, -kInfinity));
}

TEST(LogLikelihoods, KeepWhatEnergiesSay) {
  const auto found = LogLikelihoods({-1, 0}, {1e9 + 0.25, kInfinity, NAN},
                                    {false, false, false});
  EXPECT_EQ(found[0], -1e9 + 0.75);
  EXPECT_EQ(found[1], -kInfinity);
  EXPECT_TRUE(std::isnan(found[2]));
}

}  // namespace
}  // namespace basin::testing
