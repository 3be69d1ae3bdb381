// What people train, against PyTorch, JAX and Keras: every file that
// deploy/training/export_*.py wrote is loaded as a server loads it, and its
// energies and gradients are compared. Prints one line a file, which run.sh
// makes a table of.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/status_macros.h"
#include "core/onnx/onnx_model.h"
#include "tests/core/model/evaluate.h"
#include "tests/testing/model_files.h"
#include "tests/testing/npy.h"
#include "tests/testing/sanitizers.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

namespace fs = std::filesystem;

// The largest error that is accepted, relative to the largest magnitude of
// all energies, or of a row's gradient.
constexpr double kTolerance = 1e-4;

// Files are named so.
constexpr const char* kExporters[] = {"torchscript", "dynamo", "jax",
                                      "keras_tensorflow", "keras_jax"};

struct Exported {
  std::string name;
  std::string exporter;  // one of kExporters

  std::string File(const std::string& file) const {
    return GoldenPath("architectures/" + name + "/" + file);
  }
  Tensor Golden(const std::string& value) const {
    return ReadGoldenNpy(File(value + ".npy"));
  }
  std::string onnx() const { return File(exporter + ".onnx"); }
};

// In the names of failed tests.
void PrintTo(const Exported& exported, std::ostream* out) {
  *out << exported.name << "/" << exported.exporter;
}

struct Errors {
  double energy = 0;
  double gradient = 0;
};

// The largest |found - expected| / max |expected| over parts of `width`
// elements. Infinite if any element is not finite.
template <typename T>
double RelativeError(const std::vector<T>& found, const Tensor& expected,
                     size_t width) {
  const auto want = expected.data<float>();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (found.size() != want.size()) return kInfinite;
  double worst = 0;
  for (size_t begin = 0; begin < want.size(); begin += width) {
    double largest = 0;
    double difference = 0;
    for (size_t i = begin; i < begin + width; ++i) {
      if (!std::isfinite(found[i])) return kInfinite;
      largest = std::max<double>(largest, std::abs(want[i]));
      difference = std::max<double>(difference, std::abs(found[i] - want[i]));
    }
    worst = std::max(worst, difference / largest);
  }
  return worst;
}

Errors Compare(const Evaluated& found, const Exported& exported) {
  const Tensor energy = exported.Golden("energy");
  const Tensor grad = exported.Golden("grad");
  const auto rows = static_cast<size_t>(energy.num_elements());
  const auto width = static_cast<size_t>(grad.num_elements()) / rows;
  return {
      .energy = std::max(RelativeError(found.energies, energy, rows),
                         RelativeError(found.gradient_energies, energy, rows)),
      .gradient = RelativeError(found.gradients, grad, width)};
}

// Integers become the floats that a graph has for them.
std::vector<float> Floats(const Tensor& tensor) {
  if (tensor.dtype() == DType::kFloat32) {
    const auto floats = tensor.data<float>();
    return {floats.begin(), floats.end()};
  }
  const auto integers = tensor.data<int64_t>();
  return {integers.begin(), integers.end()};
}

// The context [rows, C]: the inputs of a row one after the other. Empty, so
// that defaults hold, for inputs that are not the file's: classifiers' labels.
std::vector<float> ContextRows(const Exported& exported,
                               const ModelInfo& info) {
  const int64_t rows = exported.Golden("x").shape().dim(0);
  std::vector<float> all;
  for (int64_t row = 0; row < rows; ++row) {
    for (const ContextInput& input : info.context) {
      if (!fs::exists(exported.File(input.name + ".npy"))) return {};
      const std::vector<float> values = Floats(exported.Golden(input.name));
      const auto width = static_cast<int64_t>(values.size()) / rows;
      all.insert(all.end(), values.begin() + row * width,
                 values.begin() + (row + 1) * width);
    }
  }
  return all;
}

// Through the checks that a model passes before it serves.
absl::StatusOr<Errors> Measure(const Exported& exported,
                               const Backend& backend) {
  TempDir repository;
  WriteModel(repository.path(), "m", 1, ReadFile(exported.File("config.pbtxt")),
             ReadFile(exported.onnx()));
  BASIN_ASSIGN_OR_RETURN(
      const auto model,
      EnergyModel::Load(backend, repository.File("m"), "m", 1, {}));
  const Tensor x = exported.Golden("x");
  const std::vector<float> context = ContextRows(exported, model->info());
  Errors worst;
  for (const int tile : model->tile_sizes()) {
    const Errors errors =
        Compare(EvaluateAll(*model, tile, x.data<float>(), context), exported);
    worst.energy = std::max(worst.energy, errors.energy);
    worst.gradient = std::max(worst.gradient, errors.gradient);
  }
  return worst;
}

class ArchitectureTest : public ::testing::TestWithParam<Exported> {};

TEST_P(ArchitectureTest, AgreesWithItsFramework) {
  static const Backend& backend = *CreateCpuBackend().release();
  const Exported& exported = GetParam();
  // Full widths take minutes there, and run no code that narrow ones do not.
  if (kSanitizedMemory && fs::file_size(exported.onnx()) > (1 << 20)) {
    GTEST_SKIP() << "too slow under a sanitizer";
  }
  const auto onnx = OnnxModel::Load(exported.onnx());
  ASSERT_OK(onnx);
  const auto errors = Measure(exported, backend);
  ASSERT_OK(errors);
  absl::PrintF("| %s | %s | %d | %.1e | %.1e |\n", exported.name,
               exported.exporter, (*onnx)->metadata().opset, errors->energy,
               errors->gradient);
  std::fflush(stdout);
  EXPECT_LE(errors->energy, kTolerance);
  EXPECT_LE(errors->gradient, kTolerance);
}

std::vector<Exported> AllExported() {
  std::vector<Exported> all;
  for (const auto& folder :
       fs::directory_iterator(GoldenPath("architectures"))) {
    for (const char* exporter : kExporters) {
      if (!folder.is_directory()) continue;
      Exported exported{folder.path().filename(), exporter};
      if (fs::exists(exported.onnx())) all.push_back(std::move(exported));
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::pair(a.name, b.exporter) < std::pair(b.name, a.exporter);
  });
  return all;
}

// Golden files of every exporter are there.
TEST(ArchitecturesTest, OfEveryExporter) {
  for (const char* exporter : kExporters) {
    const auto all = AllExported();
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const auto& exported) {
      return exported.exporter == exporter;
    })) << exporter;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ArchitectureTest,
                         ::testing::ValuesIn(AllExported()),
                         [](const auto& info) {
                           return info.param.name + "_" + info.param.exporter;
                         });

}  // namespace
}  // namespace basin::testing
