// From options to requests.

#include <CLI/CLI.hpp>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/command.h"
#include "client/cli/ensemble_arguments.h"
#include "client/cli/transition_arguments.h"
#include "client/cli/transition_guide.h"
#include "client/npy.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::client {
namespace {

using ::basin::testing::StatusIs;
using ::basin::testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Parses; CLI11 takes the words in reverse order.
void Parse(CLI::App& app, const std::vector<std::string>& words) {
  app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
}

absl::StatusOr<v1::Transition> TransitionOf(
    const std::vector<std::string>& words,
    const v1::Transition& model_default = {}) {
  CLI::App app;
  TransitionArguments args;
  AddTransitionArguments(app, args);
  Parse(app, words);
  return MakeTransition(args, model_default);
}

TEST(TransitionArgumentsTest, FillsInEachKind) {
  const struct {
    std::vector<std::string> words;
    std::string description;
  } cases[] = {
      {{"--transition", "hmc", "--step_size", "0.5", "--leaps", "8", "--jitter",
        "0.25"},
       "hmc step_size=0.5 leaps=8 jitter=0.25"},
      {{"--transition", "langevin", "--step_size", "0.1"}, "ula step_size=0.1"},
      {{"--transition", "underdamped", "--friction", "2"},
       "underdamped friction=2"},
      {{"--transition", "underdamped_metropolis", "--leaps", "2"},
       "underdamped_metropolis leaps=2"},
      {{"--transition", "minimize", "--momentum", "0.9"},
       "minimize momentum=0.9"},
      {{"--transition", "gibbs"}, "gibbs"},
      {{"--transition", "site_heat_bath", "--sites", "3"},
       "site_heat_bath sites=3"},
      {{"--transition", "igebm", "--noise_std", "0.1", "--gradient_clip", "0"},
       "igebm noise_std=0.1 gradient_clip=0"},
      {{"--transition", "delayed_acceptance", "--surrogate", "cheap:2"},
       "delayed_acceptance surrogate=name: \"cheap\" version: 2"},
  };
  for (const auto& c : cases) {
    ASSERT_OK_AND_ASSIGN(const v1::Transition transition,
                         TransitionOf(c.words));
    EXPECT_EQ(DescribeTransition(transition), c.description);
  }
}

TEST(TransitionArgumentsTest, ParametersBelongToTheModelsDefault) {
  v1::Transition model_default;
  model_default.mutable_mala()->set_step_size(1);
  ASSERT_OK_AND_ASSIGN(const v1::Transition transition,
                       TransitionOf({"--step_size", "0.2"}, model_default));
  EXPECT_EQ(DescribeTransition(transition), "mala step_size=0.2");
  ASSERT_OK_AND_ASSIGN(const v1::Transition none,
                       TransitionOf({}, model_default));
  EXPECT_EQ(none.kind_case(), v1::Transition::KIND_NOT_SET);
}

TEST(TransitionArgumentsTest, RefusesWhatTheKindHasNot) {
  const struct {
    std::vector<std::string> words;
    std::string message;
  } cases[] = {
      {{"--transition", "mala", "--leaps", "3"},
       "--leaps is no parameter of Mala, which has --step_size"},
      {{"--transition", "gibbs", "--step_size", "3"}, "which has none"},
      {{"--transition", "hmc", "--leaps", "2.5"}, "expected a whole number"},
      {{"--transition", "hmc", "--leaps", "nan"}, "expected a whole number"},
      {{"--transition", "mala", "--surrogate", "m"}, "delayed_acceptance"},
      {{"--step_size", "3"}, "--transition is missing"},
      {{"--transition", "delayed_acceptance", "--surrogate", "m:x"}, "m:x"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(
        TransitionOf(c.words),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.message)));
  }
  EXPECT_THROW(TransitionOf({"--transition", "nonesuch"}).IgnoreError(),
               CLI::ValidationError);
}

TEST(CommandTest, MessagesSpeakOfOptions) {
  EXPECT_EQ(InOptions("inverse_temperature: expected more than 0, got 0"),
            "--beta: expected more than 0, got 0");
  EXPECT_EQ(InOptions("transition.hmc.step_size: expected one"),
            "--step_size: expected one");
  EXPECT_EQ(InOptions("box.lower_each[3]: expected less"),
            "--lower_each[3]: expected less");
  // Files and configurations have such names, too.
  for (const std::string same :
       {"model: expected a name", "cannot read clamp.mask.npy: no such file",
        "clamp.mask.npy: no array", "inverse_temperature",
        "config.pbtxt: replay.restart_probability: expected 0 to 1", ""}) {
    EXPECT_EQ(InOptions(same), same);
  }
  const std::string longest =
      absl::StrCat("transition.a.", std::string(1 << 20, 'a'));
  EXPECT_EQ(InOptions(longest), longest);
}

