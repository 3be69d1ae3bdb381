// Inputs that are not the state, labels, and several states in one model.

#include <cmath>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/model/evaluate.h"
#include "tests/core/model/family_fixture.h"
#include "tests/testing/model_files.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// E(x | c) = |x - c|^2, with x and c [N, 2].
std::string DistanceOnnx() {
  return OnnxBuilder()
      .Input("x", {-1, 2})
      .Input("c", {-1, 2})
      .Ints("axes", {1})
      .Node("Sub", {"x", "c"}, "d")
      .Node("Mul", {"d", "d"}, "squares")
      .Node("ReduceSum", {"squares", "axes"}, "energy")
      .IntAttribute("keepdims", 0)
      .Output("energy", {-1})
      .Build();
}

constexpr char kConfig[] = "family: GRAPH input { name: \"x\" shape: [2] } ";

TEST(ContextTest, OtherInputsAreContext) {
  const ModelFolder folder;
  folder.Write("m", kConfig, "", DistanceOnnx());
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  const ModelInfo& info = model->info();
  ASSERT_EQ(info.context.size(), 1);
  EXPECT_EQ(info.context[0].name, "c");
  EXPECT_EQ(info.context[0].shape, Shape({2}));
  EXPECT_EQ(info.context[0].dtype, DType::kFloat32);
  EXPECT_FALSE(info.context[0].default_value.has_value());
  EXPECT_EQ(info.context_dimension, 2);
  for (const int tile : model->tile_sizes()) {
    const auto found =
        EvaluateAll(*model, tile, {1, 2, 1, 2, 0, 0}, {1, 2, 0, 0, 3, 4});
    EXPECT_THAT(found.energies, ElementsAre(0, 5, 25));
    EXPECT_THAT(found.gradients, ElementsAre(0, 0, 2, 4, -6, -8));
  }
}

TEST(ContextTest, DefaultsStandInUntilContextComes) {
  const ModelFolder folder;
  folder.Write("m",
               absl::StrCat(kConfig,
                            "context { name: \"c\" default_value: 2 "
                            "min_value: -5 max_value: 5 }"),
               "", DistanceOnnx());
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  EXPECT_EQ(model->info().context[0].default_value, 2);
  EXPECT_EQ(model->info().context[0].lower, -5);
  EXPECT_THAT(EvaluateAll(*model, 2, {2, 2, 3, 3}).energies, ElementsAre(0, 2));
  EXPECT_THAT(EvaluateAll(*model, 2, {2, 2, 3, 3}, {2, 2, 3, 2}).energies,
              ElementsAre(0, 1));
}

// The state is what no `context` names.
TEST(ContextTest, AContextMayLeaveOneInputForTheState) {
  const ModelFolder folder;
  folder.Write("m",
               "family: GRAPH input { shape: [2] } context { name: \"c\" }", "",
               DistanceOnnx());
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  EXPECT_EQ(model->info().input_name, "x");
}

// Weights of classes, by a whole number of the context.
std::string TokenOnnx() {
  return OnnxBuilder()
      .Input("x", {-1, 2})
      .IntInput("tokens", {-1, 3})
      .Floats("table", {4}, {1, 10, 100, 1000})
      .Ints("axes", {1})
      .Node("Gather", {"table", "tokens"}, "picked")
      .Node("ReduceSum", {"picked", "axes"}, "scale")
      .IntAttribute("keepdims", 1)
      .Node("Mul", {"x", "x"}, "squares")
      .Node("Mul", {"squares", "scale"}, "scaled")
      .Node("ReduceSum", {"scaled", "axes"}, "energy")
      .IntAttribute("keepdims", 0)
      .Output("energy", {-1})
      .Build();
}

TEST(ContextTest, TokensAreWholeNumbersInTheirRange) {
  const ModelFolder folder;
  folder.Write("m",
               absl::StrCat(kConfig,
                            "context { name: \"tokens\" min_value: 0 "
                            "max_value: 3 }"),
               "", TokenOnnx());
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  EXPECT_EQ(model->info().context[0].dtype, DType::kInt64);
  EXPECT_EQ(model->info().context[0].upper, 3);
  EXPECT_THAT(EvaluateAll(*model, 2, {1, 0, 0, 2}, {0, 1, 2, 3, 3, 0}).energies,
              ElementsAre(111, 4 * 2001));
}

