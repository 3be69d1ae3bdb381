// Energies made of others: against formulas, and the cache of compositions.

#include <cmath>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/graph/passes.h"
#include "core/model/composition_family.h"
#include "core/model/repository.h"
#include "tests/core/model/evaluate.h"
#include "tests/core/model/family_fixture.h"
#include "tests/testing/model_files.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;
using Kind = Composition::Kind;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kNotFound = absl::StatusCode::kNotFound;

// N(mean, covariance) in the plane.
std::string Gaussian(const std::string& mean, const std::string& covariance) {
  return absl::StrCat("family: MIXTURE mixture { component { weight: 1 mean: [",
                      mean, "] covariance: [", covariance, "] } }");
}

class CompositionTest : public ::testing::Test {
 protected:
  CompositionTest() {
    folder_.Write("a", Gaussian("1, 0", "2, 0.5, 0.5, 1"));
    folder_.Write("b", Gaussian("-1, 2", "1, -0.25, -0.25, 0.5"));
    Create({});
  }

  void Create(const CompositionLimits& limits) {
    ModelRepository::Options options;
    options.folder = folder_.path();
    options.load.max_tile_rows = 16;
    options.compositions = limits;
    auto repository = ModelRepository::Create(FamilyBackend(), options);
    BASIN_CHECK(repository.ok());
    repository_ = *std::move(repository);
    repository_->LoadAll();
  }

  std::vector<double> Energies(const EnergyModel& model) const {
    return EvaluateAll(model, 16, states_).energies;
  }
  std::vector<double> EnergiesOf(const std::string& name) {
    const auto model = repository_->Find(name, 0);
    BASIN_CHECK(model.ok());
    return Energies(**model);
  }

  // Expects `composition` to be `formula` of the energies of a and b.
  void ExpectFormula(const Composition& composition,
                     double (*formula)(double a, double b)) {
    ASSERT_OK_AND_ASSIGN(const auto model, repository_->Compose(composition));
    const auto found = Energies(*model);
    const auto a = EnergiesOf("a");
    const auto b = EnergiesOf("b");
    for (size_t row = 0; row < found.size(); ++row) {
      EXPECT_NEAR(found[row], formula(a[row], b[row]),
                  1e-5 * (1 + std::abs(found[row])));
    }
  }

  ModelFolder folder_;
  const std::vector<float> states_ = RandomFloats(2 * 33, 1);
  std::unique_ptr<ModelRepository> repository_;
};

TEST_F(CompositionTest, ProductsAreWeightedSums) {
  ExpectFormula({Kind::kProduct, {{"a", 0, 1}, {"b", 0, 0.5}}, 1},
                [](double a, double b) { return a + 0.5 * b; });
  ExpectFormula({Kind::kProduct, {{"a", 0, -2}, {"b", 1, 3}}, 4},
                [](double a, double b) { return (-2 * a + 3 * b) / 4; });
}

TEST_F(CompositionTest, MixturesAddDensities) {
  ExpectFormula({Kind::kMixture, {{"a", 0, 0.25}, {"b", 0, 2}}, 1},
                [](double a, double b) {
                  return -std::log(0.25 * std::exp(-a) + 2 * std::exp(-b));
                });
}

TEST_F(CompositionTest, DifferencesSubtract) {
  ExpectFormula({Kind::kDifference, {{"a", 0, 1}, {"b", 0, 0.75}}, 2},
                [](double a, double b) { return (a - 0.75 * b) / 2; });
}

// Energies of 1e7, each an exact sum of float32s: what float32 would round to
// its neighbours, 1 apart, is exact in every precision.
class LargeEnergyTest : public ::testing::TestWithParam<std::string> {
 protected:
  LargeEnergyTest() {
    // E = sum x^2 and sum (1.5 x)^2.
    Write("a", 1);
    Write("b", 1.5F);
  }

  void Write(const std::string& name, float factor) {
    const std::string onnx = OnnxBuilder()
                                 .Input("x", {-1, 2})
                                 .Floats("factor", {}, {factor})
                                 .Ints("axes", {1})
                                 .Node("Mul", {"x", "factor"}, "y")
                                 .Node("Mul", {"y", "y"}, "squares")
                                 .Node("ReduceSum", {"squares", "axes"}, "e")
                                 .IntAttribute("keepdims", 0)
                                 .Output("e", {-1})
                                 .Build();
    folder_.Write(name,
                  absl::StrCat("family: GRAPH input { shape: [2] } precision: ",
                               GetParam()),
                  "", onnx);
  }

