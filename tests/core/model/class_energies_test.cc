// Class energies of compositions: what scoring with each label gives.

#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/model/evaluate.h"
#include "tests/core/model/family_fixture.h"
#include "tests/testing/model_files.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

// Classifiers c and d of three classes, e of five, a graph g that takes a
// label, a plain energy q; precision: GetParam().
class ClassEnergyTest : public ::testing::TestWithParam<std::string> {
 protected:
  ClassEnergyTest() {
    const std::string config = absl::StrCat(
        "family: CLASSIFIER input { shape: [4] } precision: ", GetParam());
    folder_.Write("c", config, "", ClassifierOnnx(4, 3));
    folder_.Write("d", config, "", ScaledClassifier());
    folder_.Write("e", config, "", ClassifierOnnx(4, 5));
    folder_.Write("q", GraphConfig(4), "", QuadraticOnnx(4));
    folder_.Write("g", "family: GRAPH input { name: \"x\" shape: [4] }", "",
                  LabelledOnnx());
  }

  // Logits 0.5 tanh(x) W, W [4, 3].
  static std::string ScaledClassifier() {
    return OnnxBuilder()
        .Input("x", {-1, 4})
        .Floats("w", {4, 3},
                {0.5F, -1, 2, 0.25F, 1, -2, 1, 1, -0.5F, 0.75F, 2, 1})
        .Node("Tanh", {"x"}, "t")
        .Node("MatMul", {"t", "w"}, "logits")
        .Output("logits", {-1, 3})
        .Build();
  }

  // E = label * sum of x.
  static std::string LabelledOnnx() {
    return OnnxBuilder()
        .Input("x", {-1, 4})
        .IntInput("label", {-1})
        .Ints("axes", {1})
        .Node("ReduceSum", {"x", "axes"}, "sum")
        .IntAttribute("keepdims", 0)
        .Node("Cast", {"label"}, "scale")
        .IntAttribute("to", 1)
        .Node("Mul", {"sum", "scale"}, "energy")
        .Output("energy", {-1})
        .Build();
  }

  absl::StatusOr<std::shared_ptr<const EnergyModel>> Compose(
      const std::string& name, const std::string& composition) {
    folder_.Write(name,
                  absl::StrCat("family: COMPOSITION precision: ", GetParam(),
                               " composition { ", composition, " }"));
    return folder_.Load(name);
  }

  // Expects class energies [N, 3], and each to be what scoring with that label
  // gives.
  void ExpectThoseOfLabels(const std::string& name,
                           const std::string& composition) {
    auto loaded = Compose(name, composition);
    if (absl::IsUnimplemented(loaded.status())) GTEST_SKIP() << "no AMX";
    ASSERT_OK_AND_ASSIGN(const auto model, std::move(loaded));
    ASSERT_EQ(model->info().classes, 3);
    const std::vector<float> x = RandomFloats(4 * 7, 5);
    const auto found = EvaluateAll(*model, 16, x).class_energies;
    ASSERT_EQ(found.size(), 21);
    for (size_t y = 0; y < 3; ++y) {
      const auto of_label =
          EvaluateAll(*model, 16, x,
                      std::vector<float>(7, static_cast<float>(y)))
              .energies;
      for (size_t row = 0; row < 7; ++row) {
        EXPECT_EQ(found[3 * row + y], of_label[row]) << row << " " << y;
      }
      EXPECT_NE(found[y], found[(y + 1) % 3]);
    }
  }

  ModelFolder folder_;
};

TEST_P(ClassEnergyTest, AreWhatScoringWithEachLabelGives) {
  ExpectThoseOfLabels("sum",
                      "term { model: \"q\" weight: 0.3 } "
                      "term { model: \"c\" } "
                      "term { model: \"d\" weight: -2 } temperature: 1.5");
  ExpectThoseOfLabels("mixture",
                      "kind: MIXTURE term { model: \"q\" weight: 0.3 } "
                      "term { model: \"c\" weight: 2 } temperature: 0.5");
  ExpectThoseOfLabels("difference",
                      "kind: DIFFERENCE term { model: \"c\" } "
                      "term { model: \"q\" weight: 0.7 }");
  ExpectThoseOfLabels("twice", "term { model: \"c\" } term { model: \"c\" }");
}

TEST_P(ClassEnergyTest, OfNestedCompositions) {
  Compose("inner",
          "kind: MIXTURE term { model: \"c\" } term { model: \"d\" weight: "
          "0.5 } temperature: 2")
      .IgnoreError();
  // Without classes, and in double: beside those of classes.
  Compose("plain", "term { model: \"q\" weight: 0.1 }").IgnoreError();
  ExpectThoseOfLabels("outer",
                      "kind: DIFFERENCE term { model: \"inner\" } "
                      "term { model: \"plain\" weight: 3 } temperature: 0.7");
}

TEST_P(ClassEnergyTest, ThereAreNoneWhereTheyDoNotFollow) {
  const auto classes = [&](const std::string& name,
                           const std::string& composition) {
    const auto model = Compose(name, composition);
    if (absl::IsUnimplemented(model.status())) return int64_t{0};  // no AMX
    EXPECT_OK(model.status());
    return model.ok() ? (*model)->info().classes : -1;
  };
  EXPECT_EQ(classes("none", "term { model: \"q\" }"), 0);
  EXPECT_EQ(classes("differ", "term { model: \"c\" } term { model: \"e\" }"),
            0);
  EXPECT_EQ(classes("with", "term { model: \"c\" } term { model: \"g\" }"), 0);
  EXPECT_EQ(classes("before", "term { model: \"g\" } term { model: \"c\" }"),
            0);
  EXPECT_EQ(
      classes("nested", "term { model: \"c\" } term { model: \"differ\" }"), 0);
}

// Of terms that are exact in double only: float32 would lose the classifier.
TEST_P(ClassEnergyTest, AreSummedInDouble) {
  auto loaded = Compose("sum",
                        "term { model: \"q\" weight: 1e9 } "
                        "term { model: \"c\" }");
  if (absl::IsUnimplemented(loaded.status())) GTEST_SKIP() << "no AMX";
  ASSERT_OK_AND_ASSIGN(const auto model, std::move(loaded));
  ASSERT_OK_AND_ASSIGN(const auto c, folder_.Load("c"));
  const std::vector<float> x = {1, 1, 0, 0, 2, 0, 0, 0};
  const auto found = EvaluateAll(*model, 16, x).class_energies;
  const auto own = EvaluateAll(*c, 16, x).class_energies;
  ASSERT_EQ(found.size(), 6);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(found[i], (i < 3 ? 1e9 : 2e9) + own[i], 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, ClassEnergyTest,
                         ::testing::Values("FLOAT32", "BF16", "FLOAT64"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace basin::testing
