// ONNX's own node tests, and the golden models, in double precision.

#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <absl/algorithm/container.h>

#include "core/onnx/tensor_reader.h"
#include "tests/core/onnx/onnx_test_model.h"
#include "tests/testing/npy.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What Basin refuses on purpose: training and empty inputs.
bool IsRefused(const std::string& name) {
  for (const char* part :
       {"training", "allowzero_reordered", "empty_set", "zero_size"}) {
    if (name.find(part) != std::string::npos) return true;
  }
  return name == "test_triu_zero" || name == "test_tril_zero";
}

// The elements as float32, in which the graph computes.
Tensor AsFloats(const Tensor& tensor) {
  if (tensor.dtype() == DType::kFloat32) return tensor;
  Tensor floats(DType::kFloat32, tensor.shape());
  absl::c_copy(tensor.data<int64_t>(), floats.mutable_data<float>().begin());
  return floats;
}

void ExpectNear(const std::vector<double>& actual,
                absl::Span<const float> expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(actual[i])) << "element " << i;
      continue;
    }
    if (std::isinf(expected[i])) {
      EXPECT_EQ(actual[i], expected[i]);
      continue;
    }
    EXPECT_NEAR(actual[i], expected[i], 2e-5 + 2e-5 * std::abs(expected[i]))
        << "element " << i;
  }
}

std::vector<Tensor> ReadTensors(const onnx::AttributeProto& attribute) {
  std::vector<Tensor> tensors;
  for (const auto& proto : attribute.tensors()) {
    int64_t budget = 1 << 20;
    tensors.push_back(AsFloats(*internal::ReadTensor(proto, "", budget)));
  }
  return tensors;
}

// A file of cases, and how many it runs at least.
struct CaseFile {
  const char* name;
  int least;
};

class OnnxNodeCasesTest : public ::testing::TestWithParam<CaseFile> {};

TEST_P(OnnxNodeCasesTest, AgreesWithOnnx) {
  onnx::GraphProto cases;
  ASSERT_TRUE(cases.ParseFromString(ReadBytes(std::string(BASIN_SOURCE_DIR) +
                                              "/tests/core/onnx/" +
                                              GetParam().name + ".pb")));
  int run = 0;
  for (const auto& node : cases.node()) {
    SCOPED_TRACE(node.name());
    const auto inputs = ReadTensors(node.attribute(1));
    const auto outputs = RunOnnx(node.attribute(0).s(), inputs);
    if (IsRefused(node.name())) {
      EXPECT_THAT(outputs, ::testing::Not(IsOk()));
      continue;
    }
    EXPECT_OK(outputs);
    if (!outputs.ok()) continue;
    const std::vector<Tensor> expected = ReadTensors(node.attribute(2));
    ASSERT_EQ(outputs->size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(outputs->at(i).shape().ToString(),
                expected[i].shape().ToString());
      ExpectNear(Elements(outputs->at(i)), expected[i].data<float>());
    }
    ++run;
  }
  EXPECT_GE(run, GetParam().least);
}

INSTANTIATE_TEST_SUITE_P(Files, OnnxNodeCasesTest,
                         ::testing::Values(CaseFile{"node_cases", 550},
                                           CaseFile{"node_cases_nn", 1}),
                         [](const auto& info) {
                           return std::string(info.param.name);
                         });

struct Golden {
  const char* name;
  const char* model;     // below the source folder
  const char* expected;  // "energy", or "logits"
};

class OnnxGoldenTest : public ::testing::TestWithParam<Golden> {};

TEST_P(OnnxGoldenTest, AgreesWithPyTorch) {
  const Golden& golden = GetParam();
  const std::string folder = GoldenPath(golden.name);
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      OnnxModel::Load(std::string(BASIN_SOURCE_DIR) + "/" + golden.model));
  const Tensor x = ReadGoldenNpy(folder + "/x.npy");
  const Tensor expected =
      ReadGoldenNpy(folder + "/" + golden.expected + ".npy");
  ASSERT_OK_AND_ASSIGN(const OnnxGraph imported,
                       model->Import(x.shape().dim(0)));
  ASSERT_OK_AND_ASSIGN(const auto outputs,
                       EvaluateReference(imported.graph, {x}));
  ASSERT_EQ(outputs[0].shape().ToString(), expected.shape().ToString());
  double scale = 0;
  for (const double value : expected.data<double>()) {
    scale = std::max(scale, std::abs(value));
  }
  for (int64_t i = 0; i < expected.num_elements(); ++i) {
    const double truth = expected.data<double>()[i];
    EXPECT_NEAR(outputs[0].data<double>()[i], truth,
                1e-5 * std::max(std::abs(truth), 1e-2 * scale));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, OnnxGoldenTest,
    ::testing::Values(
        Golden{"activations", "tests/data/golden/activations/model.onnx",
               "energy"},
        Golden{"conv_variants", "tests/data/golden/conv_variants/model.onnx",
               "energy"},
        Golden{"elementwise", "tests/data/golden/elementwise/model.onnx",
               "energy"},
        Golden{"layer_norm_decomposed",
               "tests/data/golden/layer_norm_decomposed/model.onnx", "energy"},
        Golden{"layer_norm_fused",
               "tests/data/golden/layer_norm_fused/model.onnx", "energy"},
        Golden{"mlp_silu", "tests/data/golden/mlp_silu/model.onnx", "energy"},
        Golden{"pooling", "tests/data/golden/pooling/model.onnx", "energy"},
        Golden{"quadratic_form", "tests/data/golden/quadratic_form/model.onnx",
               "energy"},
        Golden{"reductions", "tests/data/golden/reductions/model.onnx",
               "energy"},
        Golden{"residual_batch_norm",
               "tests/data/golden/residual_batch_norm/model.onnx", "energy"},
        Golden{"small_classifier",
               "tests/data/golden/small_classifier/model.onnx", "logits"},
        Golden{"softmax_heads", "tests/data/golden/softmax_heads/model.onnx",
               "energy"},
        Golden{"tensor_ops", "tests/data/golden/tensor_ops/model.onnx",
               "energy"},
        Golden{"mixture2d", "deploy/models/mixture2d/1/model.onnx", "energy"},
        Golden{"mnist_classifier",
               "deploy/models/mnist_classifier/1/model.onnx", "logits"},
        Golden{"mnist_ebm", "deploy/models/mnist_ebm/1/model.onnx", "energy"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace basin::testing
