// Every transition over gRPC: on a model that it fits, with the law that it
// declares; with clamped coordinates, metrics and boxes; and refused where it
// does not fit. What the laws are is tested at length in tests/statistical.

#include <cmath>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/feature_models.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = grpc::StatusCode::INVALID_ARGUMENT;

const ServerProcess& Server() {
  static const TempDir folder;
  static const ServerProcess server([] {
    WriteFeatureModels(folder.path());
    ServerProcess::Options options;
    options.models = folder.path();
    return options;
  }());
  return server;
}

SampleAnswer SampleOk(const v1::SampleRequest& request) {
  SampleAnswer answer = Sample(Server(), request);
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  return answer;
}

// On N(0, 1): the law of each transition is normal there.
struct ContinuousCase {
  const char* name;
  std::function<void(v1::Transition&)> fill;
  v1::Target::Kind target;
  double variance;
  double effective_temperature = 0;
  int order = 0;
};
void PrintTo(const ContinuousCase& one, std::ostream* out) { *out << one.name; }

class ContinuousTest : public ::testing::TestWithParam<ContinuousCase> {};

// Of x <- (1 - step) x + noise, with step .1 and noise .3.
constexpr double kDescent = 0.09 / (1 - 0.9 * 0.9);

std::vector<ContinuousCase> ExactOnes() {
  using T = v1::Transition;
  return {
      {"Mala", [](T& t) { t.mutable_mala()->set_step_size(0.8); },
       v1::Target::EXACT, 1},
      {"RandomWalk", [](T& t) { t.mutable_random_walk()->set_step_size(2); },
       v1::Target::EXACT, 1},
      {"Hmc",
       [](T& t) {
         t.mutable_hmc()->set_step_size(0.7);
         t.mutable_hmc()->set_leaps(3);
         t.mutable_hmc()->set_jitter(0.5);
       },
       v1::Target::EXACT, 1},
      {"UnderdampedMetropolis",
       [](T& t) {
         t.mutable_underdamped_metropolis()->set_step_size(0.7);
         t.mutable_underdamped_metropolis()->set_leaps(2);
       },
       v1::Target::EXACT, 1},
      {"DelayedAcceptance",
       [](T& t) {
         auto& delayed = *t.mutable_delayed_acceptance();
         delayed.set_step_size(1);
         delayed.set_leaps(3);
         delayed.mutable_surrogate()->set_name("wide");
       },
       v1::Target::EXACT, 1},
  };
}

std::vector<ContinuousCase> OtherOnes() {
  using T = v1::Transition;
  return {
      {"Ula", [](T& t) { t.mutable_ula()->set_step_size(0.5); },
       v1::Target::BIASED, 1 / (1 - 0.25), 0, 1},
      {"Underdamped", [](T& t) { t.mutable_underdamped()->set_step_size(0.7); },
       v1::Target::BIASED, 1, 0, 2},
      {"Igebm",
       [](T& t) {
         t.mutable_igebm()->set_step_size(0.1);
         t.mutable_igebm()->set_noise_std(0.3);
         t.mutable_igebm()->set_gradient_clip(100);
       },
       v1::Target::RECIPE, kDescent * 0.9 * 0.9, 0.45},
      {"Jem",
       [](T& t) {
         t.mutable_jem()->set_step_size(0.1);
         t.mutable_jem()->set_noise_std(0.3);
       },
       v1::Target::RECIPE, kDescent, 0.45},
      {"Minimize",
       [](T& t) {
         t.mutable_minimize()->set_step_size(0.2);
         t.mutable_minimize()->set_momentum(0.3);
       },
       v1::Target::RECIPE, 0},
  };
}

TEST_P(ContinuousTest, HasTheLawThatItDeclares) {
  const ContinuousCase& one = GetParam();
  v1::SampleRequest request = FeatureRequest("gauss_a", 4000, 150);
  one.fill(*request.mutable_transition());
  const SampleAnswer answer = SampleOk(request);
  const v1::Target& target = answer.accepted.target();
  EXPECT_EQ(target.kind(), one.target);
  EXPECT_EQ(target.order(), one.order);
  EXPECT_NEAR(target.effective_temperature(), one.effective_temperature, 1e-9);
  EXPECT_EQ(answer.accepted.transition().kind_case(),
            request.transition().kind_case());
  const bool rejects = one.target == v1::Target::EXACT;
  EXPECT_EQ(answer.summary.has_acceptance(), rejects);
  if (rejects) {
    EXPECT_GT(answer.summary.acceptance(), 0.2);
    EXPECT_LT(answer.summary.acceptance(), 1);
  }
  const std::vector<float> x = Column(answer.States(), 1, 0);
  ASSERT_EQ(x.size(), 4000U);
  // A variance of 0 leaves what rounding does.
  ExpectMean(x, 0, std::sqrt(one.variance) + 1e-5);
  if (one.variance > 0) ExpectVariance(x, 0, one.variance);
}

