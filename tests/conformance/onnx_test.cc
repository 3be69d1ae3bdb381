// ONNX's own tests, from Debian's libonnx-testdata, on the CPU. Prints one
// line a test: passed, failed or not in scope with the reason; run.sh sums
// them up.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/status_macros.h"
#include "core/onnx/onnx_model.h"
#include "core/onnx/tensor_reader.h"
#include "tests/conformance/onnx_scope.h"
#include "tests/core/backend/plan_runner.h"
#include "tests/testing/model_files.h"

namespace basin::testing {
namespace {

namespace fs = std::filesystem;

constexpr char kData[] = "/usr/share/libonnx-testdata/data";
// The tolerance of ONNX's own runner of these tests.
constexpr double kRelative = 1e-3;
constexpr double kAbsolute = 1e-7;

// Tensors from graph.input() or graph.output() and the test's files.
struct Case {
  onnx::ModelProto model;
  std::vector<onnx::TensorProto> inputs;
  std::vector<onnx::TensorProto> outputs;
};

std::vector<onnx::TensorProto> ReadTensors(const fs::path& folder,
                                           const std::string& prefix) {
  std::vector<onnx::TensorProto> tensors;
  for (int i = 0;; ++i) {
    const fs::path path = folder / absl::StrCat(prefix, i, ".pb");
    if (!fs::exists(path)) return tensors;
    tensors.emplace_back().ParseFromString(ReadFile(path));
  }
}

// NumPy has no bfloat16: the files say that it is uint16.
void MendTypes(
    const google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& infos,
    std::vector<onnx::TensorProto>& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const int32_t type =
        infos[static_cast<int>(i)].type().tensor_type().elem_type();
    if (type == onnx::TensorProto::BFLOAT16) tensors[i].set_data_type(type);
  }
}

Case ReadCase(const fs::path& folder) {
  Case result;
  result.model.ParseFromString(ReadFile(folder / "model.onnx"));
  const fs::path set = folder / "test_data_set_0";
  result.inputs = ReadTensors(set, "input_");
  result.outputs = ReadTensors(set, "output_");
  MendTypes(result.model.graph().input(), result.inputs);
  MendTypes(result.model.graph().output(), result.outputs);
  return result;
}

// As the float32 of a graph.
absl::StatusOr<Tensor> AsFloats(const onnx::TensorProto& proto) {
  int64_t budget = int64_t{1} << 30;
  BASIN_ASSIGN_OR_RETURN(const Tensor tensor,
                         internal::ReadTensor(proto, "", budget));
  if (tensor.dtype() == DType::kFloat32) return tensor;
  Tensor floats(DType::kFloat32, tensor.shape());
  const auto integers = tensor.data<int64_t>();
  std::copy(integers.begin(), integers.end(),
            floats.mutable_data<float>().begin());
  return floats;
}

// Which inputs are given at run time; the others become constants of the
// model, as exporters write axes, shapes and indices.
enum class RunTime { kAll, kFloatsAndBools, kFloats, kFirst };

bool IsRunTime(size_t index, int32_t type, RunTime which) {
  if (which == RunTime::kFirst) return index == 0;
  switch (type) {
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16:
    case onnx::TensorProto::DOUBLE:
      return true;
    case onnx::TensorProto::BOOL:
      return which != RunTime::kFloats;
    default:
      return which == RunTime::kAll;
  }
}

absl::StatusOr<std::vector<Tensor>> Run(const Case& test, RunTime which) {
  onnx::ModelProto model = test.model;
  model.mutable_graph()->clear_input();
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < test.inputs.size(); ++i) {
    const auto& info = test.model.graph().input(static_cast<int>(i));
    onnx::TensorProto tensor = test.inputs[i];
    if (IsRunTime(i, tensor.data_type(), which)) {
      *model.mutable_graph()->add_input() = info;
      BASIN_ASSIGN_OR_RETURN(inputs.emplace_back(), AsFloats(tensor));
    } else {
      tensor.set_name(info.name());
      *model.mutable_graph()->add_initializer() = std::move(tensor);
    }
  }
  BASIN_ASSIGN_OR_RETURN(const auto onnx,
                         OnnxModel::Parse(model.SerializeAsString()));
  const bool has_rows = !inputs.empty() && inputs[0].shape().rank() > 0;
  BASIN_ASSIGN_OR_RETURN(const OnnxGraph imported,
                         onnx->Import(has_rows ? inputs[0].shape().dim(0) : 1));
  return RunOnCpu(imported.graph, inputs);
}