  // Of states (3000, 1), (3000, 2): a = 9e6 + 1, 9e6 + 4; b = 2.25 a.
  void Expect(const std::string& composition, std::vector<double> energies,
              std::vector<double> gradients) {
    folder_.Write("c",
                  absl::StrCat("family: COMPOSITION precision: ", GetParam(),
                               " composition { ", composition, " }"));
    ASSERT_OK_AND_ASSIGN(const auto model, folder_.Load("c"));
    const auto found = EvaluateAll(*model, 16, {3000, 1, 3000, 2});
    for (size_t row = 0; row < 2; ++row) {
      EXPECT_NEAR(found.energies[row], energies[row],
                  1e-15 * std::abs(9e6) + 1e-15 * std::abs(energies[row]));
      EXPECT_EQ(found.gradient_energies[row], found.energies[row]);
    }
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(found.gradients[i], gradients[i],
                  1e-6 * (1 + std::abs(gradients[i])));
    }
  }

  ModelFolder folder_;
};

constexpr double kA0 = 9e6 + 1;
constexpr double kA1 = 9e6 + 4;

TEST_P(LargeEnergyTest, ProductsAndTemperatures) {
  const double factor = (0.1 + 0.7 * 2.25) / 3;
  Expect(
      "term { model: \"a\" weight: 0.1 } term { model: \"b\" weight: 0.7 } "
      "temperature: 3",
      {factor * kA0, factor * kA1},
      {6000 * factor, 2 * factor, 6000 * factor, 4 * factor});
}

TEST_P(LargeEnergyTest, DifferencesCancel) {
  const double lambda = 0.4444444444;  // almost 1 / 2.25
  const double factor = 1 - lambda * 2.25;
  Expect(absl::StrCat("kind: DIFFERENCE term { model: \"a\" } term { model: "
                      "\"b\" weight: 0.4444444444 }"),
         {factor * kA0, factor * kA1}, {0, 0, 0, 0});
}

TEST_P(LargeEnergyTest, Mixtures) {
  // The other term's density is nothing beside this one's.
  Expect(
      "kind: MIXTURE term { model: \"a\" weight: 0.3 } term { model: \"b\" "
      "} temperature: 2",
      {(kA0 - std::log(0.3)) / 2, (kA1 - std::log(0.3)) / 2},
      {3000, 1, 3000, 2});
}

INSTANTIATE_TEST_SUITE_P(Precisions, LargeEnergyTest,
                         ::testing::Values("FLOAT32", "BF16", "FLOAT64"),
                         [](const auto& info) { return info.param; });

// The product of two Gaussians has precision P = A^-1 + B^-1 and mean
// P^-1 (A^-1 a + B^-1 b); the gradient is P (x - mean).
TEST_F(CompositionTest, TheProductOfGaussiansIsTheGaussianOfTheFormula) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      repository_->Compose({Kind::kProduct, {{"a", 0, 1}, {"b", 0, 1}}, 1}));
  // A^-1 = [1, -.5; -.5, 2] / 1.75, B^-1 = [.5, .25; .25, 1] / .4375.
  const double p00 = 1 / 1.75 + 0.5 / 0.4375;
  const double p01 = -0.5 / 1.75 + 0.25 / 0.4375;
  const double p11 = 2 / 1.75 + 1 / 0.4375;
  const double r0 = 1 / 1.75 + (-0.5 + 0.25 * 2) / 0.4375;
  const double r1 = -0.5 / 1.75 + (-0.25 + 2) / 0.4375;
  const auto found = EvaluateAll(*model, 16, states_);
  for (size_t row = 0; row < found.energies.size(); ++row) {
    const double x = states_[2 * row];
    const double y = states_[2 * row + 1];
    EXPECT_NEAR(found.gradients[2 * row], p00 * x + p01 * y - r0, 1e-5);
    EXPECT_NEAR(found.gradients[2 * row + 1], p01 * x + p11 * y - r1, 1e-5);
  }
}

