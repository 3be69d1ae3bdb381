#include "core/model/energy_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/model/evaluate.h"
#include "tests/core/model/family_fixture.h"
#include "tests/testing/model_files.h"
#include "tests/testing/npy.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Le;
using Model = std::shared_ptr<const EnergyModel>;

const Backend& TestBackend() {
  static const Backend* const backend = CreateCpuBackend().release();
  return *backend;
}

absl::StatusOr<Model> LoadFrom(const std::string& repository,
                               const std::string& name,
                               const EnergyModel::LoadOptions& options = {}) {
  return EnergyModel::Load(TestBackend(), repository + "/" + name, name, 1,
                           options);
}

// Loads an ONNX file under a configuration.
absl::StatusOr<Model> LoadBytes(const std::string& config,
                                const std::string& onnx,
                                const EnergyModel::LoadOptions& options = {}) {
  TempDir repository;
  WriteModel(repository.path(), "m", 1, config, onnx);
  return LoadFrom(repository.path(), "m", options);
}

// The configuration of a golden model, whose states are those of x.npy.
std::string GoldenConfig(const std::string& name, const Tensor& x) {
  return absl::StrCat(
      "family: ", name == "small_classifier" ? "CLASSIFIER" : "GRAPH",
      " input { shape: [",
      absl::StrJoin(x.shape().dims().begin() + 1, x.shape().dims().end(), ", "),
      "] }");
}

absl::StatusOr<Model> LoadGolden(const std::string& name, const Tensor& x) {
  const std::string onnx = GoldenPath(name + "/model.onnx");
  if (!std::filesystem::exists(onnx)) return LoadFrom(DemoModelsPath(), name);
  return LoadBytes(GoldenConfig(name, x), ReadFile(onnx));
}

float LargestMagnitude(absl::Span<const double> values) {
  float largest = 0;
  for (const double value : values) {
    largest = std::max(largest, static_cast<float>(std::abs(value)));
  }
  return largest;
}

std::vector<double> Doubles(const Tensor& tensor) {
  const auto data = tensor.data<double>();
  return {data.begin(), data.end()};
}

class GoldenModelTest : public ::testing::TestWithParam<std::string> {};

// FLOAT64 keeps weights, constants and literals of the file in double: against
// PyTorch in float64 (tests/data/golden/double/make_double.py).
TEST(Float64ModelTest, EnergiesAreThoseOfPyTorchInDouble) {
  std::ifstream file(GoldenPath("double/model.onnx"), std::ios::binary);
  const std::string onnx(std::istreambuf_iterator<char>(file), {});
  const ModelFolder folder;
  folder.Write("m", "family: GRAPH input { shape: [6, 5] } precision: FLOAT64",
               "", onnx);
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  const Tensor x = ReadGoldenNpy(GoldenPath("double/x.npy"));
  const Tensor energies = ReadGoldenNpy(GoldenPath("double/energy.npy"));
  const Tensor gradients = ReadGoldenNpy(GoldenPath("double/grad.npy"));
  const auto found = EvaluateAll(*model, 16, x.data<float>());
  for (size_t row = 0; row < found.energies.size(); ++row) {
    const double energy = energies.data<double>()[row];
    EXPECT_NEAR(found.energies[row], energy, 1e-13 * std::abs(energy));
  }
  for (size_t i = 0; i < found.gradients.size(); ++i) {  // float32
    const double slope = gradients.data<double>()[i];
    EXPECT_NEAR(found.gradients[i], slope, 0x1p-24 * std::abs(slope) + 1e-14);
  }
}

// Against PyTorch in double precision (deploy/training/make_golden.py).
TEST_P(GoldenModelTest, EnergiesAndGradientsAreThoseOfPyTorch) {
  const Tensor x = ReadGoldenNpy(GoldenPath(GetParam() + "/x.npy"));
  ASSERT_OK_AND_ASSIGN(const Model model, LoadGolden(GetParam(), x));
  const auto energies =
      Doubles(ReadGoldenNpy(GoldenPath(GetParam() + "/energy.npy")));
  const auto gradients =
      Doubles(ReadGoldenNpy(GoldenPath(GetParam() + "/grad.npy")));
  const auto d = static_cast<size_t>(model->info().dimension);
  for (const int tile : model->tile_sizes()) {
    const Evaluated found = EvaluateAll(*model, tile, x.data<float>());
    for (size_t row = 0; row < energies.size(); ++row) {
      const double energy_tolerance =
          1e-5 * std::max(1.0, std::abs(energies[row]));
      EXPECT_NEAR(found.energies[row], energies[row], energy_tolerance);
      EXPECT_NEAR(found.gradient_energies[row], energies[row],
                  energy_tolerance);
      const float scale =
          LargestMagnitude(absl::MakeConstSpan(&gradients[row * d], d));
      double worst = 0;
      for (size_t i = row * d; i < (row + 1) * d; ++i) {
        worst = std::max(worst, std::abs(found.gradients[i] - gradients[i]));
      }
      EXPECT_LE(worst, 1e-5 * scale) << "row " << row << ", tile " << tile;
    }
  }
}

