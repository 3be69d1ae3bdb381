// The examples that README.md and deploy/docs show: they run against a real
// server, C++ and Python see the same energies, and what scripts make has the
// laws and energies that they say.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

// All numbers in the file, in order.
std::vector<float> NumbersIn(const std::string& path) {
  std::ifstream file(path);
  std::vector<float> numbers;
  for (std::string word; file >> word;) {
    if (word[0] == '[') word.erase(0, 1);
    char* end = nullptr;
    const float number = std::strtof(word.c_str(), &end);
    if (end != word.c_str()) numbers.push_back(number);
  }
  return numbers;
}

TEST(ExamplesTest, CppAndPythonSeeTheSameEnergies) {
  const ServerProcess server;
  const TempDir folder;
  const std::string cpp = folder.File("cpp");
  ASSERT_EQ(std::system(absl::StrCat(BASIN_EXAMPLE_PATH, " ", server.address(),
                                     " >", cpp)
                            .c_str()),
            0);
  const std::string source = BASIN_SOURCE_DIR;
  ASSERT_EQ(std::system(absl::StrCat(BASIN_PROTOC, " -I", source,
                                     "/proto --python_out=", folder.path(),
                                     " --grpc_python_out=", folder.path(),
                                     " --plugin=protoc-gen-grpc_python="
                                     "$(command -v grpc_python_plugin) ",
                                     source, "/proto/basin/v1/*.proto")
                            .c_str()),
            0);
  const std::string python = folder.File("python");
  ASSERT_EQ(std::system(absl::StrCat("PYTHONPATH=", folder.path(),
                                     " /usr/bin/python3 ", source,
                                     "/deploy/examples/digits.py ",
                                     server.address(), " >", python)
                            .c_str()),
            0);
  const std::vector<float> want = NumbersIn(cpp);
  std::vector<float> got = NumbersIn(python);
  ASSERT_EQ(want.size(), 16U);
  // Python prints the shape (16, 1, 28, 28) first.
  ASSERT_GE(got.size(), 16U);
  got.erase(got.begin(), got.end() - 16);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 1e-4) << i;
  }
}

// Runs a script of deploy/examples to its end.
ProcessEnd RunScript(const std::string& name, std::vector<std::string> words) {
  words.insert(words.begin(),
               absl::StrCat(BASIN_SOURCE_DIR "/deploy/examples/", name));
  return RunToEnd("/usr/bin/python3", words);
}

// Skips the test where a package is missing; deploy/packages.sh has them in
// the group "test", so that CI does not skip.
#define SKIP_WITHOUT(module)                                              \
  if (RunToEnd("/usr/bin/python3", {"-c", "import " module}).code != 0) { \
    GTEST_SKIP() << "/usr/bin/python3 has no " module                     \
                    "; `deploy/packages.sh install test` installs it";    \
  }                                                                       \
  static_assert(true)

std::string BinFolder() {
  return std::filesystem::path(BASIN_CLI_PATH).parent_path();
}

// Width and height of a PNG file; 0 if it is none.
std::vector<int64_t> PngSize(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  unsigned char head[24] = {};
  file.read(reinterpret_cast<char*>(head), sizeof(head));
  if (std::string(head + 1, head + 4) != "PNG") return {0, 0};
  const auto number = [&head](int at) {
    return (int64_t{head[at]} << 24) + (head[at + 1] << 16) +
           (head[at + 2] << 8) + head[at + 3];
  };
  return {number(16), number(20)};
}

TEST(ExamplesTest, InpaintingKeepsWhatIsGiven) {
  SKIP_WITHOUT("numpy");
  SKIP_WITHOUT("matplotlib");
  const TempDir folder;
  const std::string picture = folder.File("inpainting.png");
  // The script itself compares the given halves, bit for bit.
  const ProcessEnd end =
      RunScript("inpainting.py", {picture, BinFolder(), "--steps", "20"});
  EXPECT_EQ(end.code, 0) << end.err;
  EXPECT_THAT(end.out, ::testing::HasSubstr("effective temperature 1.25e-06"));
  EXPECT_THAT(PngSize(picture), ::testing::ElementsAre(750, 600));
}