TEST_F(CompositionTest, SaysWhatItIs) {
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      repository_->Compose({Kind::kProduct, {{"a", 0, 1}, {"b", 1, 0.5}}, 2}));
  EXPECT_EQ(model->info().name, "product(1 a/1, 0.5 b/1) at temperature 2");
  EXPECT_EQ(model->info().family, "composition");
  EXPECT_EQ(model->info().input_name, "x");
  EXPECT_EQ(model->info().dimension, 2);
}

int CountMatmuls(const internal::OpenedModel& model) {
  const auto graph =
      internal::BuildEnergyGraph(*model.source, model.settings.info, 4);
  BASIN_CHECK(graph.ok());
  const auto optimized = Optimize(*graph);
  BASIN_CHECK(optimized.ok());
  int count = 0;
  for (ValueId id = 0; id < optimized->size(); ++id) {
    count += optimized->node(id).op == Op::kMatmul ? 1 : 0;
  }
  return count;
}

TEST_F(CompositionTest, CommonPartsAreComputedOnce) {
  folder_.Write("twice",
                "family: COMPOSITION composition { "
                "term { model: \"a\" weight: 0.5 } "
                "term { model: \"a\" weight: 0.25 } }");
  ASSERT_OK_AND_ASSIGN(const auto once, folder_.Open("a"));
  ASSERT_OK_AND_ASSIGN(const auto twice, folder_.Open("twice"));
  ASSERT_GE(CountMatmuls(once), 1);
  EXPECT_EQ(CountMatmuls(twice), CountMatmuls(once));
  ASSERT_OK_AND_ASSIGN(const auto model, folder_.Load("twice"));
  const auto found = Energies(*model);
  const auto single = EnergiesOf("a");
  for (size_t row = 0; row < found.size(); ++row) {
    EXPECT_NEAR(found[row], 0.75 * single[row], 1e-5);
  }
}

TEST_F(CompositionTest, ConfigurationsMayCompose) {
  folder_.Write("pair",
                "family: COMPOSITION composition { kind: DIFFERENCE "
                "term { model: \"a\" } term { model: \"b\" weight: 0.5 } "
                "temperature: 2 } defaults { steps: 7 }");
  // A composition of a composition.
  folder_.Write("outer",
                "family: COMPOSITION initial { normal { stddev: 2 } } "
                "composition { term { model: \"pair\" } "
                "term { model: \"b\" version: 1 } }");
  ASSERT_OK(repository_->Load("pair", 0));
  ASSERT_OK(repository_->Load("outer", 0));
  const auto a = EnergiesOf("a");
  const auto b = EnergiesOf("b");
  const auto outer = EnergiesOf("outer");
  for (size_t row = 0; row < outer.size(); ++row) {
    EXPECT_NEAR(outer[row], (a[row] - 0.5 * b[row]) / 2 + b[row], 1e-5);
  }
  ASSERT_OK_AND_ASSIGN(const auto model, repository_->Find("pair", 0));
  EXPECT_EQ(model->info().default_steps, 7);
}

// The default of the first term, but not one that needs its conditional laws.
TEST_F(CompositionTest, DefaultsAreTakenWhereTheyFit) {
  const std::string config = "family: LATTICE lattice { size: [4, 4] } ";
  folder_.Write("by_gibbs", config);
  folder_.Write("by_sites",
                config + "defaults { transition { site_metropolis {} } }");
  for (const std::string first : {"by_gibbs", "by_sites"}) {
    folder_.Write(
        "of_" + first,
        absl::StrCat("family: COMPOSITION composition { ", "term { model: \"",
                     first, "\" } ", "term { model: \"by_gibbs\" } }"));
    ASSERT_OK(repository_->Load("of_" + first, 0));
    ASSERT_OK_AND_ASSIGN(const auto model, repository_->Find("of_" + first, 0));
    const ModelInfo& info = model->info();
    ASSERT_EQ(info.has_default_transition, first == "by_sites");
    if (!info.has_default_transition) continue;
    EXPECT_EQ(info.default_transition.kind, TransitionKind::kSiteMetropolis);
  }
}

