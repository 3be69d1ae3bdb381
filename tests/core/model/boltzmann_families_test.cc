// Restricted and general Boltzmann machines against sums over all states.

#include <cmath>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/model/evaluate.h"
#include "tests/core/model/family_fixture.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// Weights in double, for sums in the test.
struct Rbm {
  size_t visible;
  size_t hidden;
  std::vector<float> w, b, c, sigma;
  bool gaussian = false;

  // E(v, h) by definition.
  double Joint(const float* v, uint32_t h) const {
    double energy = 0;
    for (size_t i = 0; i < visible; ++i) {
      const double variance = gaussian ? double{sigma[i]} * sigma[i] : 1;
      energy += gaussian ? (v[i] - double{b[i]}) * (v[i] - double{b[i]}) /
                               (2 * variance)
                         : -double{b[i]} * v[i];
      for (size_t j = 0; j < hidden; ++j) {
        if (h >> j & 1) energy -= v[i] / variance * w[i * hidden + j];
      }
    }
    for (size_t j = 0; j < hidden; ++j) {
      if (h >> j & 1) energy -= c[j];
    }
    return energy;
  }

  double FreeEnergy(const float* v) const {
    std::vector<double> energies;
    for (uint32_t h = 0; h < uint32_t{1} << hidden; ++h) {
      energies.push_back(Joint(v, h));
    }
    return -LogZ(energies);
  }

  // By the hidden states: sum_h exp(c.h) prod_i (1 + exp(b_i + (W h)_i)).
  double LogZByHiddenStates() const {
    std::vector<double> energies;
    for (uint32_t h = 0; h < uint32_t{1} << hidden; ++h) {
      double log_weight = 0;
      for (size_t j = 0; j < hidden; ++j) {
        if (h >> j & 1) log_weight += c[j];
      }
      for (size_t i = 0; i < visible; ++i) {
        double input = b[i];
        for (size_t j = 0; j < hidden; ++j) {
          if (h >> j & 1) input += w[i * hidden + j];
        }
        log_weight += std::log1p(std::exp(input));
      }
      energies.push_back(-log_weight);
    }
    return LogZ(energies);
  }

  std::string File() const {
    const auto v = static_cast<int64_t>(visible);
    const auto h = static_cast<int64_t>(hidden);
    SafetensorsBuilder file;
    file.Floats("W", {v, h}, w).Floats("b", {v}, b).Floats("c", {h}, c);
    if (gaussian) file.Floats("sigma", {v}, sigma);
    return file.Build();
  }
};

Rbm RandomRbm(size_t visible, size_t hidden) {
  Rbm rbm{visible,
          hidden,
          RandomFloats(visible * hidden, 1),
          RandomFloats(visible, 2),
          RandomFloats(hidden, 3),
          {}};
  for (size_t i = 0; i < visible; ++i) {
    rbm.sigma.push_back(0.5F + 0.25F * static_cast<float>(i));
  }
  return rbm;
}

internal::OpenedModel OpenRbm(const ModelFolder& folder, const Rbm& rbm) {
  folder.Write(
      "m",
      rbm.gaussian ? "family: RBM rbm { visible: GAUSSIAN }" : "family: RBM",
      rbm.File());
  auto model = folder.Open("m");
  BASIN_CHECK(model.ok());
  return *std::move(model);
}

TEST(RbmFamilyTest, FreeEnergiesAndLogZAreThoseOfEnumeration) {
  const ModelFolder folder;
  const Rbm rbm = RandomRbm(6, 5);
  const auto model = OpenRbm(folder, rbm);
  const std::vector<float> states = AllBinaryStates(6);
  const std::vector<double> energies = ReferenceEnergies(model, states);
  for (size_t row = 0; row < energies.size(); ++row) {
    EXPECT_NEAR(energies[row], rbm.FreeEnergy(&states[6 * row]), 1e-9);
  }
  EXPECT_NEAR(LogZ(energies), rbm.LogZByHiddenStates(), 1e-9);
}

TEST(RbmFamilyTest, TwentyHiddenUnits) {
  const ModelFolder folder;
  const Rbm rbm = RandomRbm(8, 20);
  const auto model = OpenRbm(folder, rbm);
  const std::vector<float> states = AllBinaryStates(8);
  const std::vector<double> energies = ReferenceEnergies(model, states);
  for (const size_t row : {0, 37, 255}) {
    EXPECT_NEAR(energies[row], rbm.FreeEnergy(&states[8 * row]), 1e-6);
  }
  EXPECT_NEAR(LogZ(energies), rbm.LogZByHiddenStates(), 1e-6);
}

