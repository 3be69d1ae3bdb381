// Every model family and context inputs, over gRPC.
// tests/data/make_models.py makes the models.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include "tests/integration/example_models.h"
#include "tests/integration/feature_models.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/temp_dir.h"

#include "basin/v1/models.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

TEST(Families, AllAreServedAndDescribed) {
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  ASSERT_TRUE(v1::Models::NewStub(ExampleServer().channel())
                  ->List(&context, {}, &response)
                  .ok());
  std::string described;
  for (const v1::Model& model : response.models()) {
    EXPECT_EQ(model.versions(0).state(), v1::READY)
        << model.name() << ": " << model.versions(0).reason();
    described +=
        model.name() + " " + model.family() + " " + model.domain_kind() + "\n";
  }
  EXPECT_EQ(described,
            "bars rbm binary\nblobs classifier continuous\n"
            "deep boltzmann binary\ngauss_a mixture continuous\n"
            "gauss_b mixture continuous\n"
            "gauss_product composition continuous\n"
            "gaussian_rbm rbm continuous\nising lattice binary\n"
            "offset graph continuous\npotts lattice categorical\n"
            "quadratic graph continuous\nquadratic_bf16 graph continuous\n"
            "regression graph continuous\n"
            "ring graph continuous\n");
}

TEST(Families, GraphSamplesItsRing) {
  v1::SampleRequest request = FeatureRequest("ring", 400, 400);
  const std::vector<float> states = States(request);
  std::vector<float> radii;
  for (size_t i = 0; i + 1 < states.size(); i += 2) {
    radii.push_back(std::hypot(states[i], states[i + 1]));
  }
  // p(r) ~ r exp(-8 (r - 2)^2): mean 2 + 1/32, standard deviation 1/4, up to
  // terms that are smaller than the error.
  ExpectMean(radii, 2 + 1.0 / 32, 0.25);
}