const auto kNameOfCase = [](const auto& info) {
  return std::string(info.param.name);
};
INSTANTIATE_TEST_SUITE_P(Exact, ContinuousTest,
                         ::testing::ValuesIn(ExactOnes()), kNameOfCase);
INSTANTIATE_TEST_SUITE_P(Others, ContinuousTest,
                         ::testing::ValuesIn(OtherOnes()), kNameOfCase);

// On models small enough to sum over all states.
struct DiscreteCase {
  const char* name;
  const char* model;
  std::vector<int64_t> shape;
  int classes;  // 0 = binary
  int64_t steps;
  std::function<void(v1::Transition&)> fill;
  bool rejects;
};
void PrintTo(const DiscreteCase& one, std::ostream* out) { *out << one.name; }

class DiscreteTest : public ::testing::TestWithParam<DiscreteCase> {};

std::vector<DiscreteCase> DiscreteOnes() {
  using T = v1::Transition;
  const auto gibbs = [](T& t) { t.mutable_gibbs(); };
  const auto metropolis = [](T& t) {
    t.mutable_site_metropolis()->set_sites(8);
  };
  const auto heat_bath = [](T& t) { t.mutable_site_heat_bath()->set_sites(8); };
  const auto with_gradients = [](T& t) { t.mutable_gibbs_with_gradients(); };
  const auto langevin = [](T& t) {
    t.mutable_discrete_langevin()->set_step_size(0.7);
  };
  return {
      {"GibbsRbm", "bars", {9}, 0, 3000, gibbs, false},
      {"GibbsBoltzmann", "deep", {6}, 0, 500, gibbs, false},
      {"GibbsIsing", "spins", {3, 3}, 0, 100, gibbs, false},
      {"GibbsPotts", "potts", {5, 3}, 3, 100, gibbs, false},
      {"SiteMetropolis", "spins", {3, 3}, 0, 100, metropolis, true},
      {"SiteMetropolisPotts", "potts", {5, 3}, 3, 100, metropolis, true},
      {"SiteHeatBath", "spins", {3, 3}, 0, 100, heat_bath, false},
      {"SiteHeatBathPotts", "potts", {5, 3}, 3, 100, heat_bath, false},
      {"GibbsWithGradients", "spins", {3, 3}, 0, 300, with_gradients, true},
      {"GibbsWithGradientsPotts",
       "potts",
       {5, 3},
       3,
       300,
       with_gradients,
       true},
      {"DiscreteLangevin", "spins", {3, 3}, 0, 300, langevin, true},
      {"DiscreteLangevinPotts", "potts", {5, 3}, 3, 300, langevin, true},
  };
}

// All states, [n, D]: the digits of 0, 1, ... in base 2 or `classes`.
std::vector<float> AllStates(const DiscreteCase& one) {
  size_t width = 1;
  for (const int64_t dim : one.shape) width *= dim;
  const size_t base = one.classes == 0 ? 2 : one.classes;
  const size_t sites = one.classes == 0 ? width : width / base;
  size_t count = 1;
  for (size_t i = 0; i < sites; ++i) count *= base;
  std::vector<float> states(count * width, 0);
  for (size_t n = 0; n < count; ++n) {
    size_t rest = n;
    for (size_t site = 0; site < sites; ++site, rest /= base) {
      if (one.classes > 0) {
        states[n * width + site * base + rest % base] = 1;
      } else {
        states[n * width + site] = static_cast<float>(rest % base);
      }
    }
  }
  return states;
}