// What is served, in float32.
TEST(RbmFamilyTest, ServedEnergiesAreTheFreeEnergies) {
  const ModelFolder folder;
  const Rbm rbm = RandomRbm(8, 20);
  OpenRbm(folder, rbm);
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  EXPECT_EQ(model->info().family, "rbm");
  EXPECT_EQ(model->info().domain.kind, DomainKind::kBinary);
  EXPECT_EQ(model->info().parameters, 8 * 20 + 8 + 20);
  const std::vector<float> states = AllBinaryStates(8);
  const auto found = EvaluateAll(*model, 16, states);
  EXPECT_NEAR(found.energies[37], rbm.FreeEnergy(&states[8 * 37]), 1e-5);
  EXPECT_NEAR(LogZ(found.energies), rbm.LogZByHiddenStates(), 1e-5);
}

// In double: of 12 hidden units for every visible state, of 20 for a few, since
// each of their free energies is a sum over a million states.
TEST(RbmFamilyTest, ServedInDoubleEnergiesAndLogZAreThoseOfEnumeration) {
  for (const size_t hidden : {12, 20}) {
    const ModelFolder folder;
    const Rbm rbm = RandomRbm(8, hidden);
    folder.Write("m", "family: RBM precision: FLOAT64", rbm.File());
    ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
    const std::vector<float> states = AllBinaryStates(8);
    const auto found = EvaluateAll(*model, 16, states);
    ASSERT_EQ(found.energies.size(), 256U);
    for (size_t row = 0; row < 256; row += hidden == 12 ? 1 : 165) {
      EXPECT_NEAR(found.energies[row], rbm.FreeEnergy(&states[8 * row]), 1e-6);
    }
    EXPECT_NEAR(LogZ(found.energies), rbm.LogZByHiddenStates(), 1e-6);
  }
}

// Weights that outweigh the states of a tile are worth its rows.
TEST(RbmFamilyTest, LargeStatesShareLargeWeights) {
  const ModelFolder folder;
  OpenRbm(folder, RandomRbm(16384, 64));
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m", 0));
  EXPECT_EQ(model->tile_sizes().back(), 8);
}

// Large enough for tables of sums, and in a tile that is not full.
TEST(RbmFamilyTest, ServedLawsAreThoseOfTheJointLaw) {
  constexpr size_t kVisible = 70;
  constexpr size_t kHidden = 45;
  constexpr int kRows = 3;
  const ModelFolder folder;
  const Rbm rbm = RandomRbm(kVisible, kHidden);
  OpenRbm(folder, rbm);
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  const auto allocate = [&model](size_t width) {
    return *model->backend().Allocate(16 * width * sizeof(float));
  };
  const DeviceMemory states = allocate(kVisible);
  auto* v = reinterpret_cast<float*>(states.get());
  for (size_t at = 0; at < kRows * kVisible; ++at) v[at] = at % 5 < 2 ? 1 : 0;
  Workspace workspace;
  ASSERT_OK(model->backend().Reserve(workspace, model->workspace_bytes()));
  const auto function = model->Bind(16, workspace);
  ASSERT_OK_AND_ASSIGN(const BlockLaw of_hidden, function->LawOf(0, kRows, v));
  ASSERT_EQ(of_hidden.variables, kHidden);
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t j = 0; j < kHidden; ++j) {
      double sum = rbm.c[j];
      for (size_t i = 0; i < kVisible; ++i) {
        sum += v[row * kVisible + i] * rbm.w[i * kHidden + j];
      }
      EXPECT_NEAR(of_hidden.parameter[row * kHidden + j], sum, 1e-4);
      of_hidden.hidden[row * kHidden + j] = (row + j) % 3 == 0 ? 1 : 0;
    }
  }
  const std::vector<float> h(of_hidden.hidden,
                             of_hidden.hidden + kRows * kHidden);
  ASSERT_OK_AND_ASSIGN(const BlockLaw of_visible, function->LawOf(1, kRows, v));
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t i = 0; i < kVisible; ++i) {
      double sum = rbm.b[i];
      for (size_t j = 0; j < kHidden; ++j) {
        sum += h[row * kHidden + j] * rbm.w[i * kHidden + j];
      }
      EXPECT_NEAR(of_visible.parameter[row * kVisible + i], sum, 1e-4);
    }
  }
}