// E = |x - mean of c over the batch|^2.
std::string MixingOnnx() {
  return OnnxBuilder()
      .Input("x", {-1, 2})
      .Input("c", {-1, 2})
      .Ints("axes", {1})
      .Node("ReduceMean", {"c"}, "mean")
      .IntsAttribute("axes", {0})
      .IntAttribute("keepdims", 1)
      .Node("Sub", {"x", "mean"}, "d")
      .Node("Mul", {"d", "d"}, "squares")
      .Node("ReduceSum", {"squares", "axes"}, "energy")
      .IntAttribute("keepdims", 0)
      .Output("energy", {-1})
      .Build();
}

TEST(ContextTest, BadContextsAreRefusedWithTheReason) {
  const ModelFolder folder;
  const auto error = [&](const std::string& more, const std::string& onnx) {
    folder.Write("m", absl::StrCat(kConfig, more), "", onnx);
    return folder.Load("m").status();
  };
  EXPECT_THAT(error("", MixingOnnx()),
              StatusIs(kInvalid, HasSubstr("mixes the rows of its batch")));
  EXPECT_THAT(
      error("context { name: \"d\" }", DistanceOnnx()),
      StatusIs(kInvalid, HasSubstr("context.name is 'd', but the "
                                   "inputs of model.onnx are 'x', 'c'")));
  EXPECT_THAT(error("context { name: \"x\" }", DistanceOnnx()),
              StatusIs(kInvalid, HasSubstr("'x' is both an input and a")));
  EXPECT_THAT(error("context { name: \"c\" shape: [3] }", DistanceOnnx()),
              StatusIs(kInvalid, HasSubstr("context.shape [3], but input 'c' "
                                           "of model.onnx has [N, 2]")));
  EXPECT_THAT(error("context { name: \"c\" min_value: 1 max_value: 0 }",
                    DistanceOnnx()),
              StatusIs(kInvalid, HasSubstr("min_value <= default_value")));
  folder.Write("m", "family: GRAPH input { shape: [2] }", "", DistanceOnnx());
  EXPECT_THAT(
      folder.Load("m"),
      StatusIs(kInvalid, HasSubstr("input.name: expected the name of "
                                   "the state, since model.onnx has 2 "
                                   "inputs that could be it: 'x', 'c'")));
}

// E(a, b) = |a|^2 + sum(b), with a [N, 2] and b [N, 1, 3].
TEST(StatesTest, SeveralInputsAreOneState) {
  const ModelFolder folder;
  const std::string onnx = OnnxBuilder()
                               .Input("b", {-1, 1, 3})
                               .Input("a", {-1, 2})
                               .Ints("one", {1})
                               .Ints("both", {1, 2})
                               .Node("Mul", {"a", "a"}, "squares")
                               .Node("ReduceSum", {"squares", "one"}, "of_a")
                               .IntAttribute("keepdims", 0)
                               .Node("ReduceSum", {"b", "both"}, "of_b")
                               .IntAttribute("keepdims", 0)
                               .Node("Add", {"of_a", "of_b"}, "energy")
                               .Output("energy", {-1})
                               .Build();
  folder.Write("m",
               "family: GRAPH input { name: \"a\" shape: [2] } "
               "input { name: \"b\" shape: [1, 3] }",
               "", onnx);
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  const ModelInfo& info = model->info();
  ASSERT_EQ(info.states.size(), 2);
  EXPECT_EQ(info.states[1].name, "b");
  EXPECT_EQ(info.states[1].offset, 2);
  EXPECT_EQ(info.state_shape, Shape({5}));
  EXPECT_EQ(info.dimension, 5);
  EXPECT_TRUE(info.context.empty());
  const auto found = EvaluateAll(*model, 2, {1, 2, 3, 4, 5, 0, 1, 0, 0, 2});
  EXPECT_THAT(found.energies, ElementsAre(17, 3));
  EXPECT_THAT(found.gradients, ElementsAre(2, 4, 1, 1, 1, 0, 2, 1, 1, 1));
}

