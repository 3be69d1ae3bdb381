// Context inputs and class energies through the scheduler.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

FakeModelOptions WithContext() {
  FakeModelOptions options;
  ContextInput field;
  field.name = "field";
  field.lower = -100;
  field.upper = 100;
  ContextInput label;
  label.name = "label";
  label.dtype = DType::kInt64;
  label.offset = 1;
  options.context = {field, label};
  options.context_dimension = 2;
  options.classes = 3;
  return options;
}

class ContextTest : public ::testing::Test {
 protected:
  static SchedulerOptions TwoWorkers() {
    SchedulerOptions options;
    options.workers = 2;
    return options;
  }
  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  const std::shared_ptr<const EnergyModel> model_ =
      MakeFakeModel(*backend_, WithContext());
  const std::shared_ptr<const EnergyModel> plain_ =
      MakeFakeModel(*backend_, {});
  const std::unique_ptr<Scheduler> scheduler_ =
      Scheduler::Create(*backend_, TwoWorkers());
};

// More rows than a tile holds, so that each tile gets its own rows' context.
TEST_F(ContextTest, EachRowIsScoredWithItsOwn) {
  ScoreSpec spec = MakeScore(model_, 41);
  spec.want = ScoreSpec::Want::kEnergyAndGradient;
  for (int row = 0; row < 41; ++row) {
    spec.context.push_back(static_cast<float>(row));
    spec.context.push_back(0);
  }
  ScoreSpec without = MakeScore(plain_, 41);
  without.want = spec.want;
  const ScoreResult got = Collect(Start(*scheduler_, spec));
  const ScoreResult want = Collect(Start(*scheduler_, without));
  ASSERT_OK(got.status);
  for (int row = 0; row < 41; ++row) {
    const double x = spec.inputs[3 * row];
    EXPECT_NEAR(got.energies[row], want.energies[row] + row * x, 1e-4) << row;
    EXPECT_NEAR(got.grad_energies[3 * row], want.grad_energies[3 * row] + row,
                1e-4);
  }
}

TEST_F(ContextTest, OneRowServesAllChains) {
  SampleSpec one = MakeSample(model_, TransitionKind::kMala, 20, 30);
  one.context = {2, 0};
  SampleSpec each = one;
  each.context.clear();
  for (int chain = 0; chain < 20; ++chain) {
    each.context.insert(each.context.end(), {2, 0});
  }
  const Sampled a = Collect(Start(*scheduler_, one));
  const Sampled b = Collect(Start(*scheduler_, each));
  ASSERT_OK(a.result.status);
  EXPECT_EQ(BytesOf(a), BytesOf(b));
}

// Jobs with different contexts share tiles: the bytes of each are those that
// it has alone.
TEST_F(ContextTest, NeighboursKeepTheirOwn) {
  std::vector<SampleSpec> specs;
  std::vector<std::string> alone;
  for (int i = 0; i < 6; ++i) {
    specs.push_back(MakeSample(model_, TransitionKind::kMala, 3, 200));
    specs.back().context = {static_cast<float>(i - 3), 0};
    alone.push_back(BytesOf(Collect(Start(*scheduler_, specs.back()))));
  }
  std::vector<Running<SampleJob>> running;
  for (const SampleSpec& spec : specs) {
    running.push_back(Start(*scheduler_, spec));
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(BytesOf(Collect(running[i])), alone[i]) << i;
    EXPECT_NE(alone[i], alone[(i + 1) % specs.size()]);
  }
}

TEST_F(ContextTest, ClassEnergiesComeBesideTheEnergies) {
  ScoreSpec spec = MakeScore(model_, 21);
  spec.context = {0, 0};
  spec.want_class_energies = true;
  const ScoreResult got = Collect(Start(*scheduler_, spec));
  ASSERT_OK(got.status);
  ASSERT_EQ(got.class_energies.size(), 63u);
  for (int i = 0; i < 63; ++i) {
    const float x = spec.inputs[3 * (i / 3)];
    EXPECT_EQ(got.class_energies[i], static_cast<float>(i % 3) * x) << i;
  }
  spec.want_class_energies = false;
  EXPECT_TRUE(Collect(Start(*scheduler_, spec)).class_energies.empty());
}

TEST_F(ContextTest, WrongContextIsRefused) {
  const auto submit = [this](std::vector<float> context) {
    ScoreSpec spec = MakeScore(model_, 4);
    spec.context = std::move(context);
    return scheduler_->Submit(std::move(spec)).status();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(submit({}), StatusIs(kInvalid, HasSubstr("context: expected [4, "
                                                       "2] values, got 0")));
  EXPECT_THAT(submit({0, 0, 0, 0}), StatusIs(kInvalid, HasSubstr("got 4")));
  EXPECT_THAT(submit({101, 0}),
              StatusIs(kInvalid, HasSubstr("context.field: expected finite "
                                           "values in [-100, 100], got 101")));
  EXPECT_THAT(submit({0, 0.5F}),
              StatusIs(kInvalid, HasSubstr("context.label: expected whole")));
  // 2^24 may stand for 2^24 + 1.
  EXPECT_THAT(submit({0, 16777216}), StatusIs(kInvalid, HasSubstr("16777215")));
  EXPECT_OK(submit({0, 16777215}));
  ScoreSpec classes = MakeScore(plain_, 4);
  classes.want_class_energies = true;
  EXPECT_THAT(scheduler_->Submit(std::move(classes)).status(),
              StatusIs(kInvalid, HasSubstr("want_class_energies")));
}

}  // namespace
}  // namespace basin::testing