TEST(RbmFamilyTest, GaussianFreeEnergiesAreThoseOfEnumeration) {
  const ModelFolder folder;
  Rbm rbm = RandomRbm(4, 5);
  rbm.gaussian = true;
  const auto model = OpenRbm(folder, rbm);
  EXPECT_EQ(model.settings.info.domain.kind, DomainKind::kContinuous);
  const std::vector<float> states = RandomFloats(10 * 4, 5);
  const std::vector<double> energies = ReferenceEnergies(model, states);
  for (size_t row = 0; row < energies.size(); ++row) {
    EXPECT_NEAR(energies[row], rbm.FreeEnergy(&states[4 * row]), 1e-6);
  }
  ExpectGradientMatches(model, states);
}

TEST(RbmFamilyTest, GradientsMatchDifferences) {
  const ModelFolder folder;
  ExpectGradientMatches(OpenRbm(folder, RandomRbm(6, 5)),
                        RandomFloats(5 * 6, 7));
}

double Sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }

// Of the joint law p(v, h), by sums over the other side.
TEST(RbmFamilyTest, ConditionalsAreThoseOfTheJointLaw) {
  const ModelFolder folder;
  const Rbm rbm = RandomRbm(6, 5);
  const auto model = OpenRbm(folder, rbm);
  ASSERT_OK_AND_ASSIGN(const auto blocks, model.source->Conditionals(1));
  ASSERT_EQ(blocks.size(), 2);
  const std::vector<float> v = {1, 0, 0, 1, 1, 0};
  const auto p_h =
      EvaluateReference(blocks[0].graph, {Tensor::Of<float>(Shape({1, 6}), v)});
  for (size_t j = 0; j < 5; ++j) {
    double on = 0;
    double all = 0;
    for (uint32_t h = 0; h < 32; ++h) {
      const double weight = std::exp(-rbm.Joint(v.data(), h));
      all += weight;
      if (h >> j & 1) on += weight;
    }
    EXPECT_NEAR(Sigmoid((*p_h)[0].data<double>()[j]), on / all, 1e-9);
  }
  const std::vector<float> h = {1, 0, 1, 1, 0};  // 1 + 4 + 8
  const auto p_v =
      EvaluateReference(blocks[1].graph, {Tensor::Of<float>(Shape({1, 5}), h)});
  const std::vector<float> states = AllBinaryStates(6);
  for (size_t i = 0; i < 6; ++i) {
    double on = 0;
    double all = 0;
    for (size_t row = 0; row < 64; ++row) {
      const double weight = std::exp(-rbm.Joint(&states[6 * row], 13));
      all += weight;
      if (states[6 * row + i] == 1) on += weight;
    }
    EXPECT_NEAR(Sigmoid((*p_v)[0].data<double>()[i]), on / all, 1e-9);
  }
}

// The joint energy is quadratic in v: smallest at the mean, with curvature
// 1 / sigma^2.
TEST(RbmFamilyTest, GaussianConditionalsAreThoseOfTheJointLaw) {
  const ModelFolder folder;
  Rbm rbm = RandomRbm(3, 4);
  rbm.gaussian = true;
  const auto model = OpenRbm(folder, rbm);
  ASSERT_OK_AND_ASSIGN(const auto blocks, model.source->Conditionals(1));
  EXPECT_EQ(blocks[1].kind, BlockLaw::Kind::kNormal);
  const std::vector<float> h = {1, 0, 0, 1};
  const auto law =
      EvaluateReference(blocks[1].graph, {Tensor::Of<float>(Shape({1, 4}), h)});
  std::vector<float> mean;
  for (const double value : (*law)[0].data<double>()) {
    mean.push_back(static_cast<float>(value));
  }
  for (size_t i = 0; i < 3; ++i) {
    std::vector<float> up = mean;
    std::vector<float> down = mean;
    up[i] += 0.5F;
    down[i] -= 0.5F;
    const double above = rbm.Joint(up.data(), 9);
    const double below = rbm.Joint(down.data(), 9);
    EXPECT_NEAR(above, below, 1e-5);
    const double curvature =
        (above + below - 2 * rbm.Joint(mean.data(), 9)) / 0.25;
    EXPECT_NEAR(1 / std::sqrt(curvature), (*law)[1].data<double>()[i], 1e-5);
  }
}