TEST(Families, ClassifierHasEnergiesOfXAndOfEachClass) {
  v1::ScoreRequest request = ScoreOf("blobs", {2, 2}, {2, 0, -1, 1});
  request.set_want_class_energies(true);
  const ScoreAnswer answer = Score(ExampleServer(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  const std::vector<float> energies = FloatsOf(answer.response.energies());
  const std::vector<float> classes = FloatsOf(answer.response.class_energies());
  ASSERT_EQ(classes.size(), 6U);
  for (size_t row = 0; row < 2; ++row) {
    double sum = 0;
    for (size_t y = 0; y < 3; ++y) sum += std::exp(-classes[3 * row + y]);
    EXPECT_NEAR(energies[row], -std::log(sum), 1e-4);
  }
  request.set_label(1);
  const std::vector<float> of_label = Energies(request);
  EXPECT_NEAR(of_label[0], classes[1], 1e-5);
  EXPECT_NEAR(of_label[1], classes[4], 1e-5);
}

// Mean and variance of x_0 and x_1 under exp(-E(x, y) / 10) in the box, by
// quadrature of scored energies; y < 0 is E(x).
struct PlaneLaw {
  double mean[2], variance[2];
};
PlaneLaw LawOfBlobs(int64_t label) {
  constexpr int kSide = 200;
  std::vector<float> grid;
  for (int i = 0; i < kSide; ++i) {
    for (int j = 0; j < kSide; ++j) {
      grid.push_back(-4 + 8 * (static_cast<float>(i) + 0.5F) / kSide);
      grid.push_back(-4 + 8 * (static_cast<float>(j) + 0.5F) / kSide);
    }
  }
  v1::ScoreRequest request = ScoreOf("blobs", {kSide * kSide, 2}, grid);
  if (label >= 0) request.set_label(label);
  const std::vector<float> energies = Energies(request);
  const float least = *std::min_element(energies.begin(), energies.end());
  double sum = 0, first[2] = {}, second[2] = {};
  for (size_t at = 0; at < energies.size(); ++at) {
    const double weight = std::exp((least - energies[at]) / 10);
    sum += weight;
    for (size_t k = 0; k < 2; ++k) {
      const double x = grid[2 * at + k];
      first[k] += weight * x;
      second[k] += weight * x * x;
    }
  }
  PlaneLaw law{};
  for (int k = 0; k < 2; ++k) {
    law.mean[k] = first[k] / sum;
    law.variance[k] = second[k] / sum - law.mean[k] * law.mean[k];
  }
  return law;
}

TEST(Families, ClassifierSamplesXAndXGivenTheClass) {
  v1::SampleRequest request = FeatureRequest("blobs", 2000, 100);
  request.set_inverse_temperature(0.1);
  for (const int64_t label : {-1, 0, 1, 2}) {
    const PlaneLaw law = LawOfBlobs(label);
    if (label >= 0) request.set_label(label);
    for (const bool by_gradient : {true, false}) {
      if (by_gradient) {
        request.mutable_transition()->mutable_mala()->set_step_size(0.5);
      } else {
        request.mutable_transition()->mutable_random_walk()->set_step_size(2);
      }
      const std::vector<float> states = States(request);
      for (int k = 0; k < 2; ++k) {
        SCOPED_TRACE(absl::StrCat("label ", label, ", x_", k));
        const std::vector<float> x = Column(states, 2, k);
        ExpectMean(x, law.mean[k], std::sqrt(law.variance[k]));
      }
    }
  }
}

TEST(Families, RbmScoresItsFreeEnergy) {
  std::vector<float> images(18, 0);
  for (int i = 9; i < 12; ++i) images[i] = 1;  // the first row
  const std::vector<float> energies = Energies(ScoreOf("bars", {2, 9}, images));
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  EXPECT_NEAR(energies[0], -6 * softplus(-6), 1e-5);
  // One unit sees the whole row, three see one pixel each, two see nothing.
  EXPECT_NEAR(energies[1],
              12 - softplus(6) - 3 * softplus(-2) - 2 * softplus(-6), 1e-5);
}

// p(v) of gaussian_rbm, a mixture of N(b + W h, sigma^2) over the four hidden
// states, with weights exp(c.h + sum_i ((b + W h)_i^2 - b_i^2) / 2 sigma_i^2).
struct Moments {
  double mean[2] = {};
  double second[2] = {};  // of v_i^2
  double cross = 0;       // of v_0 v_1
};
Moments GaussianRbmMoments() {
  const double w[2][2] = {{1.5, -1}, {0.5, 2}};
  const double b[] = {-0.5, 1};
  const double c[] = {0.3F, -0.8F};
  const double sigma[] = {0.7F, 1.2F};
  Moments sum;
  double weights = 0;
  for (int h = 0; h < 4; ++h) {
    const int bits[] = {h & 1, h >> 1};
    double log_weight = c[0] * bits[0] + c[1] * bits[1];
    double mean[2];
    for (int i = 0; i < 2; ++i) {
      mean[i] = b[i] + w[i][0] * bits[0] + w[i][1] * bits[1];
      log_weight +=
          (mean[i] * mean[i] - b[i] * b[i]) / (2 * sigma[i] * sigma[i]);
    }
    const double weight = std::exp(log_weight);
    weights += weight;
    for (int i = 0; i < 2; ++i) {
      sum.mean[i] += weight * mean[i];
      sum.second[i] += weight * (mean[i] * mean[i] + sigma[i] * sigma[i]);
    }
    sum.cross += weight * mean[0] * mean[1];
  }
  for (int i = 0; i < 2; ++i) {
    sum.mean[i] /= weights;
    sum.second[i] /= weights;
  }
  sum.cross /= weights;
  return sum;
}

TEST(Families, GaussianRbmSamplesByGibbs) {
  v1::SampleRequest request = FeatureRequest("gaussian_rbm", 20000, 200);
  request.mutable_transition()->mutable_gibbs();
  const std::vector<float> states = States(request);
  ASSERT_EQ(states.size(), 40000U);
  const Moments want = GaussianRbmMoments();
  for (size_t i = 0; i < 2; ++i) {
    const std::vector<float> values = Column(states, 2, i);
    const double variance = want.second[i] - want.mean[i] * want.mean[i];
    ExpectMean(values, want.mean[i], std::sqrt(variance));
    double second = 0;
    for (const float value : values) second += double{value} * value;
    // Five standard errors: fourth moments of this mixture are below 60.
    EXPECT_NEAR(second / 20000, want.second[i], 5 * std::sqrt(60.0 / 20000));
  }
  double product = 0;
  for (size_t at = 0; at < states.size(); at += 2) {
    product += double{states[at]} * states[at + 1];
  }
  EXPECT_NEAR(product / 20000, want.cross, 5 * std::sqrt(30.0 / 20000));
}

// Chains that hardly move are where the initial law put them.
TEST(Families, ChainsStartFromAMixtureOfGaussians) {
  const TempDir folder;
  std::filesystem::create_directories(folder.path() + "/start/1");
  std::ofstream(folder.path() + "/start/config.pbtxt")
      << "family: MIXTURE mixture { component { weight: 1 mean: [0, 0] "
         "covariance: 9 } } initial { mixture { component { weight: 1 "
         "mean: [-3, 1] covariance: [1, 0.6, 0.6, 1] } component { weight: 3 "
         "mean: [2, -1] stddev: [0.5, 2] } } }";
  ServerProcess::Options options;
  options.models = folder.path();
  const ServerProcess server(options);
  v1::SampleRequest request = FeatureRequest("start", 5000, 1);
  request.mutable_transition()->mutable_ula()->set_step_size(1e-9);
  const SampleAnswer answer = Sample(server, request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  ExpectMean(Column(answer.States(), 2, 0), 0.75, std::sqrt(5.125));
  ExpectMean(Column(answer.States(), 2, 1), -0.5, 2);

  request.mutable_transition()->mutable_mala()->set_step_size(0.1);
  request.mutable_annealing()->set_levels(50);
  request.mutable_annealing()->set_weights(
      v1::SampleRequest::Annealing::IMPORTANCE);
  EXPECT_THAT(
      Sample(server, request).status,
      IsError(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("got a mixture")));
}

TEST(Families, BoltzmannMachineInLayers) {
  // x = 1, 0, 1 | 0, 1 | 1
  EXPECT_NEAR(Energies(ScoreOf("deep", {1, 6}, {1, 0, 1, 0, 1, 1}))[0],
              -(1.0 + 3 + 1) - (0 + 0) - 8, 1e-6);
}

TEST(Families, LatticesCountEachEdgeOnce) {
  EXPECT_NEAR(
      Energies(ScoreOf("ising", {1, 4, 4}, std::vector<float>(16, 1)))[0],
      -0.5 * 32, 1e-5);
  // Categories 0 0 1 1 1: three equal neighbours.
  EXPECT_NEAR(
      Energies(ScoreOf("potts", {1, 5, 3},
                       {1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0}))[0],
      -3, 1e-6);
}

TEST(Families, LangevinOnBinaryStatesIsRefused) {
  v1::SampleRequest request = FeatureRequest("ising", 1, 1);
  request.mutable_transition()->mutable_mala()->set_step_size(0.1);
  EXPECT_THAT(Sample(ExampleServer(), request).status,
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("transition: expected one for a binary "
                                "domain")));
}

TEST(Context, EachChainHasItsOwnCondition) {
  constexpr int kChains = 600;
  v1::SampleRequest request = FeatureRequest("regression", kChains, 200);
  std::vector<float> xs;
  for (int chain = 0; chain < kChains; ++chain) {
    xs.push_back(-3 + 6 * static_cast<float>(chain) / kChains);
  }
  (*request.mutable_context())["x"] = FloatTensor({kChains, 1}, xs);
  std::vector<float> residuals = States(request);
  ASSERT_EQ(residuals.size(), xs.size());
  for (size_t i = 0; i < xs.size(); ++i) residuals[i] -= std::sin(xs[i]);
  ExpectMean(residuals, 0, 0.1);
  ExpectVariance(residuals, 0, 0.01);
}

// How energy-based transformers refine a prediction.
TEST(Context, MinimizeFindsThePredictionOfEachCondition) {
  constexpr int kChains = 50;
  v1::SampleRequest request = FeatureRequest("regression", kChains, 300);
  request.mutable_transition()->mutable_minimize()->set_step_size(0.005);
  request.mutable_transition()->mutable_minimize()->set_momentum(0.5);
  std::vector<float> xs;
  for (int chain = 0; chain < kChains; ++chain) {
    xs.push_back(-3 + 6 * static_cast<float>(chain) / kChains);
  }
  (*request.mutable_context())["x"] = FloatTensor({kChains, 1}, xs);
  const std::vector<float> ys = States(request);
  ASSERT_EQ(ys.size(), xs.size());
  for (size_t i = 0; i < xs.size(); ++i) {
    EXPECT_NEAR(ys[i], std::sin(xs[i]), 1e-5) << xs[i];
  }
}

TEST(Context, OneRowServesAll) {
  v1::ScoreRequest request = ScoreOf("regression", {3, 1}, {0, 0.1F, 0.2F});
  (*request.mutable_context())["x"] = FloatTensor({1, 1}, {0});
  EXPECT_THAT(
      Energies(request),
      ::testing::Pointwise(::testing::FloatNear(1e-6F), {0.0F, 0.5F, 2.0F}));
}

TEST(Context, WrongContextIsNamed) {
  const v1::ScoreRequest none = ScoreOf("regression", {1, 1}, {0});
  EXPECT_THAT(Score(ExampleServer(), none).status,
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("context.x: expected float32")));
  v1::ScoreRequest unknown = none;
  (*unknown.mutable_context())["z"] = FloatTensor({1, 1}, {0});
  EXPECT_THAT(Score(ExampleServer(), unknown).status,
              IsError(grpc::StatusCode::NOT_FOUND,
                      HasSubstr("context.z: regression has only x")));
  v1::ScoreRequest rows = none;
  (*rows.mutable_context())["x"] = FloatTensor({2, 1}, {0, 0});
  EXPECT_THAT(Score(ExampleServer(), rows).status,
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("context.x.shape")));
  v1::ScoreRequest label = none;
  label.set_label(1);
  EXPECT_THAT(Score(ExampleServer(), label).status,
              IsError(grpc::StatusCode::NOT_FOUND, HasSubstr("label")));
  v1::ScoreRequest range = ScoreOf("blobs", {1, 2}, {0, 0});
  range.set_label(7);
  EXPECT_THAT(Score(ExampleServer(), range).status,
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("context.label: expected whole numbers in "
                                "[-1, 2], got 7")));
}

