#include "core/model/model_settings.h"

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/model_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kMinimal[] = "family: GRAPH input { shape: [3] }";

TEST(ModelSettingsTest, ReadsEveryField) {
  ASSERT_OK_AND_ASSIGN(
      const internal::ModelSettings settings, internal::ParseModelSettings(R"pb(
        # A comment.
        family: CLASSIFIER
        input {
          name: "x"
          shape: [ 2, 3 ]
          uint8_scale: 0.5
        }
        domain { lower: -1 upper: 2 }
        initial { normal { mean: 0.25 stddev: 0.125 } }
        defaults {
          steps: 60
          transition {
            igebm { step_size: 10 noise_std: 0.005 gradient_clip: 0.01 }
          }
        }
        replay {
          capacity: 10
          restart_probability: 0.05
          write_policy: FIFO
          read_policy: WITHOUT_REPLACEMENT
        }
        limits { max_chains: 7 max_tile_rows: 8 })pb"));
  const ModelInfo& info = settings.info;
  EXPECT_EQ(settings.family, internal::ModelFamily::kClassifier);
  EXPECT_EQ(info.family, "classifier");
  EXPECT_EQ(info.input_name, "x");
  EXPECT_EQ(info.state_shape, Shape({2, 3}));
  EXPECT_EQ(info.dimension, 6);
  EXPECT_EQ(info.uint8_scale, 0.5);
  EXPECT_EQ(info.domain.box.lower, -1);
  EXPECT_EQ(info.domain.box.upper, 2);
  EXPECT_EQ(std::get<NormalLaw>(info.initial).mean, 0.25);
  EXPECT_EQ(std::get<NormalLaw>(info.initial).stddev, 0.125);
  EXPECT_EQ(info.default_steps, 60);
  EXPECT_TRUE(info.has_default_transition);
  EXPECT_EQ(info.default_transition.kind, TransitionKind::kIgebm);
  EXPECT_EQ(info.default_transition.step_size, 10);
  EXPECT_EQ(info.default_transition.noise_std, 0.005);
  EXPECT_EQ(info.default_transition.gradient_clip, 0.01);
  EXPECT_EQ(info.replay.capacity, 10);
  EXPECT_EQ(info.replay.restart_probability, 0.05);
  EXPECT_EQ(info.replay.write_policy, ReplayWritePolicy::kFifo);
  EXPECT_EQ(info.replay.read_policy, ReplayReadPolicy::kWithoutReplacement);
  EXPECT_EQ(info.max_chains, 7);
  EXPECT_EQ(settings.max_tile_rows, 8);
}

TEST(ModelSettingsTest, DefaultsAreTheDocumentedOnes) {
  ASSERT_OK_AND_ASSIGN(const internal::ModelSettings settings,
                       internal::ParseModelSettings(kMinimal));
  EXPECT_TRUE(std::isinf(settings.info.domain.box.lower));
  EXPECT_TRUE(std::isinf(settings.info.domain.box.upper));
  EXPECT_EQ(std::get<NormalLaw>(settings.info.initial).stddev, 1);
  EXPECT_EQ(settings.info.default_steps, 100);
  EXPECT_FALSE(settings.info.has_default_transition);
  EXPECT_EQ(settings.info.replay.capacity, 0);
  ASSERT_OK_AND_ASSIGN(
      const internal::ModelSettings bounded,
      internal::ParseModelSettings(std::string(kMinimal) +
                                   "domain { lower: -2 upper: 3 }"));
  EXPECT_EQ(std::get<UniformLaw>(bounded.info.initial).lower, -2);
  EXPECT_EQ(std::get<UniformLaw>(bounded.info.initial).upper, 3);
}

TEST(ModelSettingsTest, EveryTransitionIsRead) {
  const std::pair<const char*, TransitionKind> kinds[] = {
      {"ula", TransitionKind::kUla},
      {"mala", TransitionKind::kMala},
      {"random_walk", TransitionKind::kRandomWalk},
      {"igebm", TransitionKind::kIgebm},
      {"jem", TransitionKind::kJem}};
  for (const auto& [name, kind] : kinds) {
    ASSERT_OK_AND_ASSIGN(
        const internal::ModelSettings settings,
        internal::ParseModelSettings(std::string(kMinimal) +
                                     "defaults { transition { " + name +
                                     " { step_size: 0.5 } } }"));
    EXPECT_EQ(settings.info.default_transition.kind, kind);
    EXPECT_EQ(settings.info.default_transition.step_size, 0.5);
  }
}

struct BadConfig {
  const char* text;     // added to kMinimal unless it begins with "family"
  const char* message;  // contained in the error
};

class BadConfigTest : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigTest, IsRefusedByName) {
  std::string text = GetParam().text;
  if (text.rfind("family", 0) != 0) text = std::string(kMinimal) + "\n" + text;
  EXPECT_THAT(internal::ParseModelSettings(text),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadConfigTest,
    ::testing::Values(
        BadConfig{"colour: 3", "config.pbtxt:2:7: Message type"},
        BadConfig{"limits { max_chains: many }", "config.pbtxt:2:22: "},
        BadConfig{"limits {", "config.pbtxt:2:9: "},
        BadConfig{" family: GRAPH", "specified multiple times"},
        BadConfig{"family: 8 input { shape: [3] }", "family"},
        BadConfig{"family: FAMILY_UNSPECIFIED",
                  "family: expected GRAPH, CLASSIFIER"},
        BadConfig{"family: GRAPH", "input: inputs: expected 1 to 64, got 0"},
        BadConfig{"input { shape: [3] }", "another name for each input"},
        BadConfig{"family: GRAPH input { }", "input.shape: expected 1 to 7"},
        BadConfig{"family: GRAPH input { shape: [0] }",
                  "input.shape[0]: expected 1 to 16777216, got 0"},
        BadConfig{"family: GRAPH input { shape: [2, -1] }", "input.shape[1]"},
        BadConfig{"family: GRAPH input { shape: [4611686018427387904, 4] }",
                  "input.shape[0]"},
        BadConfig{"family: GRAPH input { shape: [65536, 65536] }",
                  "input.shape: elements"},
        BadConfig{"family: GRAPH input { shape: [1, 1, 1, 1, 1, 1, 1, 1] }",
                  "1 to 7 dimensions, got 8"},
        BadConfig{"family: GRAPH input { shape: [1] uint8_scale: -1 }",
                  "input.uint8_scale: expected a finite number"},
        BadConfig{"domain { lower: 1 upper: 1 }",
                  "domain.upper: expected more than lower = 1, got 1"},
        BadConfig{"domain { lower: nan upper: 1 }", "domain.lower"},
        BadConfig{"domain { kind: BINARY lower: 0 upper: 1 }",
                  "domain: expected no bounds, since it is binary"},
        BadConfig{"domain { kind: BINARY } initial { normal { stddev: 1 } }",
                  "initial: expected a law of a binary domain, got normal"},
        BadConfig{"initial { mixture { } }",
                  "initial.mixture: number of components: expected 1 to 1024"},
        BadConfig{"initial { mixture { component { weight: 0 mean: [1, 1, 1] "
                  "stddev: 1 } } }",
                  "initial.mixture.component[0].weight"},
        BadConfig{"initial { mixture { component { weight: 1 mean: [1, 1] "
                  "stddev: 1 } } }",
                  "component[0].mean: expected 3 values"},
        BadConfig{"initial { mixture { component { weight: 1 mean: [1, 1, 1] "
                  "} } }",
                  "component[0]: expected either covariance or stddev, got "
                  "none"},
        BadConfig{"initial { mixture { component { weight: 1 mean: [1, 1, 1] "
                  "stddev: [1, 2] } } }",
                  "component[0].stddev: expected 1 or 3 values, got 2"},
        BadConfig{"initial { mixture { component { weight: 1 mean: [1, 1, 1] "
                  "stddev: [1, 0, 1] } } }",
                  "component[0].stddev"},
        BadConfig{"initial { mixture { component { weight: 1 mean: [1, 1, 1] "
                  "covariance: [1, 2, 0, 2, 1, 0, 0, 0, 1] } } }",
                  "got one that is not positive definite"},
        BadConfig{"initial { mixture { component { weight: 1 mean: [1, 1, 1] "
                  "covariance: [1, 0, 0, 0.5, 1, 0, 0, 0, 1] } } }",
                  "got one that is not symmetric"},
        BadConfig{"domain { lower: 0 upper: 1 } initial { mixture { component "
                  "{ weight: 1 mean: [0, 1, 2] stddev: 1 } } }",
                  "values within the domain, [0, 1], got 2"},
        BadConfig{"domain { kind: BINARY } initial { mixture { component "
                  "{ weight: 1 mean: [0, 1, 1] stddev: 1 } } }",
                  "expected a law of a binary domain, got mixture"},
        BadConfig{"initial { bernoulli { p: 0.5 } }",
                  "initial: expected a law of a continuous domain"},
        BadConfig{"domain { kind: BINARY } initial { bernoulli { p: 2 } }",
                  "initial.bernoulli.p: expected 0 to 1, got 2"},
        BadConfig{"domain { kind: CATEGORICAL } "
                  "defaults { transition { mala { step_size: 1 } } }",
                  "defaults.transition: expected one for a categorical"},
        BadConfig{"rbm { visible: GAUSSIAN }",
                  "rbm: expected none, since the family is graph"},
        BadConfig{"context { shape: [1] }", "context.name: expected"},
        BadConfig{"context { name: \"c\" default_value: nan }",
                  "context.default_value: expected a finite number"},
        BadConfig{"family: CLASSIFIER input { shape: 1 } input { shape: 2 }",
                  "input: expected exactly one, got 2"},
        BadConfig{"domain { lower: 0 upper: 1e300 }",
                  "domain.upper: expected a float32"},
        BadConfig{"domain { lower: 0 upper: inf }",
                  "initial: expected a law, since the domain is bounded on one "
                  "side only"},
        BadConfig{"initial { uniform { lower: 1 upper: 0 } }",
                  "initial.uniform.upper"},
        BadConfig{"initial { uniform { lower: 0 upper: inf } }",
                  "initial.uniform.upper"},
        BadConfig{"domain { lower: 0 upper: 1 } initial { uniform { lower: 0 "
                  "upper: 2 } }",
                  "initial.uniform: expected within the domain, [0, 1], got "
                  "[0, 2]"},
        BadConfig{"initial { normal { } }", "initial.normal.stddev"},
        BadConfig{"initial { normal { mean: inf stddev: 1 } }",
                  "initial.normal.mean"},
        BadConfig{"defaults { steps: -1 }", "defaults.steps"},
        BadConfig{"defaults { transition { ula { step_size: -1 } } }",
                  "defaults.transition: step_size"},
        BadConfig{"defaults { transition { ula { step_size: nan } } }",
                  "defaults.transition: step_size"},
        BadConfig{"defaults { transition { jem { noise_std: -1 } } }",
                  "defaults.transition: noise_std"},
        BadConfig{"defaults { transition { igebm { gradient_clip: inf } } }",
                  "defaults.transition: gradient_clip"},
        BadConfig{"replay { }", "replay.capacity: expected 1 to 16777216"},
        BadConfig{"replay { capacity: 16777217 }", "replay.capacity"},
        BadConfig{"replay { capacity: 1 restart_probability: 1.5 }",
                  "replay.restart_probability: expected 0 to 1, got 1.5"},
        BadConfig{"limits { max_chains: -1 }", "limits.max_chains"},
        BadConfig{"limits { max_tile_rows: 5000 }",
                  "limits.max_tile_rows: expected 0 to 4096, got 5000"},
        BadConfig{"log_z { standard_error: 0 }",
                  "log_z.value: expected a finite number, got none"},
        BadConfig{"log_z { value: inf standard_error: 0 }",
                  "log_z.value: expected a finite number, got inf"},
        BadConfig{"log_z { value: 1 }",
                  "log_z.standard_error: expected 0 if the value is exact, "
                  "got none"},
        BadConfig{"log_z { value: 1 standard_error: -0.5 }",
                  "log_z.standard_error: expected a finite number, at least 0"},
        BadConfig{"log_z { value: 1 standard_error: nan }",
                  "log_z.standard_error"},
        BadConfig{"log_z { value: 1 standard_error: 1 version: -1 }",
                  "log_z.version"},
        BadConfig{"log_z { value: 1 standard_error: 1 } "
                  "log_z { value: 2 standard_error: 1 }",
                  "log_z.version: expected one log_z for each version, got "
                  "two of version 0"}));

TEST(ModelSettingsTest, FilesAreBounded) {
  TempDir folder;
  EXPECT_THAT(internal::ReadModelSettings(folder.File("config.pbtxt")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.pbtxt")));
  std::string text = kMinimal;
  WriteFile(folder.File("config.pbtxt"), text);
  EXPECT_OK(internal::ReadModelSettings(folder.File("config.pbtxt")));
  text.append(1 << 20, ' ');
  WriteFile(folder.File("config.pbtxt"), text);
  EXPECT_THAT(internal::ReadModelSettings(folder.File("config.pbtxt")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("limit of 1048576 bytes")));
}

// To open the pipe would wait for a writer.
TEST(ModelSettingsTest, PipesAndFoldersAreNoFiles) {
  TempDir folder;
  EXPECT_THAT(internal::ReadModelSettings(folder.path()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no file")));
  ASSERT_EQ(mkfifo(folder.File("config.pbtxt").c_str(), 0600), 0);
  EXPECT_THAT(internal::ReadModelSettings(folder.File("config.pbtxt")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.pbtxt")));
}

TEST(ModelSettingsTest, GarbageIsAnError) {
  for (int first = 0; first < 256; ++first) {
    std::string text = kMinimal;
    text[text.size() / 2] = static_cast<char>(first);
    internal::ParseModelSettings(text).IgnoreError();
    EXPECT_FALSE(
        internal::ParseModelSettings(std::string(100, static_cast<char>(first)))
            .ok());
  }
}

}  // namespace
}  // namespace basin::testing