// Four levels of 16 would be 65,536 models.
TEST_F(CompositionTest, NestedTermsAreCountedInAll) {
  std::string below = "a";
  for (const std::string name : {"c1", "c2", "c3"}) {
    std::string terms;
    for (int version = 1; version <= 16; ++version) {
      absl::StrAppend(&terms, " term { model: \"", below,
                      "\" version: ", version, " }");
    }
    folder_.Write(
        name, absl::StrCat("family: COMPOSITION composition {", terms, " }"));
    below = name;
  }
  EXPECT_THAT(folder_.Load("c3").status(),
              StatusIs(kInvalid, HasSubstr("at most 64 terms in all")));
}

TEST_F(CompositionTest, BadConfigurationsAreRefusedWithTheReason) {
  const auto error = [&](const std::string& composition) {
    folder_.Write("bad", absl::StrCat("family: COMPOSITION composition { ",
                                      composition, " }"));
    return folder_.Load("bad").status();
  };
  EXPECT_THAT(error(""), StatusIs(kInvalid, HasSubstr("terms: expected 1 to")));
  EXPECT_THAT(error("term { model: \"../a\" }"),
              StatusIs(kInvalid, HasSubstr("composition.term.model")));
  EXPECT_THAT(error("term { model: \"none\" }"),
              StatusIs(kNotFound, HasSubstr("term 'none' version 1")));
  EXPECT_THAT(error("term { model: \"bad\" }"),
              StatusIs(kInvalid, HasSubstr("is one a term of itself?")));
  EXPECT_THAT(error("kind: MIXTURE term { model: \"a\" weight: 0 }"),
              StatusIs(kInvalid, HasSubstr("more than 0 in a mixture")));
}

TEST_F(CompositionTest, BadRequestsAreRefusedWithTheReason) {
  folder_.Write("line",
                "family: MIXTURE mixture { component { weight: 1 "
                "mean: 0 covariance: 1 } }");
  folder_.Write("boxed", absl::StrCat(Gaussian("0, 0", "1"),
                                      " domain { lower: -9 upper: 9 }"));
  repository_->LoadAll();
  const auto error = [&](const Composition& composition) {
    return repository_->Compose(composition).status();
  };
  EXPECT_THAT(
      error({Kind::kProduct, {{"a", 0, 1}, {"x", 0, 1}}, 1}),
      StatusIs(kNotFound, HasSubstr("no model 'x'; there are 'a', 'b'")));
  EXPECT_THAT(error({Kind::kProduct, {{"a", 0, 1}, {"b", 2, 1}}, 1}),
              StatusIs(kNotFound, HasSubstr("no version 2")));
  EXPECT_THAT(error({Kind::kProduct, {{"a", 0, 1}, {"line", 0, 1}}, 1}),
              StatusIs(kInvalid, HasSubstr("model 'a' version 1 has states of "
                                           "[2] and model 'line' version 1 "
                                           "has [1]")));
  EXPECT_THAT(error({Kind::kProduct, {{"a", 0, 1}, {"boxed", 0, 1}}, 1}),
              StatusIs(kInvalid, HasSubstr("the domain continuous and model "
                                           "'boxed' version 1 has continuous "
                                           "in [-9, 9]")));
  EXPECT_THAT(error({Kind::kProduct, {}, 1}),
              StatusIs(kInvalid, HasSubstr("terms: expected 1 to 16, got 0")));
  EXPECT_THAT(error({Kind::kProduct, {{"a", 0, NAN}}, 1}),
              StatusIs(kInvalid, HasSubstr("terms[0].weight")));
  EXPECT_THAT(error({Kind::kDifference, {{"a", 0, 2}, {"b", 0, 1}}, 1}),
              StatusIs(kInvalid, HasSubstr("1 for the first term")));
  EXPECT_THAT(error({Kind::kDifference, {{"a", 0, 1}}, 1}),
              StatusIs(kInvalid, HasSubstr("two of a difference")));
  EXPECT_THAT(error({Kind::kProduct, {{"a", 0, 1}}, 0}),
              StatusIs(kInvalid, HasSubstr("temperature")));
}