// In float32 all energies near 1e8 are multiples of 8: every proposal of
// MALA within some units of x would be as good as any other.
TEST(Precision, Float64DecidesSmallDifferencesOfLargeEnergies) {
  const ScoreAnswer answer =
      Score(ExampleServer(), ScoreOf("offset", {2, 1}, {0, 0.25F}));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  ASSERT_EQ(answer.response.energies().dtype(), v1::FLOAT64);
  double energies[2];
  std::memcpy(energies, answer.response.energies().data().data(), 16);
  EXPECT_EQ(energies[1] - energies[0], 0.03125);
  const std::vector<float> states = States(FeatureRequest("offset", 4000, 60));
  ExpectMean(states, 0, 1);
  ExpectVariance(states, 0, 1);
}

TEST(Precision, BFloat16KeepsEnergiesInFloat32) {
  std::vector<float> x(32);
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = std::sin(static_cast<float>(i));
  }
  v1::ScoreRequest request = ScoreOf("quadratic", {2, 16}, x);
  request.set_want_gradients(true);
  const ScoreAnswer exact = Score(ExampleServer(), request);
  request.mutable_model()->set_name("quadratic_bf16");
  const ScoreAnswer coarse = Score(ExampleServer(), request);
  ASSERT_TRUE(coarse.status.ok()) << coarse.status.error_message();
  EXPECT_EQ(FloatsOf(coarse.response.energies()),
            FloatsOf(exact.response.energies()));
  const std::vector<float> want = FloatsOf(exact.response.gradients());
  const std::vector<float> got = FloatsOf(coarse.response.gradients());
  double most = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 0.03);
    most = std::max<double>(most, std::abs(got[i] - want[i]));
  }
  EXPECT_GT(most, 1e-5);  // or it was not computed in bfloat16 at all
}

