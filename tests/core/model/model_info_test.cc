#include "core/model/model_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ModelInfoTest, DomainsHaveNames) {
  Domain domain;
  EXPECT_EQ(ToString(domain), "continuous");
  domain.box = {-1, 2};
  EXPECT_EQ(ToString(domain), "continuous in [-1, 2]");
  domain.kind = DomainKind::kBinary;
  EXPECT_EQ(ToString(domain), "binary");
  domain.kind = DomainKind::kCategorical;
  domain.classes = 5;
  EXPECT_EQ(ToString(domain), "categorical of 5");
}

TEST(ModelInfoTest, TransitionsFitTheDomainTheyMoveIn) {
  ModelInfo model;
  for (const TransitionKind kind :
       {TransitionKind::kUla, TransitionKind::kMala,
        TransitionKind::kRandomWalk, TransitionKind::kIgebm,
        TransitionKind::kJem}) {
    EXPECT_OK(CheckFits(kind, model));
  }
  for (const DomainKind kind :
       {DomainKind::kBinary, DomainKind::kCategorical}) {
    model.domain.kind = kind;
    EXPECT_THAT(CheckFits(TransitionKind::kMala, model),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(std::string(Name(kind))),
                               HasSubstr("got mala, which moves in a "
                                         "continuous one"))));
  }
}

}  // namespace
}  // namespace basin::testing