// The state may be given the shape of an image.
TEST(RbmFamilyTest, TheConfigurationMayShapeTheState) {
  const ModelFolder folder;
  const Rbm rbm = RandomRbm(6, 5);
  folder.Write("m", "family: RBM input { name: \"image\" shape: [2, 3] }",
               rbm.File());
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  EXPECT_EQ(model->info().state_shape, Shape({2, 3}));
  EXPECT_EQ(model->info().input_name, "image");
  folder.Write("m", "family: RBM input { shape: [7] }", rbm.File());
  EXPECT_THAT(folder.Load("m"),
              StatusIs(kInvalid, HasSubstr("as many elements as [6]")));
}

TEST(RbmFamilyTest, BadFilesAreRefusedWithTheReason) {
  const ModelFolder folder;
  const auto error = [&](const std::string& config, const std::string& file) {
    folder.Write("m", config, file);
    return folder.Load("m").status();
  };
  const auto w = RandomFloats(6, 1);
  EXPECT_THAT(error("family: RBM", SafetensorsBuilder().Build()),
              StatusIs(kInvalid, HasSubstr("tensor 'W': expected it")));
  EXPECT_THAT(
      error("family: RBM", SafetensorsBuilder().Floats("W", {6}, w).Build()),
      StatusIs(kInvalid, HasSubstr("tensor 'W': expected [V, H], got [6]")));
  EXPECT_THAT(error("family: RBM", SafetensorsBuilder()
                                       .Floats("W", {2, 3}, w)
                                       .Floats("b", {3}, {1, 2, 3})
                                       .Build()),
              StatusIs(kInvalid, HasSubstr("tensor 'b': expected [2], got")));
  EXPECT_THAT(
      error("family: RBM", SafetensorsBuilder()
                               .Floats("W", {2, 3}, w)
                               .Floats("bias", {2}, {1, 2})
                               .Build()),
      StatusIs(kInvalid, HasSubstr("tensor 'bias': family rbm has no")));
  EXPECT_THAT(
      error("family: RBM", SafetensorsBuilder()
                               .Floats("W", {2, 3}, w)
                               .Floats("b", {2}, {NAN, 2})
                               .Build()),
      StatusIs(kInvalid, HasSubstr("expected finite numbers, got nan")));
  EXPECT_THAT(error("family: RBM rbm { visible: GAUSSIAN }",
                    SafetensorsBuilder()
                        .Floats("W", {2, 3}, w)
                        .Floats("sigma", {2}, {1, 0})
                        .Build()),
              StatusIs(kInvalid, HasSubstr("expected more than 0, got 0")));
  EXPECT_THAT(error("family: RBM domain { kind: CONTINUOUS lower: 0 upper: 1 }",
                    SafetensorsBuilder().Floats("W", {2, 3}, w).Build()),
              StatusIs(kInvalid, HasSubstr("domain: expected binary")));
  EXPECT_THAT(
      error("family: RBM defaults { transition { ula { step_size: 1 } } }",
            SafetensorsBuilder().Floats("W", {2, 3}, w).Build()),
      StatusIs(kInvalid, HasSubstr("defaults.transition: expected one "
                                   "for a binary domain")));
}

// J by blocks from W and J tensors, for a direct sum over pairs.
struct Dbm {
  std::vector<int64_t> layers = {3, 4, 2};
  std::vector<float> w0 = RandomFloats(12, 1);
  std::vector<float> w1 = RandomFloats(8, 2);
  std::vector<float> b0 = RandomFloats(3, 3);
  std::vector<float> b2 = RandomFloats(2, 4);
  std::vector<float> j1 = std::vector<float>(16);

  double Energy(const float* x) const {
    const float* u = x + 3;
    const float* t = x + 7;
    double energy = 0;
    for (int i = 0; i < 3; ++i) {
      energy -= double{b0[i]} * x[i];
      for (int j = 0; j < 4; ++j) energy -= double{w0[4 * i + j]} * x[i] * u[j];
    }
    for (int j = 0; j < 4; ++j) {
      for (int k = 0; k < 2; ++k) energy -= double{w1[2 * j + k]} * u[j] * t[k];
      for (int k = 0; k < j; ++k) energy -= double{j1[4 * j + k]} * u[j] * u[k];
    }
    for (int k = 0; k < 2; ++k) energy -= double{b2[k]} * t[k];
    return energy;
  }

