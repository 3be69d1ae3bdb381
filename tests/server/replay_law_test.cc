#include "server/replay_law.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/replay/replay_buffer.h"
#include "tests/server/test_models.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A label of 10 classes, and "image", [2], of default 0.
ModelInfo LabelledModel() {
  ModelInfo model = SmallModel();
  model.context = {{.name = "image", .shape = Shape({2}), .default_value = 0},
                   {.name = std::string(kLabelInput),
                    .shape = Shape({1}),
                    .default_value = -1,
                    .lower = -1,
                    .upper = 9,
                    .offset = 2}};
  model.context_dimension = 3;
  return model;
}

SampleSpec SpecFor(const ModelInfo& model, std::vector<float> context) {
  SampleSpec spec;
  spec.box = model.domain.box;
  spec.chains = 2;
  spec.context = std::move(context);
  return spec;
}

TEST(ReplayLaw, LabelsComeFromTheContext) {
  const ModelInfo model = LabelledModel();
  const auto law = [&](std::vector<float> context) {
    return ReplayLawOf(SpecFor(model, std::move(context)), model);
  };
  EXPECT_THAT(law({0, 0, 7}).labels, ElementsAre(7, 7));
  EXPECT_THAT(law({0, 0, -1}).labels,
              ElementsAre(kNoReplayLabel, kNoReplayLabel));
  EXPECT_THAT(law({0, 0, 3, 0, 0, -1}).labels, ElementsAre(3, kNoReplayLabel));
  EXPECT_THAT(law({0, 0, 3, 0, 0, -1}).other, IsEmpty());
  const ModelInfo plain = SmallModel();
  EXPECT_THAT(ReplayLawOf(SpecFor(plain, {}), plain).labels, IsEmpty());
}

TEST(ReplayLaw, OtherLawsAreNamed) {
  const ModelInfo model = LabelledModel();
  const auto other = [&model](void (*change)(SampleSpec&)) {
    SampleSpec spec = SpecFor(model, {0, 0, 7});
    change(spec);
    return ReplayLawOf(spec, model).other;
  };
  EXPECT_EQ(other([](SampleSpec&) {}), "");
  EXPECT_EQ(other([](SampleSpec& s) { s.scale = {1, 2, 3, 4, 5, 6}; }), "");
  EXPECT_EQ(other([](SampleSpec& s) { s.scale = {1, 1, 0, 1, 1, 1}; }),
            "clamp");
  EXPECT_EQ(other([](SampleSpec& s) { s.box.upper = 0.5F; }), "box");
  EXPECT_EQ(other([](SampleSpec& s) {
              s.box_lower = {0, 0, 0, 0, 0, 0};
              s.box_upper = {1, 1, 1, 1, 1, 0.5F};
            }),
            "box");
  EXPECT_EQ(other([](SampleSpec& s) { s.inverse_temperature = 2; }),
            "inverse_temperature");
  EXPECT_EQ(other([](SampleSpec& s) {
              s.annealing.direction = AnnealingOptions::Direction::kReverse;
            }),
            "annealing.direction");
  EXPECT_EQ(other([](SampleSpec& s) { s.context = {0, 0, 7, 0, 1, 7}; }),
            "context.image");
}

TEST(ReplayLaw, LabelsOfClientsAreChecked) {
  EXPECT_EQ(*ReplayLabel(9, LabelledModel()), 9);
  for (const int64_t label : {int64_t{-1}, int64_t{10}, int64_t{1} << 40}) {
    EXPECT_THAT(ReplayLabel(label, LabelledModel()),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("label: expected 0 to 9, got")));
  }
  EXPECT_THAT(ReplayLabel(0, SmallModel()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no context input")));
}

}  // namespace
}  // namespace basin::testing
