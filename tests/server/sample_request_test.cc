#include "server/sample_request.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/test_models.h"
#include "tests/testing/status_matchers.h"

#include "basin/v1/sampler.pb.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr uint64_t kFreshSeed = 99;

absl::StatusOr<SamplePlan> Decode(const v1::SampleRequest& request,
                                  const ModelInfo& model = SmallModel()) {
  return DecodeSampleRequest(request, model, RequestLimits(), kFreshSeed);
}

TEST(DecodeSampleRequest, AnEmptyRequestTakesAllDefaults) {
  ASSERT_OK_AND_ASSIGN(const SamplePlan plan, Decode({}));
  EXPECT_EQ(plan.spec.chains, 1);
  EXPECT_EQ(plan.spec.steps, 40);
  EXPECT_EQ(plan.spec.warmup, 0);
  EXPECT_EQ(plan.spec.keep_every, 0);
  EXPECT_EQ(plan.spec.seed, kFreshSeed);
  EXPECT_EQ(plan.spec.inverse_temperature, 1);
  EXPECT_EQ(plan.spec.transition.kind, TransitionKind::kMala);
  EXPECT_EQ(plan.spec.transition.step_size, 0.1);
  EXPECT_EQ(plan.spec.box.lower, 0);
  EXPECT_EQ(plan.spec.box.upper, 1);
  EXPECT_EQ(plan.spec.keep, SampleSpec::Keep::kStates);
  EXPECT_EQ(plan.spec.options.priority, 5);
  EXPECT_EQ(plan.spec.options.on_deadline, JobOptions::OnDeadline::kFail);
  EXPECT_EQ(plan.init, SamplePlan::Init::kDefault);
  EXPECT_THAT(plan.spec.initial, IsEmpty());
}

TEST(DecodeSampleRequest, EveryFieldIsTaken) {
  v1::SampleRequest request;
  request.set_chains(3);
  request.set_steps(100);
  request.set_warmup(50);
  request.set_keep_every(10);
  request.set_seed(0);
  request.set_inverse_temperature(2.5);
  request.mutable_transition()->mutable_igebm()->set_step_size(10);
  request.mutable_transition()->mutable_igebm()->set_noise_std(0.005);
  request.mutable_transition()->mutable_igebm()->set_gradient_clip(0.01);
  request.mutable_box()->set_lower(0.25);
  request.mutable_output()->set_gradients(true);
  request.set_priority(1);
  request.set_on_deadline(v1::SampleRequest::PARTIAL);
  request.mutable_replay()->set_restart_probability(0);
  request.mutable_replay()->set_write_back(false);
  ASSERT_OK_AND_ASSIGN(const SamplePlan plan, Decode(request));
  EXPECT_EQ(plan.spec.chains, 3);
  EXPECT_EQ(plan.spec.steps, 100);
  EXPECT_EQ(plan.spec.warmup, 50);
  EXPECT_EQ(plan.spec.keep_every, 10);
  EXPECT_EQ(plan.spec.seed, 0U);
  EXPECT_EQ(plan.spec.inverse_temperature, 2.5);
  EXPECT_EQ(plan.spec.transition.kind, TransitionKind::kIgebm);
  EXPECT_EQ(plan.spec.transition.noise_std, 0.005);
  EXPECT_EQ(plan.spec.transition.gradient_clip, 0.01);
  EXPECT_EQ(plan.spec.box.lower, 0.25F);
  EXPECT_EQ(plan.spec.box.upper, 1);
  EXPECT_EQ(plan.spec.keep, SampleSpec::Keep::kStatesAndGradients);
  EXPECT_EQ(plan.spec.options.priority, 1);
  EXPECT_EQ(plan.spec.options.on_deadline, JobOptions::OnDeadline::kPartial);
  EXPECT_EQ(plan.init, SamplePlan::Init::kReplay);
  EXPECT_EQ(plan.restart_probability, 0);
  EXPECT_FALSE(plan.write_back);
}