  SafetensorsBuilder File() const {
    return SafetensorsBuilder()
        .Floats("W0", {3, 4}, w0)
        .Floats("W1", {4, 2}, w1)
        .Floats("b0", {3}, b0)
        .Floats("b2", {2}, b2);
  }
};

constexpr char kDbmConfig[] =
    "family: BOLTZMANN boltzmann { layer: [3, 4, 2] }";

TEST(BoltzmannFamilyTest, EnergiesAreThoseOfTheSumOverPairs) {
  const ModelFolder folder;
  Dbm dbm;
  const auto symmetric = RandomFloats(16, 9);
  for (int j = 0; j < 4; ++j) {
    for (int k = 0; k < j; ++k) {
      dbm.j1[4 * j + k] = dbm.j1[4 * k + j] = symmetric[4 * j + k];
    }
  }
  folder.Write("m", kDbmConfig,
               dbm.File().Floats("J1", {4, 4}, dbm.j1).Build());
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Open("m"));
  const std::vector<float> states = AllBinaryStates(9);
  const std::vector<double> energies = ReferenceEnergies(model, states);
  for (size_t row = 0; row < energies.size(); ++row) {
    ASSERT_NEAR(energies[row], dbm.Energy(&states[9 * row]), 1e-9) << row;
  }
  ExpectGradientMatches(model, RandomFloats(5 * 9, 6));
  EXPECT_THAT(model.settings.info.blocks, IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto blocks, model.source->Conditionals(1));
  EXPECT_THAT(blocks, IsEmpty());
}

TEST(BoltzmannFamilyTest, LayersAreStatesWithConditionals) {
  const ModelFolder folder;
  folder.Write("m", kDbmConfig, Dbm().File().Build());
  ASSERT_OK_AND_ASSIGN(const auto opened, folder.Open("m"));
  ExpectConditionalsMatch(
      opened, {1, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1});
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  const ModelInfo& info = model->info();
  EXPECT_THAT(info.blocks, ElementsAre("layer0", "layer2", "layer1"));
  ASSERT_EQ(info.states.size(), 3);
  EXPECT_EQ(info.states[1].name, "layer1");
  EXPECT_EQ(info.states[1].offset, 3);
  EXPECT_EQ(info.states[1].shape, Shape({4}));
  EXPECT_EQ(info.state_shape, Shape({9}));
  const std::vector<float> state = {1, 1, 0, 1, 0, 1, 1, 0, 1};
  EXPECT_NEAR(EvaluateAll(*model, 1, state).energies[0],
              Dbm().Energy(state.data()), 1e-6);
}

TEST(BoltzmannFamilyTest, BadFilesAreRefusedWithTheReason) {
  const ModelFolder folder;
  const auto error = [&](const std::string& config,
                         const SafetensorsBuilder& file) {
    folder.Write("m", config, file.Build());
    return folder.Load("m").status();
  };
  EXPECT_THAT(error("family: BOLTZMANN", Dbm().File()),
              StatusIs(kInvalid, HasSubstr("boltzmann.layer: layers")));
  EXPECT_THAT(
      error("family: BOLTZMANN boltzmann { layer: [3, 4] }", Dbm().File()),
      StatusIs(kInvalid, HasSubstr("tensor 'W1': expected a number "
                                   "below 1")));
  std::vector<float> skew(16);
  skew[1] = 1;
  EXPECT_THAT(error(kDbmConfig, Dbm().File().Floats("J1", {4, 4}, skew)),
              StatusIs(kInvalid, HasSubstr("expected a symmetric matrix")));
  skew[1] = 0;
  skew[5] = 1;
  EXPECT_THAT(error(kDbmConfig, Dbm().File().Floats("J1", {4, 4}, skew)),
              StatusIs(kInvalid, HasSubstr("expected a zero diagonal, got 1 "
                                           "for unit 1")));
  EXPECT_THAT(
      error(std::string(kDbmConfig) + " input { shape: [9] }", Dbm().File()),
      StatusIs(kInvalid, HasSubstr("input: expected none")));
}

}  // namespace
}  // namespace basin::testing