TEST_P(DiscreteTest, HasTheExactEnergies) {
  const DiscreteCase& one = GetParam();
  v1::ScoreRequest score;
  score.mutable_model()->set_name(one.model);
  const std::vector<float> states = AllStates(one);
  std::vector<int64_t> shape = one.shape;
  int64_t width = 1;
  for (const int64_t dim : shape) width *= dim;
  shape.insert(shape.begin(), static_cast<int64_t>(states.size()) / width);
  *score.mutable_inputs() = FloatTensor(shape, states);
  const ScoreAnswer all = Score(Server(), score);
  ASSERT_TRUE(all.status.ok()) << all.status.error_message();
  double z = 0, mean = 0, square = 0;
  for (const float energy : FloatsOf(all.response.energies())) {
    const double weight = std::exp(-double{energy});
    z += weight;
    mean += weight * energy;
    square += weight * energy * energy;
  }
  mean /= z;
  const double stddev = std::sqrt(square / z - mean * mean);

  v1::SampleRequest request = FeatureRequest(one.model, 2000, one.steps);
  one.fill(*request.mutable_transition());
  const SampleAnswer answer = SampleOk(request);
  EXPECT_EQ(answer.accepted.target().kind(), v1::Target::EXACT);
  EXPECT_EQ(answer.summary.has_acceptance(), one.rejects);
  std::vector<float> energies;
  for (const v1::SampleEvent::Draws& draws : answer.draws) {
    for (const float e : FloatsOf(draws.energies())) energies.push_back(e);
  }
  ASSERT_EQ(energies.size(), 2000U);
  ExpectMean(energies, mean, stddev);
}

INSTANTIATE_TEST_SUITE_P(All, DiscreteTest, ::testing::ValuesIn(DiscreteOnes()),
                         kNameOfCase);

v1::Tensor Mask(const std::vector<int64_t>& shape, const std::string& bytes) {
  v1::Tensor mask;
  mask.set_dtype(v1::BOOL);
  for (const int64_t dim : shape) mask.add_shape(dim);
  mask.set_data(bytes);
  return mask;
}

// x1 | x0 = 1 of the joint normal is N(.8, .36).
TEST(Clamp, ConditionsOnWhatItHolds) {
  v1::SampleRequest request = FeatureRequest("joint", 2000, 200);
  request.set_keep_every(100);
  request.mutable_transition()->mutable_hmc()->set_step_size(0.4);
  request.mutable_transition()->mutable_hmc()->set_leaps(4);
  *request.mutable_clamp()->mutable_mask() = Mask({2}, std::string("\1\0", 2));
  *request.mutable_clamp()->mutable_values() = FloatTensor({1, 2}, {1, 99});
  const SampleAnswer answer = SampleOk(request);
  std::vector<float> last;
  for (const v1::SampleEvent::Draws& draws : answer.draws) {
    const std::vector<float> states = FloatsOf(draws.states());
    EXPECT_THAT(Column(states, 2, 0), ::testing::Each(1));
    if (draws.steps(draws.steps_size() - 1) < 200) continue;
    const std::vector<float> x1 = Column(states, 2, 1);
    const size_t chains = draws.states().shape(1);
    last.insert(last.end(), x1.end() - static_cast<int64_t>(chains), x1.end());
  }
  ASSERT_EQ(last.size(), 2000U);
  ExpectMean(last, 0.8, 0.6);
  ExpectVariance(last, 0.8, 0.36);
}

TEST(Clamp, EveryChainMayHaveItsOwnValues) {
  v1::SampleRequest request = FeatureRequest("spins", 2, 50);
  request.mutable_transition()->mutable_gibbs();
  *request.mutable_clamp()->mutable_mask() =
      Mask({3, 3}, std::string("\1\1\0\0\0\0\0\0\0", 9));
  std::vector<float> values(18, 0);
  values[0] = values[10] = 1;
  *request.mutable_clamp()->mutable_values() = FloatTensor({2, 3, 3}, values);
  const std::vector<float> states = SampleOk(request).States();
  EXPECT_EQ(Column(states, 9, 0), (std::vector<float>{1, 0}));
  EXPECT_EQ(Column(states, 9, 1), (std::vector<float>{0, 1}));
}