TEST(DecodeSampleRequest, AbsentParametersComeFromTheModelOfTheSameKind) {
  v1::SampleRequest request;
  request.mutable_transition()->mutable_mala();
  ASSERT_OK_AND_ASSIGN(const SamplePlan same, Decode(request));
  EXPECT_EQ(same.spec.transition.step_size, 0.1);
  request.mutable_transition()->mutable_ula();
  EXPECT_THAT(Decode(request), StatusIs(kInvalid, HasSubstr("step_size")));
  request.mutable_transition()->mutable_mala()->set_step_size(0);
  EXPECT_THAT(Decode(request), StatusIs(kInvalid, HasSubstr("step_size")));
  // What can be tuned needs no step size.
  request.mutable_transition()->mutable_random_walk();
  ASSERT_OK_AND_ASSIGN(const SamplePlan tuned, Decode(request));
  EXPECT_TRUE(tuned.spec.adaptation.step_size);
  EXPECT_GT(tuned.spec.warmup, 0);
}

TEST(DecodeSampleRequest, AModelWithoutDefaultNeedsATransition) {
  ModelInfo model = SmallModel();
  model.has_default_transition = false;
  EXPECT_THAT(Decode({}, model),
              StatusIs(kInvalid, HasSubstr("transition: expected one")));
}

TEST(DecodeSampleRequest, OneStateServesAllChains) {
  v1::SampleRequest request;
  request.set_chains(2);
  *request.mutable_states() =
      TensorOf<float>(v1::FLOAT32, {1, 2, 3}, {0, .1F, .2F, .3F, .4F, .5F});
  ASSERT_OK_AND_ASSIGN(SamplePlan plan, Decode(request));
  EXPECT_EQ(plan.init, SamplePlan::Init::kGiven);
  EXPECT_EQ(plan.spec.initial.size(), 6u) << "not before it is admitted";
  ASSERT_OK(FillInitialStates(SmallModel(), nullptr, plan).status());
  EXPECT_THAT(plan.spec.initial, ElementsAre(0, .1F, .2F, .3F, .4F, .5F, 0, .1F,
                                             .2F, .3F, .4F, .5F));
}

TEST(DecodeSampleRequest, TheModelsOwnLimitCounts) {
  ModelInfo model = SmallModel();
  model.max_chains = 8;
  v1::SampleRequest request;
  request.set_chains(9);
  EXPECT_THAT(
      Decode(request, model),
      StatusIs(kInvalid, "chains: expected 1 to 8 (max_chains), got 9"));
}

TEST(DecodeSampleRequest, StatesAreCountedBeforeMemoryIsTaken) {
  ModelInfo model = SmallModel();
  model.dimension = int64_t{1} << 21;
  v1::SampleRequest request;
  request.set_chains(65536);
  EXPECT_THAT(Decode(request, model),
              StatusIs(kInvalid, HasSubstr("(max_bytes)")));
  model.dimension = int64_t{1} << 47;
  EXPECT_THAT(Decode(request, model),
              StatusIs(kInvalid, HasSubstr("max_message_bytes")));
}

struct Bad {
  const char* name;
  std::function<void(v1::SampleRequest&)> spoil;
  const char* text;
};

class BadRequest : public ::testing::TestWithParam<Bad> {};

TEST_P(BadRequest, NamesTheField) {
  v1::SampleRequest request;
  GetParam().spoil(request);
  EXPECT_THAT(Decode(request), StatusIs(kInvalid, HasSubstr(GetParam().text)));
}

