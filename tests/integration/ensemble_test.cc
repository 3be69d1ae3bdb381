// What the chains of a request do together, over gRPC: adaptation, tempering,
// annealing with ln Z, early stopping.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include "tests/integration/feature_models.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/temp_dir.h"

#include "basin/v1/sampler.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr auto kInvalid = grpc::StatusCode::INVALID_ARGUMENT;
using Annealing = v1::SampleRequest::Annealing;

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

TEST(Adapt, TunesWhatNobodyHasSaid) {
  v1::SampleRequest request = FeatureRequest("narrow", 64, 200);
  // Of a fixed length, paths would come back to where they began for some
  // steps, and acceptance would not fall as steps grow.
  request.mutable_transition()->mutable_hmc()->set_leaps(8);
  request.mutable_transition()->mutable_hmc()->set_jitter(0.5);
  const SampleAnswer answer = SampleOk(request);
  // A warm-up came with it.
  EXPECT_EQ(answer.summary.chain_steps(), 64 * 700);
  EXPECT_NEAR(answer.summary.acceptance(), 0.651, 0.2);
  const std::vector<float> variance = FloatsOf(answer.summary.tuned_variance());
  ASSERT_EQ(variance.size(), 4U);
  const double exact[] = {0.01, 1, 1, 100};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(std::log(variance[i] / exact[i]), 0, 0.3);
  }
}

TEST(Adapt, WhatItCameToCanBeSentBack) {
  v1::SampleRequest request = FeatureRequest("narrow", 64, 100);
  request.mutable_transition()->mutable_mala();
  const SampleAnswer tuned = SampleOk(request);
  *request.mutable_transition() = tuned.summary.tuned();
  *request.mutable_metric()->mutable_variance() =
      tuned.summary.tuned_variance();
  request.set_warmup(500);
  const SampleAnswer again = SampleOk(request);
  EXPECT_EQ(again.accepted.transition().mala().step_size(),
            tuned.summary.tuned().mala().step_size());
  EXPECT_FALSE(again.summary.has_tuned());
  EXPECT_NEAR(again.summary.acceptance(), 0.574, 0.1);
}

TEST(Adapt, DelayedAcceptanceHasNothingToTune) {
  v1::SampleRequest request = FeatureRequest("gauss_a", 16, 10);
  auto& delayed = *request.mutable_transition()->mutable_delayed_acceptance();
  delayed.set_step_size(0.7);
  delayed.mutable_surrogate()->set_name("wide");
  const SampleAnswer first = SampleOk(request);
  EXPECT_FALSE(first.summary.has_tuned());
  // What the server says it runs can be sent back.
  *request.mutable_transition() = first.accepted.transition();
  EXPECT_EQ(SampleOk(request).States(), first.States());
  request.mutable_transition()->mutable_delayed_acceptance()->clear_step_size();
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("step_size")));
}

TEST(Adapt, TheTargetIsTheClients) {
  v1::SampleRequest request = FeatureRequest("narrow", 64, 200);
  request.mutable_transition()->mutable_random_walk()->set_step_size(3);
  request.set_warmup(600);
  request.mutable_adapt()->set_target_acceptance(0.5);
  EXPECT_NEAR(SampleOk(request).summary.acceptance(), 0.5, 0.1);
  request.mutable_adapt()->set_target_acceptance(1.5);
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("adapt.target_acceptance")));
  request.mutable_transition()->mutable_ula()->set_step_size(0.1);
  request.clear_adapt();
  request.mutable_adapt();
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("adapt: expected a transition")));
}

// No chain crosses between the modes by itself.
v1::SampleRequest FarRequest(int64_t chains, int64_t steps) {
  v1::SampleRequest request = FeatureRequest("far", chains, steps);
  *request.mutable_states() = FloatTensor({1, 1}, {-6});
  request.mutable_transition()->mutable_mala()->set_step_size(0.7);
  return request;
}