TEST(Clamp, WhatDoesNotFitIsRefused) {
  const auto status = [](const auto& fill) {
    v1::SampleRequest request = FeatureRequest("joint", 4, 10);
    request.mutable_transition()->mutable_mala()->set_step_size(0.1);
    *request.mutable_clamp()->mutable_mask() =
        Mask({2}, std::string("\1\0", 2));
    fill(*request.mutable_clamp());
    return Sample(Server(), request).status;
  };
  using Clamp = v1::SampleRequest::Clamp;
  EXPECT_THAT(status([](Clamp& clamp) {
                *clamp.mutable_mask() = Mask({3}, std::string("\1\0\0", 3));
              }),
              IsError(kInvalid, HasSubstr("clamp.mask.shape: expected")));
  EXPECT_THAT(status([](Clamp& clamp) {
                *clamp.mutable_mask() = FloatTensor({2}, {1, 0});
              }),
              IsError(kInvalid, HasSubstr("clamp.mask: expected BOOL")));
  EXPECT_THAT(status([](Clamp& clamp) { clamp.clear_mask(); }),
              IsError(kInvalid, HasSubstr("clamp.mask: expected BOOL")));
  EXPECT_THAT(
      status([](Clamp& clamp) { clamp.mutable_mask()->set_data("\1\1"); }),
      IsError(kInvalid, HasSubstr("one coordinate that is free")));
  EXPECT_THAT(
      status([](Clamp& clamp) {
        *clamp.mutable_values() = FloatTensor({3, 2}, std::vector<float>(6));
      }),
      IsError(kInvalid, HasSubstr("clamp.values.shape")));
  v1::SampleRequest half = FeatureRequest("potts", 1, 10);
  half.mutable_transition()->mutable_gibbs();
  *half.mutable_clamp()->mutable_mask() =
      Mask({5, 3}, std::string("\1", 1) + std::string(14, '\0'));
  EXPECT_THAT(Sample(Server(), half).status,
              IsError(kInvalid, HasSubstr("all classes of a site")));
}

// Standard deviations from .1 to 10: with their variances as the metric one
// step size suits all.
TEST(Metric, AVarianceEvensCoordinatesOut) {
  v1::SampleRequest request = FeatureRequest("narrow", 2000, 300);
  request.mutable_transition()->mutable_mala()->set_step_size(0.5);
  *request.mutable_metric()->mutable_variance() =
      FloatTensor({4}, {0.01F, 1, 1, 100});
  const SampleAnswer answer = SampleOk(request);
  EXPECT_GT(answer.summary.acceptance(), 0.5);
  const double stddev[] = {0.1, 1, 1, 10};
  for (size_t i = 0; i < 4; ++i) {
    const std::vector<float> x = Column(answer.States(), 4, i);
    ExpectMean(x, 0, stddev[i]);
    ExpectVariance(x, 0, stddev[i] * stddev[i]);
  }
}

TEST(Metric, ACovarianceShapesTheRandomWalk) {
  v1::SampleRequest request = FeatureRequest("joint", 2000, 200);
  request.mutable_transition()->mutable_random_walk()->set_step_size(1.7);
  *request.mutable_metric()->mutable_covariance() =
      FloatTensor({2, 2}, {1, 0.8F, 0.8F, 1});
  const SampleAnswer answer = SampleOk(request);
  std::vector<float> sums;
  std::vector<float> differences;
  const std::vector<float> states = answer.States();
  for (size_t i = 0; i < states.size(); i += 2) {
    sums.push_back(states[i] + states[i + 1]);
    differences.push_back(states[i] - states[i + 1]);
  }
  ExpectVariance(sums, 0, 3.6);
  ExpectVariance(differences, 0, 0.4);
}

TEST(Metric, WhatDoesNotFitIsRefused) {
  v1::SampleRequest request = FeatureRequest("joint", 1, 10);
  request.mutable_transition()->mutable_mala()->set_step_size(0.1);
  *request.mutable_metric()->mutable_variance() = FloatTensor({2}, {1, 0});
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("metric.variance: expected values")));
  *request.mutable_metric()->mutable_covariance() =
      FloatTensor({2, 2}, {1, 0, 0, 1});
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("metric.covariance: expected "
                                          "random_walk")));
  request.mutable_transition()->mutable_random_walk()->set_step_size(0.1);
  *request.mutable_metric()->mutable_covariance() =
      FloatTensor({2, 2}, {1, 2, 2, 1});
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("positive definite")));
  request = FeatureRequest("spins", 1, 10);
  request.mutable_transition()->mutable_gibbs();
  *request.mutable_metric()->mutable_variance() =
      FloatTensor({3, 3}, std::vector<float>(9, 2));
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("metric: expected none for gibbs")));
}