// Labels and tokens of the same name are one input.
TEST_F(CompositionTest, ContextIsUnitedByName) {
  const std::string config = "family: CLASSIFIER input { shape: [4] }";
  folder_.Write("c", config, "", ClassifierOnnx(4, 3));
  folder_.Write("d", config, "", ClassifierOnnx(4, 5));
  repository_->LoadAll();
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      repository_->Compose({Kind::kProduct, {{"c", 0, 1}, {"d", 0, 2}}, 1}));
  ASSERT_EQ(model->info().context.size(), 1);
  EXPECT_EQ(model->info().context_dimension, 1);
  EXPECT_EQ(model->info().context[0].upper, 2);
  const std::vector<float> x = RandomFloats(4, 3);
  for (const float label : {-1.0F, 1.0F}) {
    const auto energy = [&](const std::string& name) {
      const auto term = repository_->Find(name, 0);
      return EvaluateAll(**term, 1, x, {label}).energies[0];
    };
    EXPECT_NEAR(EvaluateAll(*model, 1, x, {label}).energies[0],
                energy("c") + 2 * energy("d"), 1e-5);
  }
}

TEST_F(CompositionTest, TheSameCompositionIsCompiledOnce) {
  const Composition product = {Kind::kProduct, {{"a", 0, 1}, {"b", 0, 1}}, 1};
  ASSERT_OK_AND_ASSIGN(const auto first, repository_->Compose(product));
  // Version 0 is version 1.
  ASSERT_OK_AND_ASSIGN(
      const auto second,
      repository_->Compose({Kind::kProduct, {{"a", 1, 1}, {"b", 1, 1}}, 1}));
  EXPECT_EQ(first, second);
  ASSERT_OK_AND_ASSIGN(
      const auto other,
      repository_->Compose(
          {Kind::kProduct, {{"a", 1, 1 + 1e-12}, {"b", 1, 1}}, 1}));
  EXPECT_NE(first, other);
}

TEST_F(CompositionTest, AReloadedTermMakesItAnew) {
  const Composition product = {Kind::kProduct, {{"a", 0, 1}, {"b", 0, 1}}, 1};
  ASSERT_OK_AND_ASSIGN(auto first, repository_->Compose(product));
  const std::weak_ptr<const EnergyModel> watch = first;
  const auto before = Energies(*first);
  folder_.Write("b", Gaussian("5, 5", "1"));
  EXPECT_OK(repository_->Compose(product));  // what is loaded still serves
  ASSERT_OK(repository_->Load("b", 0));
  first.reset();
  EXPECT_TRUE(watch.expired()) << "the cache let go of it";
  ASSERT_OK_AND_ASSIGN(const auto second, repository_->Compose(product));
  EXPECT_NE(Energies(*second)[0], before[0]);
  ASSERT_OK(repository_->Unload("b", 0));
  EXPECT_THAT(repository_->Compose(product),
              StatusIs(kNotFound, HasSubstr("'b' is not loaded")));
}

TEST_F(CompositionTest, FilesThatChangedAreNotMixedWithWhatIsLoaded) {
  folder_.Write("b", Gaussian("5, 5", "1"));
  EXPECT_THAT(
      repository_->Compose({Kind::kProduct, {{"a", 0, 1}, {"b", 0, 1}}, 1}),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr("model 'b' version 1 changed on disk since it was "
                         "loaded; load it again")));
}

TEST_F(CompositionTest, TheCacheIsBounded) {
  Create({.max_models = 2, .max_bytes = size_t{1} << 30});
  const auto compose = [&](double weight) {
    auto model = repository_->Compose({Kind::kProduct, {{"a", 0, weight}}, 1});
    BASIN_CHECK(model.ok());
    return std::weak_ptr<const EnergyModel>(*model);
  };
  const auto first = compose(1);
  const auto second = compose(2);
  EXPECT_FALSE(first.expired());
  compose(1);  // now the second is the least recently used
  const auto third = compose(3);
  EXPECT_FALSE(first.expired());
  EXPECT_TRUE(second.expired());
  EXPECT_FALSE(third.expired());
  Create({.max_models = 2, .max_bytes = 1});
  EXPECT_TRUE(compose(1).expired()) << "too large to be kept";
}

}  // namespace
}  // namespace basin::testing