// The numbers of the last line that begins with this word.
std::vector<double> Shares(const std::string& out, const std::string& name) {
  std::istringstream line(out.substr(out.rfind("\n" + name) + 1));
  std::vector<double> shares;
  std::string word;
  line >> word;
  for (double share = 0; shares.size() < 8 && line >> word;) {
    if (word[0] == '[') word.erase(0, 1);
    if (word.empty()) continue;
    if (absl::SimpleAtod(absl::StripSuffix(word, "]"), &share)) {
      shares.push_back(share);
    }
  }
  return shares;
}

TEST(ExamplesTest, TemperedChainsFindAllModes) {
  SKIP_WITHOUT("numpy");
  SKIP_WITHOUT("matplotlib");
  const TempDir folder;
  const std::string picture = folder.File("tempered.png");
  const ProcessEnd end = RunScript("tempered_mixture.py",
                                   {picture, BinFolder(), "--steps", "2000"});
  EXPECT_EQ(end.code, 0) << end.err;
  EXPECT_EQ(PngSize(picture), (std::vector<int64_t>{1000, 340}));
  const std::vector<double> ordinary = Shares(end.out, "ordinary");
  const std::vector<double> tempered = Shares(end.out, "tempered");
  ASSERT_EQ(ordinary.size(), 8U) << end.out;
  ASSERT_EQ(tempered.size(), 8U) << end.out;
  for (int mode = 0; mode < 8; ++mode) {
    // All start in the first, of weight 1 / 36, the others' are 2 / 36, ...
    EXPECT_EQ(ordinary[mode], mode == 0 ? 1 : 0);
    EXPECT_NEAR(tempered[mode], (mode + 1) / 36.0, 0.04);
  }
}

TEST(ExamplesTest, OwnModelsHaveTheEnergiesThatTheySay) {
  SKIP_WITHOUT("numpy");
  SKIP_WITHOUT("torch");
  const TempDir folder;
  ServerProcess::Options options;
  options.models = folder.File("models");
  const ProcessEnd end = RunScript("own_models.py", {options.models});
  ASSERT_EQ(end.code, 0) << end.err;
  const ServerProcess server(options);
  const auto score = [](const std::string& model, const v1::Tensor& in) {
    v1::ScoreRequest request;
    request.mutable_model()->set_name(model);
    *request.mutable_inputs() = in;
    return request;
  };
  const auto energies = [&server](const v1::ScoreRequest& request) {
    const ScoreAnswer answer = Score(server, request);
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    return FloatsOf(answer.response.energies());
  };
  using ::testing::ElementsAre;
  using ::testing::FloatNear;
  // 8 (|x| - 2)^2
  EXPECT_THAT(energies(score("ring", FloatTensor({2, 2}, {0, 2, 3, 4}))),
              ElementsAre(FloatNear(0, 1e-5), FloatNear(72, 1e-3)));
  // -b.v - sum_j log(1 + exp(c + (vW)_j)): dark, and one row lit.
  std::vector<float> images(18, 0);
  std::fill_n(images.begin() + 9, 3, 1.0F);
  const double dark = -6 * std::log1p(std::exp(-6.0));
  const double row = 12 - std::log1p(std::exp(6.0)) -
                     2 * std::log1p(std::exp(-6.0)) -
                     3 * std::log1p(std::exp(-2.0));
  EXPECT_THAT(energies(score("bars", FloatTensor({2, 9}, images))),
              ElementsAre(FloatNear(dark, 1e-5), FloatNear(row, 1e-5)));
  // (y - sin x)^2 / 0.02
  v1::ScoreRequest regression =
      score("regression", FloatTensor({2, 1}, {0, 1}));
  (*regression.mutable_context())["x"] = FloatTensor({1, 1}, {0.5F});
  const double sine = std::sin(0.5);
  EXPECT_THAT(energies(regression),
              ElementsAre(FloatNear(sine * sine / 0.02, 1e-3),
                          FloatNear((1 - sine) * (1 - sine) / 0.02, 1e-3)));
  // The net has learnt which blob is where.
  v1::ScoreRequest blobs =
      score("blobs", FloatTensor({3, 2}, {2, 0, -1, 1.7F, -1, -1.7F}));
  blobs.set_want_class_energies(true);
  const std::vector<float> classes =
      FloatsOf(Score(server, blobs).response.class_energies());
  ASSERT_EQ(classes.size(), 9U);
  for (int blob = 0; blob < 3; ++blob) {
    const auto at = classes.begin() + 3 * blob;
    EXPECT_EQ(std::min_element(at, at + 3) - at, blob);
  }
}

}  // namespace
}  // namespace basin::testing