// A normal that keeps to x0 >= 0 and x1 <= 0.
TEST(BoxOfEachCoordinate, IsKeptTo) {
  v1::SampleRequest request = FeatureRequest("tagged", 2000, 200);
  request.mutable_transition()->mutable_mala()->set_step_size(0.4);
  *request.mutable_box()->mutable_lower_each() = FloatTensor({2}, {0, -50});
  *request.mutable_box()->mutable_upper_each() = FloatTensor({2}, {50, 0});
  const std::vector<float> states = SampleOk(request).States();
  const double mean = std::sqrt(2 / M_PI);
  const double stddev = std::sqrt(1 - mean * mean);
  const std::vector<float> right = Column(states, 2, 0);
  const std::vector<float> left = Column(states, 2, 1);
  EXPECT_THAT(right, ::testing::Each(::testing::Ge(0)));
  EXPECT_THAT(left, ::testing::Each(::testing::Le(0)));
  ExpectMean(right, mean, stddev);
  ExpectMean(left, -mean, stddev);
  *request.mutable_box()->mutable_upper_each() = FloatTensor({2}, {0, 0});
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("lower < upper")));
}

TEST(Conditioning, HmcHonoursContextInputs) {
  v1::SampleRequest request = FeatureRequest("regression", 1000, 100);
  request.mutable_transition()->mutable_hmc()->set_step_size(0.1);
  request.mutable_transition()->mutable_hmc()->set_leaps(10);
  (*request.mutable_context())["x"] = FloatTensor({1, 1}, {1});
  const std::vector<float> y = Column(SampleOk(request).States(), 1, 0);
  ExpectMean(y, std::sin(1.0), 0.1);
  ExpectVariance(y, std::sin(1.0), 0.01);
}

TEST(Unfit, IsRefusedWithTheRemedy) {
  v1::SampleRequest request = FeatureRequest("gauss_a", 1, 10);
  request.mutable_transition()->mutable_gibbs();
  EXPECT_THAT(
      Sample(Server(), request).status,
      IsError(kInvalid, ::testing::AllOf(HasSubstr("conditional laws"),
                                         HasSubstr("These fit: ula, mala"))));
  request = FeatureRequest("bars", 1, 10);
  request.mutable_transition()->mutable_hmc()->set_step_size(0.1);
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("expected one for a binary domain")));
  request = FeatureRequest("gauss_a", 1, 10);
  request.mutable_transition()->mutable_delayed_acceptance()->set_step_size(1);
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("surrogate: expected the name")));
  v1::ModelRef& surrogate = *request.mutable_transition()
                                 ->mutable_delayed_acceptance()
                                 ->mutable_surrogate();
  surrogate.set_name("joint");
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("model of the domain of gauss_a")));
  surrogate.set_name("nobody");
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(grpc::StatusCode::NOT_FOUND, HasSubstr("nobody")));
}

TEST(Unfit, CountsAndLengthsAreRefused) {
  const auto status = [](const auto& fill) {
    v1::SampleRequest request = FeatureRequest("gauss_a", 1, 10);
    request.mutable_transition()->mutable_hmc()->set_step_size(0.1);
    fill(request);
    return Sample(Server(), request).status;
  };
  using R = v1::SampleRequest;
  EXPECT_THAT(status([](R& r) { r.set_chains(-3); }),
              IsError(kInvalid, HasSubstr("chains: expected 1 to")));
  EXPECT_THAT(status([](R& r) { r.set_steps(1'000'000'000'000); }),
              IsError(kInvalid, HasSubstr("steps: expected 1 to 1000000000")));
  EXPECT_THAT(status([](R& r) { r.set_warmup(1'000'000'000'000); }),
              IsError(kInvalid, HasSubstr("warmup: expected 0 to")));
  EXPECT_THAT(
      status([](R& r) {
        r.mutable_transition()->mutable_hmc()->set_leaps(1'000'000'000'000);
      }),
      IsError(kInvalid, HasSubstr("leaps")));
  EXPECT_THAT(status([](R& r) {
                r.mutable_transition()->mutable_hmc()->set_jitter(2);
              }),
              IsError(kInvalid, HasSubstr("jitter")));
}

}  // namespace
}  // namespace basin::testing