// Empty, or how `found` differs.
std::string Difference(const Tensor& found, const Tensor& expected) {
  if (found.shape() != expected.shape()) {
    return absl::StrCat("the shape is ", found.shape().ToString(),
                        ", expected ", expected.shape().ToString());
  }
  const auto got = found.data<float>();
  const auto want = expected.data<float>();
  for (size_t i = 0; i < want.size(); ++i) {
    const bool same =
        got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i])) ||
        std::abs(got[i] - want[i]) <= kAbsolute + kRelative * std::abs(want[i]);
    if (!same) {
      return absl::StrFormat("element %d is %g, expected %g", i, got[i],
                             want[i]);
    }
  }
  return "";
}

// Empty if the test passes, or what is wrong. A wrong value is a failure
// however the inputs are given; that integers must be constants is not.
std::string Judge(const Case& test) {
  std::string refused;
  bool ran = false;
  for (const RunTime which : {RunTime::kAll, RunTime::kFloatsAndBools,
                              RunTime::kFloats, RunTime::kFirst}) {
    const auto found = Run(test, which);
    if (!found.ok()) {
      refused = found.status().ToString();
      continue;
    }
    ran = true;
    for (size_t o = 0; o < test.outputs.size(); ++o) {
      const auto expected = AsFloats(test.outputs[o]);
      if (!expected.ok()) return expected.status().ToString();
      const std::string difference = Difference((*found)[o], *expected);
      if (!difference.empty()) {
        return absl::StrCat("output ", o, ": ", difference);
      }
    }
  }
  return ran ? "" : refused;
}

std::vector<fs::path> Folders(const std::string& kind) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(fs::path(kData) / kind)) {
    if (fs::exists(entry.path() / "model.onnx")) folders.push_back(entry);
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// A folder of kData, and how many of its tests must pass at least.
struct Suite {
  std::string name;
  int least = 0;
};

class OnnxConformanceTest : public ::testing::TestWithParam<Suite> {};

TEST_P(OnnxConformanceTest, AgreesWithOnnx) {
  ASSERT_TRUE(fs::exists(kData)) << "install Debian's libonnx-testdata";
  const auto& [suite, least] = GetParam();
  int passed = 0;
  for (const fs::path& folder : Folders(suite)) {
    const std::string name = folder.filename();
    const Case test = ReadCase(folder);
    std::string reason = WhyNotInScope(name, test.model);
    if (!reason.empty()) {
      absl::PrintF("not in scope: %s/%s: %s\n", suite, name, reason);
      continue;
    }
    const std::string problem = Judge(test);
    if (problem.empty()) {
      absl::PrintF("passed: %s/%s\n", suite, name);
      ++passed;
    } else {
      absl::PrintF("failed: %s/%s: %s\n", suite, name, problem);
      ADD_FAILURE() << name << ": " << problem;
    }
  }
  EXPECT_GE(passed, least);
}

INSTANTIATE_TEST_SUITE_P(
    All, OnnxConformanceTest,
    ::testing::Values(Suite{"node", 500}, Suite{"pytorch-converted"},
                      Suite{"pytorch-operator"}, Suite{"simple"}),
    [](const auto& info) {
      return absl::StrReplaceAll(info.param.name, {{"-", "_"}});
    });

}  // namespace
}  // namespace basin::testing