// E(x, token) = sum x^2 + table[token], of 5 rows.
std::string TableOnnx() {
  return OnnxBuilder()
      .Input("x", {-1, 2})
      .IntInput("token", {-1, 1})
      .Floats("table", {5}, {10, 20, 30, 40, 50})
      .Ints("axes", {1})
      .Node("Gather", {"table", "token"}, "bias")
      .Node("Mul", {"x", "x"}, "squares")
      .Node("ReduceSum", {"squares", "axes"}, "energy_of_x")
      .Node("Add", {"energy_of_x", "bias"}, "energy")
      .Output("energy", {-1, 1})
      .Build();
}

TEST(ContextTest, IndicesHaveTheRangeOfTheirTable) {
  const ModelFolder folder;
  folder.Write("m", "family: GRAPH input { name: \"x\" shape: [2] }", "",
               TableOnnx());
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  ASSERT_EQ(model->info().context.size(), 1);
  EXPECT_EQ(model->info().context[0].lower, -5);
  EXPECT_EQ(model->info().context[0].upper, 4);
  // Energies, beyond the range too: nothing is silently another row.
  const auto found =
      EvaluateAll(*model, 4, {0, 0, 0, 0, 0, 0, 0, 0}, {-5, 4, 5, -6});
  EXPECT_THAT(absl::MakeConstSpan(found.energies).subspan(0, 2),
              ElementsAre(10, 50));
  EXPECT_TRUE(std::isnan(found.energies[2]) && std::isnan(found.energies[3]));
  folder.Write("m",
               "family: GRAPH input { name: \"x\" shape: [2] } "
               "context { name: \"token\" min_value: 0 max_value: 9 }",
               "", TableOnnx());
  ASSERT_OK_AND_ASSIGN(const auto narrower, folder.Load("m"));
  EXPECT_EQ(narrower->info().context[0].lower, 0);
  EXPECT_EQ(narrower->info().context[0].upper, 4);
}

constexpr char kClassifier[] = "family: CLASSIFIER input { shape: [4] }";

TEST(LabelTest, PicksTheEnergyOfAClass) {
  const ModelFolder folder;
  folder.Write("m", kClassifier, "", ClassifierOnnx(4, 3));
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  const ModelInfo& info = model->info();
  EXPECT_EQ(info.classes, 3);
  ASSERT_EQ(info.context.size(), 1);
  EXPECT_EQ(info.context[0].name, "label");
  EXPECT_EQ(info.context[0].default_value, -1);
  EXPECT_EQ(info.context[0].upper, 2);
  const std::vector<float> x = RandomFloats(4, 1);
  // One tile mixes labels: -1, 0, 1, 2.
  std::vector<float> states;
  for (int row = 0; row < 4; ++row)
    states.insert(states.end(), x.begin(), x.end());
  const auto found = EvaluateAll(*model, 4, states, {-1, 0, 1, 2});
  double sum = 0;
  for (int k = 0; k < 3; ++k) {
    double logit = 0;
    for (int i = 0; i < 4; ++i) {
      logit += x[i] * std::sin(static_cast<float>(1 + 3 * i + k));
    }
    sum += std::exp(logit);
    EXPECT_NEAR(found.class_energies[k], -logit, 1e-6);
    // The very same bits.
    EXPECT_EQ(found.energies[1 + k], found.class_energies[k]);
    EXPECT_EQ(found.gradient_energies[1 + k], found.class_energies[k]);
    for (int i = 0; i < 4; ++i) {
      EXPECT_NEAR(found.gradients[4 * (1 + k) + i],
                  -std::sin(static_cast<float>(1 + 3 * i + k)), 1e-6);
    }
  }
  EXPECT_NEAR(found.energies[0], -std::log(sum), 1e-6);
  EXPECT_EQ(EvaluateAll(*model, 1, x).energies[0], found.energies[0]);
}

TEST(LabelTest, OnlyClassifiersHaveClasses) {
  const ModelFolder folder;
  folder.Write("m", "family: GRAPH input { shape: [2] }", "", QuadraticOnnx(2));
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  EXPECT_EQ(model->info().classes, 0);
  Workspace workspace;
  ASSERT_OK(FamilyBackend().Reserve(workspace, model->workspace_bytes()));
  EXPECT_THAT(model->Bind(1, workspace)->ClassEnergies(1, nullptr, nullptr),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("classes")));
}

}  // namespace
}  // namespace basin::testing