TEST(Tempering, FindsFarModesInTheirShares) {
  v1::SampleRequest request = FarRequest(400, 800);
  const auto share = [](const SampleAnswer& answer) {
    const std::vector<float> states = answer.States();
    double right = 0;
    for (const float x : states) right += x > 0 ? 1 : 0;
    return right / static_cast<double>(states.size());
  };
  EXPECT_LT(share(SampleOk(request)), 0.01);
  request.set_warmup(400);
  request.mutable_tempering()->set_levels(6);
  request.mutable_tempering()->set_least(0.03);
  const SampleAnswer answer = SampleOk(request);
  ASSERT_EQ(answer.States().size(), 400U);
  EXPECT_NEAR(share(answer), 0.75, 5 * std::sqrt(0.75 * 0.25 / 400));
  ASSERT_EQ(answer.summary.replicas_size(), 6);
  EXPECT_GT(answer.summary.round_trips(), 0);
  double before = INFINITY;
  for (const v1::SampleEvent::Replica& replica : answer.summary.replicas()) {
    EXPECT_LT(replica.inverse_temperature(), before);
    before = replica.inverse_temperature();
    EXPECT_GT(replica.acceptance(), 0.1);
    EXPECT_TRUE(std::isfinite(replica.mean_energy()));
  }
  EXPECT_EQ(answer.summary.replicas(0).inverse_temperature(), 1);
  for (int k = 0; k < 5; ++k) {
    EXPECT_GT(answer.summary.replicas(k).swap_rate(), 0.2);
    EXPECT_LT(answer.summary.replicas(k).swap_rate(), 1);
  }
  EXPECT_FALSE(answer.summary.replicas(5).has_swap_rate());
}

TEST(Tempering, OfDiscreteStates) {
  v1::SampleRequest request = FeatureRequest("ising", 2000, 200);
  request.mutable_transition()->mutable_gibbs();
  for (const double factor : {1.0, 0.7, 0.4}) {
    request.mutable_tempering()->add_ladder(factor);
  }
  const SampleAnswer answer = SampleOk(request);
  std::vector<float> energies;
  for (const v1::SampleEvent::Draws& draws : answer.draws) {
    for (const float e : FloatsOf(draws.energies())) energies.push_back(e);
  }
  ASSERT_EQ(energies.size(), 2000U);
  // K = .5 on 4 x 4: E/N = -1.7553802888 in units of the coupling.
  ExpectMean(energies, -0.5 * 16 * 1.7553802888, 0.5 * 7);
  EXPECT_LT(answer.summary.replicas(0).mean_energy(),
            answer.summary.replicas(2).mean_energy());
}

TEST(Tempering, BadLaddersAreRefused) {
  const auto status = [](const std::vector<double>& ladder, const auto& fill) {
    v1::SampleRequest request = FarRequest(1, 10);
    auto& tempering = *request.mutable_tempering();
    tempering.mutable_ladder()->Add(ladder.begin(), ladder.end());
    fill(tempering);
    return Sample(Server(), request).status;
  };
  using Tempering = v1::SampleRequest::Tempering;
  const auto nothing = [](Tempering&) {};
  EXPECT_THAT(status({1, 0.3, 0.5}, nothing),
              IsError(kInvalid, HasSubstr("tempering.ladder")));
  EXPECT_THAT(status({1, 0.5, 0.5}, nothing),
              IsError(kInvalid, HasSubstr("tempering.ladder")));
  EXPECT_THAT(status({0.9, 0.5}, nothing),
              IsError(kInvalid, HasSubstr("tempering.ladder[0]: expected 1")));
  EXPECT_THAT(status({1, NAN}, nothing),
              IsError(kInvalid, HasSubstr("got nan")));
  EXPECT_THAT(status({}, nothing),
              IsError(kInvalid, HasSubstr("tempering.levels: expected 2")));
  EXPECT_THAT(status({}, [](Tempering& t) { t.set_levels(1 << 30); }),
              IsError(kInvalid, HasSubstr("tempering.levels: expected 2")));
  EXPECT_THAT(status({}, [](Tempering& t) { t.set_levels(4); }),
              IsError(kInvalid, HasSubstr("tempering.least")));
  EXPECT_THAT(status({1, 0.5}, [](Tempering& t) { t.set_levels(4); }),
              IsError(kInvalid, HasSubstr("either ladder or levels")));
  EXPECT_THAT(status({1, 0.5}, [](Tempering& t) { t.set_swap_every(-1); }),
              IsError(kInvalid, HasSubstr("tempering.swap_every")));
}

