// Compositions of served models, by request and by configuration, over gRPC.

#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/example_models.h"
#include "tests/integration/feature_models.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

void AddTerm(v1::ModelRef::Terms& terms, const std::string& model,
             double weight) {
  v1::ModelRef::Term& term = *terms.add_terms();
  term.set_model(model);
  term.set_weight(weight);
}

// N(0, 1) times N(2, 1/2): precision 1 + 2, mean 4/3.
TEST(Composition, ProductOfGaussiansIsTheAnalyticOne) {
  v1::SampleRequest request = FeatureRequest("", 2000, 100);
  v1::ModelRef& model = *request.mutable_model();
  AddTerm(*model.mutable_product(), "gauss_a", 1);
  AddTerm(*model.mutable_product(), "gauss_b", 1);
  request.mutable_transition()->mutable_mala()->set_step_size(0.3);
  const std::vector<float> states = States(request);
  ASSERT_EQ(states.size(), 2000U);
  ExpectMean(states, 4.0 / 3, std::sqrt(1.0 / 3));
  ExpectVariance(states, 4.0 / 3, 1.0 / 3);
}

TEST(Composition, RequestAndConfigurationAgree) {
  v1::ScoreRequest named = ScoreOf("gauss_product", {3, 1}, {-1, 0.5F, 2});
  v1::ScoreRequest composed = named;
  composed.mutable_model()->Clear();
  AddTerm(*composed.mutable_model()->mutable_product(), "gauss_a", 1);
  AddTerm(*composed.mutable_model()->mutable_product(), "gauss_b", 0.5);
  EXPECT_EQ(Energies(composed), Energies(named));
  composed.mutable_model()->set_temperature(2);
  const std::vector<float> halves = Energies(composed);
  EXPECT_NEAR(halves[0], Energies(named)[0] / 2, 1e-6);
}

TEST(Composition, MixtureAndDifferenceAreTheirDefinitions) {
  const v1::ScoreRequest a = ScoreOf("gauss_a", {2, 1}, {-1, 1.5F});
  v1::ScoreRequest b = a;
  b.mutable_model()->set_name("gauss_b");
  v1::ScoreRequest mixture = a;
  mixture.mutable_model()->Clear();
  AddTerm(*mixture.mutable_model()->mutable_mixture(), "gauss_a", 0.3);
  AddTerm(*mixture.mutable_model()->mutable_mixture(), "gauss_b", 0.7);
  v1::ScoreRequest difference = a;
  difference.mutable_model()->Clear();
  AddTerm(*difference.mutable_model()->mutable_difference(), "gauss_a", 1);
  AddTerm(*difference.mutable_model()->mutable_difference(), "gauss_b", 0.25);
  const std::vector<float> ea = Energies(a);
  const std::vector<float> eb = Energies(b);
  const std::vector<float> mixed = Energies(mixture);
  const std::vector<float> differ = Energies(difference);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(mixed[i],
                -std::log(0.3 * std::exp(-ea[i]) + 0.7 * std::exp(-eb[i])),
                1e-5);
    EXPECT_NEAR(differ[i], ea[i] - 0.25 * eb[i], 1e-5);
  }
}

TEST(Composition, ClassEnergiesAreThoseOfEachLabel) {
  v1::ScoreRequest request = ScoreOf("", {3, 2}, {2, 0, -1, 1, 0.5F, -3});
  AddTerm(*request.mutable_model()->mutable_product(), "ring", 0.3);
  AddTerm(*request.mutable_model()->mutable_product(), "blobs", 1);
  request.mutable_model()->set_temperature(2);
  request.set_want_class_energies(true);
  const ScoreAnswer answer = Score(ExampleServer(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_THAT(ShapeOf(answer.response.class_energies()),
              ::testing::ElementsAre(3, 3));
  const std::vector<float> classes = FloatsOf(answer.response.class_energies());
  ASSERT_EQ(classes.size(), 9U);
  v1::ScoreRequest one = request;
  one.mutable_model()->Clear();
  one.mutable_model()->set_name("blobs");
  const std::vector<float> of_blobs =
      FloatsOf(Score(ExampleServer(), one).response.class_energies());
  one.mutable_model()->set_name("ring");
  one.set_want_class_energies(false);
  const std::vector<float> of_ring = Energies(one);
  for (int64_t y = 0; y < 3; ++y) {
    request.set_label(y);
    const std::vector<float> of_label = Energies(request);
    for (size_t row = 0; row < 3; ++row) {
      const size_t at = 3 * row + static_cast<size_t>(y);
      EXPECT_EQ(classes[at], of_label[row]) << row << " " << y;
      EXPECT_NEAR(classes[at], (0.3 * of_ring[row] + of_blobs[at]) / 2, 1e-5);
    }
  }
}

TEST(Composition, WithoutClassesThereAreNoClassEnergies) {
  v1::ScoreRequest request = ScoreOf("gauss_product", {1, 1}, {0});
  request.set_want_class_energies(true);
  EXPECT_THAT(Score(ExampleServer(), request).status,
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("want_class_energies: expected a composition "
                                "of classifiers with as many classes each")));
}

TEST(Composition, WhatDoesNotFitIsRefused) {
  const auto status = [](const auto& fill) {
    v1::ScoreRequest request = ScoreOf("", {1, 1}, {0});
    fill(*request.mutable_model());
    return Score(ExampleServer(), request).status;
  };
  EXPECT_THAT(
      status([](v1::ModelRef& model) {
        AddTerm(*model.mutable_product(), "gauss_a", 1);
        AddTerm(*model.mutable_product(), "ising", 1);
      }),
      IsError(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("one domain")));
  EXPECT_THAT(status([](v1::ModelRef& model) {
                AddTerm(*model.mutable_mixture(), "nobody", 1);
              }),
              IsError(grpc::StatusCode::NOT_FOUND, HasSubstr("nobody")));
  EXPECT_THAT(status([](v1::ModelRef& model) { model.mutable_product(); }),
              IsError(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("terms")));
  EXPECT_THAT(status([](v1::ModelRef& model) {
                model.set_name("gauss_a");
                AddTerm(*model.mutable_product(), "gauss_b", 1);
              }),
              IsError(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("both")));
  EXPECT_THAT(status([](v1::ModelRef& model) {
                AddTerm(*model.mutable_product(), "gauss_a", NAN);
              }),
              IsError(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("weight")));
}

}  // namespace
}  // namespace basin::testing