// A processor, or a flag, without products of bfloat16: the same model, and a
// note that it is no faster.
TEST(Precision, BFloat16IsServedUnderEveryInstructionSet) {
  std::vector<float> x(16);
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = std::sin(static_cast<float>(i));
  }
  v1::ScoreRequest request = ScoreOf("quadratic_bf16", {1, 16}, x);
  request.set_want_gradients(true);
  const ScoreAnswer here = Score(ExampleServer(), request);
  for (const std::string isa : {"x86-64", "x86-64-v3"}) {
    ServerProcess::Options options;
    options.models = BASIN_SOURCE_DIR "/tests/data/models";
    options.flags = {"--max_isa=" + isa};
    const ServerProcess capped(options);
    const ScoreAnswer answer = Score(capped, request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    const std::vector<float> got = FloatsOf(answer.response.gradients());
    const std::vector<float> want = FloatsOf(here.response.gradients());
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-2);
    grpc::ClientContext context;
    v1::GetModelRequest get;
    get.set_name("quadratic_bf16");
    v1::Model model;
    ASSERT_TRUE(
        v1::Models::NewStub(capped.channel())->Get(&context, get, &model).ok());
    EXPECT_EQ(model.precision(), "bfloat16");
    EXPECT_THAT(model.precision_note(), HasSubstr("no faster than FLOAT32"));
  }
}

}  // namespace
}  // namespace basin::testing