TEST(CommandTest, PositiveIntegersAreCheckedInShort) {
  EXPECT_EQ(CheckPositiveInteger("1"), "");
  for (const char* wrong : {"0", "-1", "1.5", "x", "99999999999999999999"}) {
    EXPECT_THAT(CheckPositiveInteger(wrong), HasSubstr(wrong));
  }
}

TEST(TransitionGuideTest, HasEveryTransitionOfTheApiOnce) {
  std::set<std::string> guides;
  for (const TransitionGuide& guide : TransitionGuides()) {
    EXPECT_TRUE(guides.insert(guide.name).second) << guide.name;
  }
  std::set<std::string> kinds;
  const auto* type = v1::Transition::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    kinds.insert(type->field(i)->name());
  }
  EXPECT_EQ(guides, kinds);
}

TEST(TransitionGuideTest, NamesTheParametersThatAreThere) {
  for (const TransitionGuide& guide : TransitionGuides()) {
    const auto* type = v1::Transition::descriptor()
                           ->FindFieldByName(guide.name)
                           ->message_type();
    const std::string text =
        std::string(guide.cost) + guide.formula + guide.details;
    for (int i = 0; i < type->field_count(); ++i) {
      EXPECT_THAT(text, HasSubstr("--" + type->field(i)->name())) << guide.name;
    }
  }
}

class EnsembleArgumentsTest : public ::testing::Test {
 protected:
  EnsembleArgumentsTest() {
    for (const int64_t dim : {2, 3}) model_.add_shape(dim);
  }

  absl::StatusOr<v1::SampleRequest> RequestOf(
      const std::vector<std::string>& words) {
    CLI::App app;
    EnsembleArguments args;
    AddEnsembleArguments(app, args);
    Parse(app, words);
    v1::SampleRequest request;
    const absl::Status status = FillEnsemble(model_, args, request);
    if (!status.ok()) return status;
    return request;
  }
  std::string Npy(const std::string& name, std::vector<int64_t> shape) {
    const std::string path = dir_.File(name);
    const int64_t size = NumElements(shape);
    const Array array{std::move(shape), std::vector<float>(size, 1)};
    EXPECT_OK(WriteNpy(path, array));
    return path;
  }
  // uint8 [2, 3].
  std::string Bytes(const std::string& name, const std::string& data) {
    const std::string path = dir_.File(name);
    std::string header =
        "{'descr': '|u1', 'fortran_order': False, "
        "'shape': (2, 3), }";
    std::ofstream(path, std::ios::binary)
        << std::string("\x93NUMPY\x01\x00", 8)
        << static_cast<char>(header.size()) << '\0' << header << data;
    return path;
  }

  TempDir dir_;
  v1::Model model_;
};

TEST_F(EnsembleArgumentsTest, NothingGivenIsNothingSet) {
  ASSERT_OK_AND_ASSIGN(const v1::SampleRequest request, RequestOf({}));
  EXPECT_EQ(request.ByteSizeLong(), 0U);
}

TEST_F(EnsembleArgumentsTest, FillsInNumbers) {
  ASSERT_OK_AND_ASSIGN(const v1::SampleRequest request,
                       RequestOf({"--adapt",
                                  "--no_adapt_metric",
                                  "--target_acceptance",
                                  "0.8",
                                  "--tempering",
                                  "6,0.05",
                                  "--swap_every",
                                  "3",
                                  "--no_tune_ladder",
                                  "--schedule",
                                  "0.5,1",
                                  "--weights",
                                  "population",
                                  "--islands",
                                  "4",
                                  "--resample_below",
                                  "0.7",
                                  "--anneal_power",
                                  "2",
                                  "--stop_rhat",
                                  "1.01",
                                  "--stop_ess",
                                  "400",
                                  "--lower",
                                  "-1",
                                  "--upper",
                                  "2"}));
  EXPECT_TRUE(request.adapt().step_size());
  EXPECT_TRUE(request.adapt().has_metric());
  EXPECT_FALSE(request.adapt().metric());
  EXPECT_EQ(request.adapt().target_acceptance(), 0.8);
  EXPECT_EQ(request.tempering().levels(), 6);
  EXPECT_EQ(request.tempering().least(), 0.05);
  EXPECT_EQ(request.tempering().swap_every(), 3);
  EXPECT_TRUE(request.tempering().has_tune());
  EXPECT_FALSE(request.tempering().tune());
  EXPECT_THAT(request.annealing().schedule(), ElementsAre(0.5, 1));
  EXPECT_EQ(request.annealing().weights(),
            v1::SampleRequest::Annealing::POPULATION);
  EXPECT_EQ(request.annealing().islands(), 4);
  EXPECT_EQ(request.annealing().resample_below(), 0.7);
  EXPECT_EQ(request.annealing().power(), 2);
  EXPECT_EQ(request.stop_when().rhat_below(), 1.01);
  EXPECT_EQ(request.stop_when().ess_above(), 400);
  EXPECT_EQ(request.box().lower(), -1);
  EXPECT_EQ(request.box().upper(), 2);
}