void ExpectCovers(const SampleAnswer& answer, double exact) {
  ASSERT_TRUE(answer.summary.has_log_z());
  const v1::SampleEvent::LogZ& log_z = answer.summary.log_z();
  EXPECT_LE(log_z.lower(), exact);
  EXPECT_GE(log_z.upper(), exact);
  EXPECT_LT(log_z.upper() - log_z.lower(), 1);
  EXPECT_LE(log_z.lower(), log_z.value());
  EXPECT_GE(log_z.upper(), log_z.value());
  EXPECT_EQ(log_z.level(), 0.95);
  EXPECT_GT(log_z.standard_error(), 0);
}

constexpr double kIsingLogZ = 17.1053671187;  // 4 x 4, K = .5

v1::SampleRequest AnnealedIsing() {
  v1::SampleRequest request = FeatureRequest("ising", 512, 1);
  request.mutable_transition()->mutable_gibbs();
  request.mutable_annealing()->set_levels(50);
  return request;
}

TEST(AnnealingTest, ImportanceWeightsGiveLogZ) {
  v1::SampleRequest request = AnnealedIsing();
  request.mutable_annealing()->set_weights(Annealing::IMPORTANCE);
  const SampleAnswer answer = SampleOk(request);
  ExpectCovers(answer, kIsingLogZ);
  EXPECT_EQ(answer.summary.log_z().num_weights(), 512);
  EXPECT_TRUE(answer.summary.log_z().reliable());
  EXPECT_FALSE(answer.summary.log_z().from_above());
  EXPECT_FALSE(answer.summary.log_z().ratio());
  EXPECT_THAT(ShapeOf(answer.summary.log_weights()),
              ::testing::ElementsAre(512));
  // The value is what the weights say: log volume + log mean exp.
  ASSERT_EQ(answer.summary.log_weights().dtype(), v1::FLOAT64);
  std::vector<double> weights(512);
  std::memcpy(weights.data(), answer.summary.log_weights().data().data(),
              512 * sizeof(double));
  double sum = 0;
  for (const double weight : weights) sum += std::exp(weight);
  EXPECT_NEAR(answer.summary.log_z().value(),
              16 * std::log(2.0) + std::log(sum / 512), 1e-9);
}

TEST(AnnealingTest, APopulationGivesLogZ) {
  v1::SampleRequest request = AnnealedIsing();
  request.mutable_annealing()->set_weights(Annealing::POPULATION);
  request.mutable_annealing()->set_islands(16);
  request.set_steps(20);
  const SampleAnswer answer = SampleOk(request);
  ExpectCovers(answer, kIsingLogZ);
  EXPECT_EQ(answer.summary.log_z().num_weights(), 16);
}

// exp(-8 (|x| - 2)^2): 2 pi times the mean of r over the normal's constant.
TEST(AnnealingTest, OnABox) {
  const double exact = std::log(2 * M_PI * 2 * 0.25 * std::sqrt(2 * M_PI));
  v1::SampleRequest request = FeatureRequest("ring", 1024, 1);
  request.mutable_transition()->mutable_random_walk()->set_step_size(0.5);
  request.set_warmup(400);
  request.mutable_annealing()->set_levels(100);
  request.mutable_annealing()->set_power(3);
  request.mutable_annealing()->set_weights(Annealing::IMPORTANCE);
  ExpectCovers(SampleOk(request), exact);
  request.mutable_box()->set_upper(3);
  EXPECT_THAT(
      Sample(Server(), request).status,
      IsError(kInvalid,
              HasSubstr("where the initial law is uniform, got [-4, 3]")));
}

// From exact samples back to where the path begins: the other half of a
// bracket.
TEST(AnnealingTest, BackwardsFromExactSamples) {
  v1::SampleRequest samples = FeatureRequest("ising", 512, 300);
  samples.mutable_transition()->mutable_gibbs();
  v1::SampleRequest request = AnnealedIsing();
  *request.mutable_states() =
      FloatTensor({512, 4, 4}, SampleOk(samples).States());
  request.mutable_transition()->mutable_site_metropolis()->set_sites(16);
  request.mutable_annealing()->set_weights(Annealing::IMPORTANCE);
  request.mutable_annealing()->set_direction(Annealing::REVERSE);
  const SampleAnswer answer = SampleOk(request);
  ExpectCovers(answer, kIsingLogZ);
  EXPECT_TRUE(answer.summary.log_z().from_above());
  request.mutable_transition()->mutable_gibbs();
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("reversible")));
}