std::vector<std::string> GoldenNames() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(GoldenPath(""))) {
    if (std::filesystem::exists(entry.path() / "energy.npy")) {
      names.push_back(entry.path().filename());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}
INSTANTIATE_TEST_SUITE_P(All, GoldenModelTest,
                         ::testing::ValuesIn(GoldenNames()),
                         [](const auto& info) { return info.param; });

// States [n, D], uniform in [-1, 1).
std::vector<float> RandomStates(size_t n, int64_t dimension) {
  std::minstd_rand random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> states(n * static_cast<size_t>(dimension));
  for (float& value : states) value = uniform(random);
  return states;
}

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

class DemoModelTest : public ::testing::TestWithParam<std::string> {};

// Promise 2: which tile a row is in, and where, changes no bit.
TEST_P(DemoModelTest, TileSizesAreBitIdentical) {
  ASSERT_OK_AND_ASSIGN(const Model model,
                       LoadFrom(DemoModelsPath(), GetParam()));
  ASSERT_GE(model->tile_sizes().size(), 2);
  const std::vector<float> states = RandomStates(37, model->info().dimension);
  const Evaluated expected =
      EvaluateAll(*model, model->tile_sizes().back(), states);
  for (const int tile : model->tile_sizes()) {
    const Evaluated found = EvaluateAll(*model, tile, states);
    EXPECT_TRUE(SameBits(found.energies, expected.energies)) << tile;
    EXPECT_TRUE(SameBits(found.gradient_energies, expected.gradient_energies));
    EXPECT_TRUE(SameBits(found.gradients, expected.gradients)) << tile;
  }
}

INSTANTIATE_TEST_SUITE_P(All, DemoModelTest,
                         ::testing::Values("mixture2d", "mnist_ebm",
                                           "mnist_classifier"));

TEST(EnergyModelTest, SaysWhatItIs) {
  ASSERT_OK_AND_ASSIGN(const Model model,
                       LoadFrom(DemoModelsPath(), "mnist_classifier"));
  const ModelInfo& info = model->info();
  EXPECT_EQ(info.name, "mnist_classifier");
  EXPECT_EQ(info.version, 1);
  EXPECT_EQ(info.family, "classifier");
  EXPECT_EQ(info.state_shape, Shape({1, 28, 28}));
  EXPECT_EQ(info.dimension, 784);
  EXPECT_GT(info.parameters, 10'000);
  EXPECT_THAT(info.operators, Contains(HasSubstr(" x")));
  EXPECT_GT(model->memory_bytes(), 4 * info.parameters);
  EXPECT_GT(model->evaluation_seconds(), 0);
  EXPECT_EQ(&model->backend(), &TestBackend());
}

TEST(EnergyModelTest, AnEmptyInputNameIsTheOnlyInput) {
  ASSERT_OK_AND_ASSIGN(const Model model,
                       LoadBytes(GraphConfig(3), QuadraticOnnx(3, 4)));
  EXPECT_EQ(model->info().input_name, "x");
  const Evaluated found =
      EvaluateAll(*model, model->tile_sizes()[0], {1, 2, 3});
  EXPECT_THAT(found.energies, ElementsAre(28));
  EXPECT_THAT(found.gradients, ElementsAre(4, 8, 12));
}

TEST(EnergyModelTest, AClassifierIsReadAsItsNegativeLogSumExp) {
  ASSERT_OK_AND_ASSIGN(const Model model,
                       LoadBytes("family: CLASSIFIER input { shape: [2] }",
                                 ClassifierOnnx(2, 3)));
  const Evaluated found = EvaluateAll(*model, model->tile_sizes()[0], {1, -2});
  double sum = 0;
  for (int k = 0; k < 3; ++k)
    sum += std::exp(std::sin(1 + k) - 2 * std::sin(4 + k));
  EXPECT_NEAR(found.energies[0], -std::log(sum), 1e-6);
}

TEST(EnergyModelTest, TileRowsAreLimitedByOptionsAndConfiguration) {
  const auto largest = [](const std::string& config, int option) {
    EnergyModel::LoadOptions options;
    options.max_tile_rows = option;
    const auto model =
        LoadBytes(GraphConfig(2, config), QuadraticOnnx(2), options);
    return model.ok() ? (*model)->tile_sizes().back() : -1;
  };
  EXPECT_GE(largest("", 0), 16);
  EXPECT_EQ(largest("", 1), 1);
  EXPECT_EQ(largest("", 24), 24);
  EXPECT_EQ(largest("limits { max_tile_rows: 48 }", 0), 48);
  EXPECT_EQ(largest("limits { max_tile_rows: 48 }", 8), 8);
  EXPECT_EQ(largest("limits { max_tile_rows: 2 }", 8), 2);
}

TEST(EnergyModelTest, TileSizeForIsTheSmallestThatHolds) {
  const std::vector<int> sizes = {1, 4, 16};
  EXPECT_EQ(TileSizeFor(sizes, 1), 1);
  EXPECT_EQ(TileSizeFor(sizes, 2), 4);
  EXPECT_EQ(TileSizeFor(sizes, 4), 4);
  EXPECT_EQ(TileSizeFor(sizes, 16), 16);
  EXPECT_EQ(TileSizeFor(sizes, 1000), 16);
}

// E(x) = f(x) by one operator on [N, 2], summed over the coordinates.
std::string SumOf(const std::string& op) {
  return OnnxBuilder()
      .Input("x", {-1, 2})
      .Ints("axes", {1})
      .Node(op, {"x"}, "y")
      .Node("ReduceSum", {"y", "axes"}, "energy")
      .IntAttribute("keepdims", 0)
      .Output("energy", {-1})
      .Build();
}

struct BadModel {
  const char* name;
  std::string config;
  std::string onnx;
  absl::StatusCode code;
  const char* message;  // contained in the error
};

class BadModelTest : public ::testing::TestWithParam<BadModel> {};

TEST_P(BadModelTest, IsRefusedWithTheReason) {
  const BadModel& bad = GetParam();
  EXPECT_THAT(LoadBytes(bad.config, bad.onnx),
              StatusIs(bad.code, HasSubstr(bad.message)));
}

std::string TwoOutputs(const std::string& first, const std::string& second) {
  return OnnxBuilder()
      .Input("x", {-1, 2})
      .Ints("axes", {1})
      .Node("ReduceSum", {"x", "axes"}, first)
      .IntAttribute("keepdims", 1)
      .Node("Neg", {first}, second)
      .Output(first, {-1, 1})
      .Output(second, {-1, 1})
      .Build();
}

std::string FixedRows() {
  return OnnxBuilder()
      .Input("x", {1, 2})
      .Ints("axes", {1})
      .Node("ReduceSum", {"x", "axes"}, "energy")
      .IntAttribute("keepdims", 0)
      .Output("energy", {1})
      .Build();
}

std::string BatchSum() {
  return OnnxBuilder()
      .Input("x", {-1, 2})
      .Node("ReduceSum", {"x"}, "energy")
      .IntAttribute("keepdims", 0)
      .Output("energy", {})
      .Build();
}

// Zero everywhere, but the gradient of sqrt(0) is not finite.
std::string SqrtOfZero() {
  return OnnxBuilder()
      .Input("x", {-1, 2})
      .Ints("axes", {1})
      .Node("Sub", {"x", "x"}, "zero")
      .Node("Sqrt", {"zero"}, "root")
      .Node("ReduceSum", {"root", "axes"}, "energy")
      .IntAttribute("keepdims", 0)
      .Output("energy", {-1})
      .Build();
}

// E(x) = |x|^2 / N: no row sees another, but each sees how many there are.
std::string RowCountOnnx() {
  return OnnxBuilder()
      .Input("x", {-1, 2})
      .Ints("first", {0})
      .Ints("axes", {1})
      .Node("Shape", {"x"}, "shape")
      .Node("Gather", {"shape", "first"}, "rows")
      .Node("Cast", {"rows"}, "n")
      .IntAttribute("to", 1)
      .Node("Mul", {"x", "x"}, "squares")
      .Node("ReduceSum", {"squares", "axes"}, "sum")
      .IntAttribute("keepdims", 0)
      .Node("Div", {"sum", "n"}, "energy")
      .Output("energy", {-1})
      .Build();
}

std::vector<BadModel> BadModels() {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  return {
      {"ShapeDiffers", GraphConfig(3), QuadraticOnnx(2), kInvalid,
       "config.pbtxt: input.shape [3], but input 'x' of model.onnx has [N, 2]"},
      {"RankDiffers", "family: GRAPH input { shape: [1, 2] }", QuadraticOnnx(2),
       kInvalid, "input.shape [1, 2], but input 'x'"},
      {"NameDiffers", "family: GRAPH input { name: \"y\" shape: [2] }",
       QuadraticOnnx(2), kInvalid,
       "input.name is 'y', but the input of model.onnx is 'x'"},
      {"FixedRowCount", GraphConfig(2), FixedRows(), kInvalid,
       "fixed row count 1"},
      {"NotOnePerRow", GraphConfig(2), BatchSum(), kInvalid,
       "output 'energy': expected energies [N] or [N, 1] with N = 2, got []"},
      {"ClassifierAsGraph", GraphConfig(2), ClassifierOnnx(2, 3), kInvalid,
       "output 'logits': expected energies [N] or [N, 1]"},
      {"GraphAsClassifier", "family: CLASSIFIER input { shape: [2] }",
       QuadraticOnnx(2), kInvalid, "output 'energy': expected logits [N, K]"},
      {"NoOutputNamedEnergy", GraphConfig(2), TwoOutputs("a", "b"), kInvalid,
       "expected one output, or one named 'energy'; got 'a', 'b'"},
      {"ReadsItsRowCount", GraphConfig(2), RowCountOnnx(), kInvalid,
       "the energy depends on the number of rows"},
      {"MixesRows", GraphConfig(2), RowMixingOnnx(2), kInvalid,
       "the model mixes the rows of its batch"},
      {"EnergyIsNan", GraphConfig(2), SumOf("Log"), kInvalid,
       "the energy of a state from the initial law is nan"},
      {"GradientIsNan", GraphConfig(2), SqrtOfZero(), kInvalid,
       "of a state from the initial law is nan"},
      {"UnknownOperator", GraphConfig(2), SumOf("Frobnicate"),
       absl::StatusCode::kUnimplemented, "Frobnicate"},
      {"Empty", GraphConfig(2), "", kInvalid, ""},
      {"BadConfig", "family: GRAPH", QuadraticOnnx(2), kInvalid, "input"}};
}
INSTANTIATE_TEST_SUITE_P(All, BadModelTest, ::testing::ValuesIn(BadModels()),
                         [](const auto& info) { return info.param.name; });

TEST(EnergyModelTest, AnOutputNamedEnergyIsTaken) {
  ASSERT_OK_AND_ASSIGN(const Model model,
                       LoadBytes(GraphConfig(2), TwoOutputs("b", "energy")));
  const Evaluated found = EvaluateAll(*model, 1, {1, 2});
  EXPECT_THAT(found.energies, ElementsAre(-3));
  EXPECT_THAT(found.gradients, Each(-1));
}

// Kinks near the states are not held against a model.
TEST(EnergyModelTest, KinksAreAccepted) {
  EXPECT_OK(LoadBytes(GraphConfig(2), SumOf("Relu")));
  EXPECT_OK(LoadBytes(GraphConfig(2), SumOf("Abs")));
  EXPECT_OK(LoadBytes(GraphConfig(2, "initial { normal { stddev: 0.001 } }"),
                      SumOf("Abs")));
}

TEST(EnergyModelTest, MissingFilesAreNamed) {
  TempDir repository;
  EXPECT_THAT(LoadFrom(repository.path(), "m"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.pbtxt")));
  WriteModel(repository.path(), "m", 2, GraphConfig(2), QuadraticOnnx(2));
  EXPECT_THAT(LoadFrom(repository.path(), "m"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("1/model.onnx")));
}

TEST(EnergyModelTest, LimitsAreKept) {
  EnergyModel::LoadOptions options;
  options.max_file_bytes = 100;
  EXPECT_FALSE(LoadBytes(GraphConfig(2), QuadraticOnnx(2), options).ok());
  options = {};
  options.max_memory_bytes = 1 << 20;
  EXPECT_OK(LoadBytes(GraphConfig(2), QuadraticOnnx(2), options));
  const auto large =
      LoadBytes(GraphConfig(100'000), QuadraticOnnx(100'000), options);
  EXPECT_FALSE(large.ok());
}

// No prefix and no scrambled byte of a model file does anything but load or
// fail.
TEST(EnergyModelTest, DamagedFilesAreErrors) {
  const std::string onnx = ClassifierOnnx(2, 3);
  const std::string config =
      "family: CLASSIFIER input { shape: [2] } limits { max_tile_rows: 2 }";
  for (size_t size = 0; size < onnx.size(); size += 3) {
    EXPECT_FALSE(LoadBytes(config, onnx.substr(0, size)).ok()) << size;
  }
  std::minstd_rand random(7);
  for (int round = 0; round < 300; ++round) {
    std::string damaged = onnx;
    for (int i = 0; i <= round % 3; ++i) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    LoadBytes(config, damaged).status().IgnoreError();
  }
}

}  // namespace
}  // namespace basin::testing