TEST_F(EnsembleArgumentsTest, NoAdaptTunesNothing) {
  ASSERT_OK_AND_ASSIGN(const v1::SampleRequest request,
                       RequestOf({"--no_adapt", "--ladder", "1,0.5,0.25"}));
  EXPECT_TRUE(request.adapt().has_step_size());
  EXPECT_FALSE(request.adapt().step_size());
  EXPECT_TRUE(request.adapt().has_metric());
  EXPECT_FALSE(request.adapt().metric());
  EXPECT_THAT(request.tempering().ladder(), ElementsAre(1, 0.5, 0.25));
}

TEST_F(EnsembleArgumentsTest, TakesMetricsByTheirShape) {
  ASSERT_OK_AND_ASSIGN(const v1::SampleRequest state,
                       RequestOf({"--metric", Npy("s.npy", {2, 3})}));
  EXPECT_THAT(state.metric().variance().shape(), ElementsAre(2, 3));
  ASSERT_OK_AND_ASSIGN(const v1::SampleRequest flat,
                       RequestOf({"--metric", Npy("f.npy", {6})}));
  EXPECT_THAT(flat.metric().variance().shape(), ElementsAre(2, 3));
  ASSERT_OK_AND_ASSIGN(const v1::SampleRequest full,
                       RequestOf({"--metric", Npy("c.npy", {6, 6})}));
  EXPECT_THAT(full.metric().covariance().shape(), ElementsAre(6, 6));
  EXPECT_THAT(RequestOf({"--metric", Npy("x.npy", {3, 2})}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("[2, 3]"), HasSubstr("[6, 6]"),
                             HasSubstr("got FLOAT32 [3, 2]"))));
}

TEST_F(EnsembleArgumentsTest, ReadsMasksAndValues) {
  const std::string mask = Bytes("mask.npy", {0, 1, 0, 2, 0, -1});
  ASSERT_OK_AND_ASSIGN(const v1::SampleRequest request,
                       RequestOf({"--clamp_mask", mask, "--clamp_values",
                                  Npy("values.npy", {2, 3})}));
  EXPECT_EQ(request.clamp().mask().dtype(), v1::BOOL);
  EXPECT_THAT(request.clamp().mask().shape(), ElementsAre(2, 3));
  EXPECT_EQ(request.clamp().mask().data(), std::string({0, 1, 0, 1, 0, 1}));
  EXPECT_THAT(request.clamp().values().shape(), ElementsAre(1, 2, 3));
  EXPECT_THAT(RequestOf({"--clamp_mask", Npy("float.npy", {2, 3})}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("BOOL or UINT8 [2, 3]"),
                             HasSubstr("got FLOAT32"))));
}

TEST_F(EnsembleArgumentsTest, ReadsBoundsOfEachCoordinate) {
  ASSERT_OK_AND_ASSIGN(const v1::SampleRequest request,
                       RequestOf({"--lower_each", Npy("l.npy", {2, 3}),
                                  "--upper_each", Npy("u.npy", {2, 3})}));
  EXPECT_TRUE(request.box().has_lower_each());
  EXPECT_TRUE(request.box().has_upper_each());
}

TEST_F(EnsembleArgumentsTest, RefusesWhatCannotBeRead) {
  for (const char* text : {"6", "6,", ",0.1", "six,0.1", "2.5,0.1"}) {
    EXPECT_THAT(RequestOf({"--tempering", text}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("expected N,LEAST")));
  }
  EXPECT_THAT(RequestOf({"--metric", "/nonexistent/m.npy"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("m.npy")));
  EXPECT_THROW(RequestOf({"--clamp_values", "v.npy"}).IgnoreError(),
               CLI::RequiresError);
  EXPECT_THROW(
      RequestOf({"--ladder", "1,0.5", "--tempering", "2,0.5"}).IgnoreError(),
      CLI::ExcludesError);
}

}  // namespace
}  // namespace basin::client