std::vector<Bad> BadRequests() {
  using R = v1::SampleRequest;
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  return {
      {"ChainsMin", [](R& r) { r.set_chains(kMin); }, "chains: expected 1 to"},
      {"ChainsZero", [](R& r) { r.set_chains(0); },
       "chains: expected 1 to 65536 (max_chains), got 0"},
      {"StepsZero", [](R& r) { r.set_steps(0); },
       "steps: expected 1 to 1000000000 (max_steps), got 0"},
      {"KeepEveryMin", [](R& r) { r.set_keep_every(kMin); },
       "keep_every: expected 0 to 40 (steps)"},
      {"WarmupMin", [](R& r) { r.set_warmup(kMin); }, "warmup: expected 0 to"},
      {"ChainsMax", [](R& r) { r.set_chains(kMax); }, "chains: expected 1 to"},
      {"StepsMin", [](R& r) { r.set_steps(kMin); }, "steps: expected 1 to"},
      {"StepsMax", [](R& r) { r.set_steps(kMax); }, "steps: expected 1 to"},
      {"WarmupAndSteps",
       [](R& r) {
         r.set_steps(999'999'999);
         r.set_warmup(2);
       },
       "warmup: expected 0 to 1 "},
      {"KeepEvery", [](R& r) { r.set_keep_every(41); },
       "keep_every: expected 0 to 40 (steps), got 41"},
      {"Priority", [](R& r) { r.set_priority(-3); },
       "priority: expected 1 to 9, got -3"},
      {"Beta", [](R& r) { r.set_inverse_temperature(-1); },
       "inverse_temperature: expected a finite value > 0, got -1"},
      {"BoxBelowDomain", [](R& r) { r.mutable_box()->set_lower(-1); },
       "box.lower: expected a value in the model's domain [0, 1], got -1"},
      {"BoxNaN", [](R& r) { r.mutable_box()->set_upper(kNaN); },
       "box.upper: expected"},
      {"BoxReversed",
       [](R& r) {
         r.mutable_box()->set_lower(.75);
         r.mutable_box()->set_upper(.25);
       },
       "box: expected lower < upper, got [0.75, 0.25]"},
      {"StepSizeNaN",
       [](R& r) { r.mutable_transition()->mutable_ula()->set_step_size(kNaN); },
       "step_size"},
      {"OutsideDomain",
       [](R& r) {
         *r.mutable_states() =
             TensorOf<float>(v1::FLOAT32, {1, 2, 3}, {0, 0, 2, 0, 0, 0});
       },
       "states: row 0 has 2 at element 2, outside of the request's box [0, 1]"},
      {"RowCount",
       [](R& r) {
         r.set_chains(3);
         *r.mutable_states() =
             TensorOf<float>(v1::FLOAT32, {2, 2, 3}, std::vector<float>(12, 0));
       },
       "states.shape: expected 1 row or one for each of the 3 chains, got 2"},
  };
}

// SmallModel() of three sites of two classes, or of six bits.
ModelInfo DiscreteModel(DomainKind kind) {
  ModelInfo model = SmallModel();
  model.uint8_scale = 0;
  model.domain.kind = kind;
  model.domain.classes = kind == DomainKind::kCategorical ? 2 : 0;
  model.has_default_transition = false;
  return model;
}

v1::SampleRequest OnSites() {
  v1::SampleRequest request;
  request.mutable_transition()->mutable_site_metropolis();
  request.set_chains(2);
  return request;
}

TEST(DecodeSampleRequest, StatesOfDiscreteDomainsAreChecked) {
  v1::SampleRequest request = OnSites();
  const auto decode = [&](DomainKind kind, std::vector<float> second) {
    std::vector<float> values = {1, 0, 0, 1, 1, 0};
    values.insert(values.end(), second.begin(), second.end());
    *request.mutable_states() = TensorOf<float>(v1::FLOAT32, {2, 2, 3}, values);
    return Decode(request, DiscreteModel(kind)).status();
  };
  EXPECT_OK(decode(DomainKind::kBinary, {1, 1, 1, 0, 0, 0}));
  EXPECT_OK(decode(DomainKind::kCategorical, {0, 1, 1, 0, 0, 1}));
  EXPECT_THAT(decode(DomainKind::kBinary, {0, 0, 0, 0, 0.5F, 0}),
              StatusIs(kInvalid,
                       "states: expected 0 or 1, as the domain is "
                       "binary; row 1 has 0.5 at element 4"));
  EXPECT_THAT(
      decode(DomainKind::kCategorical, {0, 0.5F, 1, 0, 0, 1}),
      StatusIs(kInvalid, HasSubstr("categorical; row 1 has 0.5 at element 1")));
  EXPECT_THAT(decode(DomainKind::kCategorical, {0, 1, 1, 1, 0, 1}),
              StatusIs(kInvalid,
                       "states: expected one 1 among the 2 classes of a site; "
                       "row 1 has 2 ones at elements 2 to 3"));
}

TEST(DecodeSampleRequest, ClampedValuesOfDiscreteDomainsAreChecked) {
  v1::SampleRequest request = OnSites();
  v1::SampleRequest::Clamp& clamp = *request.mutable_clamp();
  *clamp.mutable_mask() =
      TensorOf<uint8_t>(v1::BOOL, {2, 3}, {1, 1, 0, 0, 0, 0});
  const auto decode = [&](DomainKind kind, const std::vector<float>& values) {
    *clamp.mutable_values() = TensorOf<float>(v1::FLOAT32, {1, 2, 3}, values);
    return Decode(request, DiscreteModel(kind)).status();
  };
  // What is not fixed is not looked at.
  EXPECT_OK(decode(DomainKind::kBinary, {1, 1, 7, 7, 7, 7}));
  EXPECT_OK(decode(DomainKind::kCategorical, {1, 0, 7, 7, 7, 7}));
  EXPECT_THAT(decode(DomainKind::kBinary, {1, 0.25F, 0, 0, 0, 0}),
              StatusIs(kInvalid, HasSubstr("clamp.values: expected 0 or 1, as "
                                           "the domain is binary; row 0 has "
                                           "0.25 at element 1")));
  EXPECT_THAT(decode(DomainKind::kCategorical, {0, 0, 0, 0, 0, 0}),
              StatusIs(kInvalid, HasSubstr("clamp.values: expected one 1")));
}