// Both are normalised, so that the logarithm of the ratio is 0.
TEST(AnnealingTest, FromOneModelToAnother) {
  v1::SampleRequest samples = FeatureRequest("wide", 512, 100);
  samples.mutable_transition()->mutable_hmc()->set_step_size(0.5);
  v1::SampleRequest request = FeatureRequest("gauss_a", 512, 1);
  *request.mutable_states() = FloatTensor({512, 1}, SampleOk(samples).States());
  request.mutable_transition()->mutable_mala()->set_step_size(0.5);
  request.mutable_annealing()->set_levels(20);
  request.mutable_annealing()->mutable_base()->set_name("wide");
  for (const auto weights : {Annealing::IMPORTANCE, Annealing::POPULATION}) {
    request.mutable_annealing()->set_weights(weights);
    const SampleAnswer answer = SampleOk(request);
    ExpectCovers(answer, 0);
    EXPECT_TRUE(answer.summary.log_z().ratio());
  }
  request.mutable_annealing()->mutable_base()->set_name("joint");
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(kInvalid, HasSubstr("annealing.base")));
}

TEST(AnnealingTest, FewWeightsAreSaidToBeFew) {
  v1::SampleRequest request = AnnealedIsing();
  request.set_chains(16);
  request.mutable_annealing()->set_levels(1);
  request.mutable_annealing()->set_weights(Annealing::IMPORTANCE);
  const SampleAnswer answer = SampleOk(request);
  EXPECT_FALSE(answer.summary.log_z().reliable());
  EXPECT_THAT(answer.summary.warnings(), Contains(HasSubstr("lower bound")));
}

TEST(AnnealingTest, WithoutWeightsItFindsTheGroundState) {
  v1::SampleRequest request = AnnealedIsing();
  request.set_inverse_temperature(8);
  const SampleAnswer answer = SampleOk(request);
  EXPECT_FALSE(answer.summary.has_log_z());
  EXPECT_LT(answer.summary.mean_energy(), -15);
}

TEST(AnnealingTest, BadPathsAreRefused) {
  const auto status = [](const auto& fill) {
    v1::SampleRequest request = AnnealedIsing();
    fill(request);
    return Sample(Server(), request).status;
  };
  using R = v1::SampleRequest;
  const auto schedule = [](const std::vector<double>& t) {
    return [t](R& r) {
      r.mutable_annealing()->clear_levels();
      r.mutable_annealing()->mutable_schedule()->Add(t.begin(), t.end());
    };
  };
  EXPECT_THAT(status(schedule({0.5, 0.4, 1})),
              IsError(kInvalid, HasSubstr("annealing.schedule[1]: expected")));
  EXPECT_THAT(status(schedule({0.5, 0.9})),
              IsError(kInvalid, HasSubstr("1 as the last value")));
  EXPECT_THAT(status(schedule({NAN, 1})),
              IsError(kInvalid, HasSubstr("got nan")));
  EXPECT_THAT(status(schedule({})),
              IsError(kInvalid, HasSubstr("annealing.levels: expected 1 to")));
  EXPECT_THAT(status([](R& r) {
                r.mutable_annealing()->set_levels(1'000'000'000'000);
              }),
              IsError(kInvalid, HasSubstr("annealing.levels: expected 1 to")));
  EXPECT_THAT(status([](R& r) { r.set_warmup(20); }),
              IsError(kInvalid, HasSubstr("they share the warmup")));
  EXPECT_THAT(status([](R& r) { r.mutable_annealing()->set_islands(2); }),
              IsError(kInvalid, HasSubstr("annealing.islands")));
  EXPECT_THAT(status([](R& r) {
                r.mutable_annealing()->set_weights(Annealing::IMPORTANCE);
                r.mutable_annealing()->set_resample_below(0.3);
              }),
              IsError(kInvalid, HasSubstr("annealing.resample_below")));
  EXPECT_THAT(status([](R& r) {
                r.mutable_annealing()->set_weights(Annealing::POPULATION);
                r.mutable_annealing()->set_islands(7);
              }),
              IsError(kInvalid, HasSubstr("annealing.islands")));
  EXPECT_THAT(
      status([](R& r) {
        r.mutable_annealing()->set_weights(Annealing::IMPORTANCE);
        *r.mutable_states() = FloatTensor({1, 4, 4}, std::vector<float>(16));
      }),
      IsError(kInvalid, HasSubstr("init: expected noise")));
  EXPECT_THAT(status([](R& r) { r.mutable_tempering()->add_ladder(1); }),
              IsError(kInvalid, HasSubstr("tempering")));
}

