// What a model's description says of ln Z, and where it comes from.

#include <cstdint>
#include <optional>
#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/model/family_fixture.h"
#include "tests/testing/model_files.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kIsing[] = "family: LATTICE lattice { size: [3] } ";
constexpr char kMixture[] =
    "family: MIXTURE mixture { component { weight: 1 mean: 0 "
    "covariance: 1 } } ";
constexpr char kLogZ[] = "log_z { value: 12.5 standard_error: 0.25 } ";

absl::StatusOr<std::optional<KnownLogZ>> LogZOf(const std::string& config,
                                                int64_t version = 1) {
  const ModelFolder folder;
  folder.Write("a", kIsing);
  folder.Write("m", config);
  internal::ModelFiles files;
  files.folder = folder.path() + "/m";
  files.version = version;
  const auto model = internal::OpenModel(files, "m");
  if (!model.ok()) return model.status();
  return model->settings.info.log_z;
}

std::optional<KnownLogZ> LogZIn(const std::string& config,
                                int64_t version = 1) {
  const auto log_z = LogZOf(config, version);
  EXPECT_OK(log_z);
  return log_z.value_or(std::nullopt);
}

TEST(LogZTest, IsWhatTheConfigurationSays) {
  EXPECT_EQ(LogZIn(absl::StrCat(kIsing, kLogZ)), (KnownLogZ{12.5, 0.25}));
  EXPECT_EQ(LogZIn(kIsing), std::nullopt);
}

// Versions have weights of their own.
TEST(LogZTest, BelongsToAVersion) {
  const std::string config =
      absl::StrCat(kIsing, "log_z { value: 2 standard_error: 0 version: 2 } ");
  EXPECT_EQ(LogZIn(config, 1), std::nullopt);
  EXPECT_EQ(LogZIn(config, 2), (KnownLogZ{2, 0}));
  EXPECT_EQ(LogZIn(config + kLogZ, 1), (KnownLogZ{12.5, 0.25}));
  EXPECT_EQ(LogZIn(config + kLogZ, 2), (KnownLogZ{2, 0}));
}

TEST(LogZTest, OfMixturesIsZeroUnlessABoxCutsThem) {
  EXPECT_EQ(LogZIn(kMixture), (KnownLogZ{0, 0}));
  EXPECT_THAT(LogZOf(absl::StrCat(kMixture, kLogZ)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("log_z: expected none, since ln Z of a "
                                 "mixture is 0, got one")));
  const std::string boxed =
      absl::StrCat(kMixture, "domain { lower: 0 upper: 1 } ");
  EXPECT_EQ(LogZIn(boxed), std::nullopt);
  EXPECT_EQ(LogZIn(boxed + kLogZ), (KnownLogZ{12.5, 0.25}));
}

TEST(LogZTest, CompositionsHaveNone) {
  const std::string config =
      "family: COMPOSITION composition { kind: PRODUCT term { model: \"a\" } "
      "} ";
  const ModelFolder folder;
  folder.Write("a", absl::StrCat(kIsing, kLogZ));
  folder.Write("m", config);
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Open("m"));
  EXPECT_EQ(model.settings.info.log_z, std::nullopt);
  EXPECT_THAT(LogZOf(config + kLogZ),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("log_z: expected none, since a composition")));
}

}  // namespace
}  // namespace basin::testing