TEST(DecodeSampleRequest, IslandsAreChosenSoThatLogZHasAnInterval) {
  v1::SampleRequest request;
  request.mutable_annealing()->set_levels(10);
  request.mutable_annealing()->set_weights(
      v1::SampleRequest::Annealing::POPULATION);
  const auto islands = [&](int64_t chains) {
    request.set_chains(chains);
    const auto plan = Decode(request);
    return plan.ok() ? plan->spec.annealing.islands : -1;
  };
  EXPECT_EQ(islands(64), 16);
  EXPECT_EQ(islands(60), 15);
  EXPECT_EQ(islands(62), 2);
  EXPECT_EQ(islands(32), 8);
  EXPECT_EQ(islands(8), 2);
  EXPECT_EQ(islands(1024), 16);
  for (const int64_t chains : {1, 7, 9, 61}) {
    request.set_chains(chains);
    EXPECT_THAT(
        Decode(request),
        StatusIs(kInvalid, AllOf(HasSubstr("chains: expected with weights "
                                           "POPULATION a number that divides"),
                                 HasSubstr("as 64 does; or annealing.islands, "
                                           "got " +
                                           std::to_string(chains)))));
  }
  request.mutable_annealing()->set_islands(61);
  EXPECT_EQ(islands(61), 61);
}

INSTANTIATE_TEST_SUITE_P(All, BadRequest, ::testing::ValuesIn(BadRequests()),
                         [](const auto& info) { return info.param.name; });

TEST(FillInitialStates, NoiseDependsOnSeedAndChainAlone) {
  const ModelInfo model = SmallModel();
  v1::SampleRequest request;
  request.set_chains(4);
  request.set_seed(1);
  request.mutable_noise();
  ASSERT_OK_AND_ASSIGN(SamplePlan four, Decode(request));
  ASSERT_OK(FillInitialStates(model, nullptr, four));
  request.set_chains(2);
  ASSERT_OK_AND_ASSIGN(SamplePlan two, Decode(request));
  ASSERT_OK(FillInitialStates(model, nullptr, two));
  ASSERT_THAT(four.spec.initial, SizeIs(24));
  four.spec.initial.resize(12);
  EXPECT_EQ(four.spec.initial, two.spec.initial);
}

TEST(FillInitialStates, NoiseKeepsToTheBox) {
  v1::SampleRequest request;
  request.set_chains(50);
  request.mutable_box()->set_upper(0.25);
  ASSERT_OK_AND_ASSIGN(SamplePlan plan, Decode(request));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw draw,
                       FillInitialStates(SmallModel(), nullptr, plan));
  EXPECT_THAT(draw.slots, IsEmpty());
  EXPECT_THAT(plan.spec.initial, Each(AllOf(Ge(0), Le(0.25F))));
}

TEST(FillInitialStates, DefaultTakesTheBufferOnceItHoldsStates) {
  const ModelInfo model = SmallModel();
  ReplayBuffer::Options options;
  options.policy.capacity = 10;
  options.dimension = 6;
  ASSERT_OK_AND_ASSIGN(const auto buffer, ReplayBuffer::Open(options));
  ASSERT_OK_AND_ASSIGN(SamplePlan plan, Decode({}));
  ASSERT_OK_AND_ASSIGN(ReplayDraw draw,
                       FillInitialStates(model, buffer.get(), plan));
  EXPECT_THAT(draw.slots, IsEmpty());
  ASSERT_OK(buffer->Insert(std::vector<float>(6, 0.5F)));
  ASSERT_OK_AND_ASSIGN(draw, FillInitialStates(model, buffer.get(), plan));
  EXPECT_THAT(draw.slots, ElementsAre(0));
  EXPECT_THAT(plan.spec.initial, Each(0.5F));
}

}  // namespace
}  // namespace basin::testing
