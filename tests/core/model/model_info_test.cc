#include "core/model/model_info.h"

#include <cmath>

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
                                         "continuous one"),
                               HasSubstr("These fit: site_metropolis"))));
  }
}

TEST(ModelInfoTest, SitesMoveInDiscreteDomains) {
  ModelInfo model;
  const std::vector<TransitionKind> kinds = {
      TransitionKind::kSiteMetropolis, TransitionKind::kSiteHeatBath,
      TransitionKind::kGibbsWithGradients, TransitionKind::kDiscreteLangevin};
  for (const TransitionKind kind : kinds) {
    EXPECT_THAT(CheckFits(kind, model),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("which moves in a binary or "
                                         "categorical one"),
                               HasSubstr("These fit: ula"))));
  }
  for (const DomainKind domain :
       {DomainKind::kBinary, DomainKind::kCategorical}) {
    model.domain.kind = domain;
    for (const TransitionKind kind : kinds) EXPECT_OK(CheckFits(kind, model));
  }
}

TEST(ModelInfoTest, GibbsNeedsConditionalLawsAndTheirTemperature) {
  ModelInfo model;
  model.family = "graph";
  model.domain.kind = DomainKind::kBinary;
  EXPECT_THAT(CheckFits(TransitionKind::kGibbs, model),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("family graph that has none"),
                             HasSubstr("site_heat_bath"))));
  model.blocks = {"sites0", "sites1"};
  EXPECT_OK(CheckFits(TransitionKind::kGibbs, model));
  EXPECT_OK(CheckTemperature(TransitionKind::kGibbs, model, 0.5));
  model.blocks = {"h", "v"};
  model.has_hidden_units = true;
  EXPECT_OK(CheckTemperature(TransitionKind::kGibbs, model, 1));
  EXPECT_OK(CheckTemperature(TransitionKind::kGibbsWithGradients, model, 2));
  EXPECT_THAT(CheckTemperature(TransitionKind::kGibbs, model, 0.5),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("inverse_temperature: expected 1"),
                             HasSubstr("gibbs_with_gradients"))));
  model.domain.kind = DomainKind::kContinuous;
  EXPECT_OK(CheckFits(TransitionKind::kGibbs, model));
  EXPECT_THAT(CheckTemperature(TransitionKind::kGibbs, model, 2),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("mala")));
}

TEST(ModelInfoTest, DomainsContainTheirStatesOnly) {
  Domain domain;
  EXPECT_TRUE(Contains(domain, {-1e30F, 2}));
  domain.box = {0, 1};
  EXPECT_TRUE(Contains(domain, {0, 0.5F, 1}));
  EXPECT_FALSE(Contains(domain, {0, 1.25F}));
  EXPECT_FALSE(Contains(domain, {0, -0.25F}));
  EXPECT_FALSE(Contains(domain, {std::nanf("")}));
  domain.kind = DomainKind::kBinary;
  EXPECT_TRUE(Contains(domain, {0, 1, 1}));
  EXPECT_FALSE(Contains(domain, {0, 0.5F}));
  domain.kind = DomainKind::kCategorical;
  domain.classes = 3;
  EXPECT_TRUE(Contains(domain, {0, 1, 0, 1, 0, 0}));
  EXPECT_FALSE(Contains(domain, {0, 1, 0, 1, 1, 0}));
  EXPECT_FALSE(Contains(domain, {0, 1, 0, 0, 0, 0}));
  EXPECT_FALSE(Contains(domain, {0, 0.5F, 0.5F}));
}

}  // namespace
}  // namespace basin::testing