TEST(StopWhen, EndsOnceItHolds) {
  v1::SampleRequest request = FeatureRequest("gauss_a", 16, 20'000);
  request.mutable_transition()->mutable_mala()->set_step_size(0.9);
  request.set_keep_every(1);
  request.mutable_stop_when()->set_rhat_below(1.01);
  request.mutable_stop_when()->set_ess_above(1000);
  const SampleAnswer answer = SampleOk(request);
  EXPECT_TRUE(answer.summary.converged());
  EXPECT_LT(answer.summary.steps(), 20'000);
  EXPECT_EQ(answer.summary.chain_steps(), 16 * answer.summary.steps());
  EXPECT_LT(answer.summary.rhat(), 1.01);
  EXPECT_GT(answer.summary.ess(), 1000);
  EXPECT_GT(answer.summary.ess_tail(), 1000);
  size_t frames = 0;
  for (const v1::SampleEvent::Draws& draws : answer.draws) {
    frames += draws.steps_size();
  }
  EXPECT_EQ(frames, static_cast<size_t>(answer.summary.steps()));
  // Without the condition the same chains go on.
  request.clear_stop_when();
  request.set_steps(answer.summary.steps());
  EXPECT_EQ(SampleOk(request).States(), answer.States());
}

TEST(StopWhen, ProgressShowsWhatIsWaitedFor) {
  v1::SampleRequest request = FeatureRequest("gauss_a", 16, 1'000'000);
  request.mutable_transition()->mutable_mala()->set_step_size(0.9);
  request.set_keep_every(500);
  request.mutable_output()->set_states(false);
  request.mutable_stop_when()->set_ess_above(1e12);
  grpc::ClientContext context;
  const auto stub = v1::Sampler::NewStub(Server().channel());
  const auto reader = stub->Sample(&context, request);
  v1::SampleEvent event;
  while (reader->Read(&event)) {
    if (event.progress().has_rhat()) break;
  }
  EXPECT_GT(event.progress().rhat(), 0.9);
  EXPECT_LT(event.progress().rhat(), 2);
  EXPECT_GT(event.progress().ess(), 0);
  context.TryCancel();
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(StopWhen, WhatDoesNotFitIsRefused) {
  const auto status = [](const auto& fill) {
    v1::SampleRequest request = FeatureRequest("gauss_a", 4, 100);
    request.set_keep_every(1);
    fill(request);
    return Sample(Server(), request).status;
  };
  using R = v1::SampleRequest;
  EXPECT_THAT(status([](R& r) { r.mutable_stop_when(); }),
              IsError(kInvalid, HasSubstr("stop_when: expected rhat_below")));
  EXPECT_THAT(status([](R& r) { r.mutable_stop_when()->set_rhat_below(0.9); }),
              IsError(kInvalid, HasSubstr("stop_when.rhat_below")));
  EXPECT_THAT(status([](R& r) { r.mutable_stop_when()->set_ess_above(-1); }),
              IsError(kInvalid, HasSubstr("stop_when")));
  EXPECT_THAT(status([](R& r) {
                r.clear_keep_every();
                r.mutable_stop_when()->set_ess_above(10);
              }),
              IsError(kInvalid, HasSubstr("keep_every: expected at least 1")));
  // More than can be looked at, so that it could never hold.
  EXPECT_THAT(status([](R& r) {
                r.set_steps(10'000'000);
                r.mutable_stop_when()->set_ess_above(10);
              }),
              IsError(kInvalid, HasSubstr("stop_when: expected at most")));
}

}  // namespace
}  // namespace basin::testing
