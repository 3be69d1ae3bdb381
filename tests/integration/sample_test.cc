// Sampler.Sample against the real server.

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"

#include "basin/v1/sampler.grpc.pb.h"
#include "basin/v1/status.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

const ServerProcess& Server() {
  static const ServerProcess server;
  return server;
}

v1::ServerStatus StatusOf(const ServerProcess& server) {
  grpc::ClientContext context;
  v1::ServerStatus status;
  EXPECT_TRUE(v1::Status::NewStub(server.channel())
                  ->Get(&context, v1::GetStatusRequest(), &status)
                  .ok());
  return status;
}

// Asks the server until no request is under way there.
void WaitForNoJobs(const ServerProcess& server) {
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (StatusOf(server).jobs() > 0 && absl::Now() < end) {
  }
  EXPECT_EQ(StatusOf(server).jobs(), 0);
}

TEST(Sample, AnswersInOrderWithTheLastStates) {
  const SampleAnswer answer = Sample(Server(), MixtureRequest(16, 50));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.order.front(), "accepted");
  EXPECT_EQ(answer.order.back(), "summary");
  ASSERT_EQ(answer.draws.size(), 1U);
  EXPECT_THAT(ShapeOf(answer.draws[0].states()), ElementsAre(1, 16, 2));
  EXPECT_THAT(ShapeOf(answer.draws[0].energies()), ElementsAre(1, 16));
  EXPECT_FALSE(answer.draws[0].has_gradients());
  EXPECT_THAT(answer.draws[0].steps(), ElementsAre(50));
  for (const float value : answer.States()) EXPECT_TRUE(std::isfinite(value));
}

TEST(Sample, SaysWhatItRan) {
  const SampleAnswer answer = Sample(Server(), MixtureRequest(8, 40));
  EXPECT_EQ(answer.accepted.seed(), 7U);
  EXPECT_EQ(answer.accepted.model_version(), 1);
  EXPECT_EQ(answer.accepted.steps(), 40);
  EXPECT_EQ(answer.accepted.target().kind(), v1::Target::EXACT);
  EXPECT_EQ(answer.accepted.transition().mala().step_size(), 0.25);
  EXPECT_THAT(answer.accepted.request_id(), Not(::testing::IsEmpty()));
  EXPECT_EQ(answer.summary.chain_steps(), 8 * 40);
  EXPECT_GT(answer.summary.acceptance(), 0);
  EXPECT_LE(answer.summary.acceptance(), 1);
  EXPECT_EQ(answer.summary.divergences(), 0);
  EXPECT_FALSE(answer.summary.truncated());
  EXPECT_GT(answer.summary.timings().running_seconds(), 0);
}

TEST(Sample, TakesTheModelsDefaults) {
  v1::SampleRequest request;
  request.mutable_model()->set_name("mnist_ebm");
  request.set_steps(3);
  const SampleAnswer answer = Sample(Server(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.accepted.target().kind(), v1::Target::RECIPE);
  EXPECT_GT(answer.accepted.target().effective_temperature(), 0);
  EXPECT_TRUE(answer.accepted.transition().has_igebm());
  EXPECT_FALSE(answer.summary.has_acceptance());
  EXPECT_THAT(ShapeOf(answer.draws.at(0).states()),
              ElementsAre(1, 1, 1, 28, 28));
  for (const float value : answer.States()) {
    EXPECT_GE(value, 0);
    EXPECT_LE(value, 1);
  }
}

TEST(Sample, KeepsEveryKthStateAndDiagnoses) {
  v1::SampleRequest request = MixtureRequest(4, 4000);
  request.set_warmup(100);
  request.set_keep_every(10);
  request.mutable_output()->set_gradients(true);
  const SampleAnswer answer = Sample(Server(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  std::vector<int64_t> steps;
  for (const v1::SampleEvent::Draws& draws : answer.draws) {
    steps.insert(steps.end(), draws.steps().begin(), draws.steps().end());
    EXPECT_EQ(ShapeOf(draws.gradients()), ShapeOf(draws.states()));
  }
  ASSERT_THAT(steps, SizeIs(400));
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i], 10 * static_cast<int64_t>(i + 1));
  }
  EXPECT_EQ(answer.summary.chain_steps(), 4 * 4100);
  EXPECT_TRUE(answer.summary.has_rhat());
  EXPECT_GT(answer.summary.ess(), 1);
  EXPECT_THAT(answer.summary.energy_trace(), SizeIs(400));
}

TEST(Sample, SameSeedSameBytesOnTwoServers) {
  ServerProcess::Options options;
  options.flags = {"--workers=1"};
  const ServerProcess other(options);
  const v1::SampleRequest request = MixtureRequest(33, 200);
  const SampleAnswer a = Sample(Server(), request);
  const SampleAnswer b = Sample(other, request);
  ASSERT_TRUE(a.status.ok() && b.status.ok());
  ASSERT_THAT(a.States(), SizeIs(66));
  EXPECT_EQ(a.States(), b.States());
  v1::SampleRequest reseeded = request;
  reseeded.set_seed(8);
  EXPECT_NE(a.States(), Sample(Server(), reseeded).States());
}

TEST(Sample, DrawsASeedThatCanBeUsedAgain) {
  v1::SampleRequest request = MixtureRequest(3, 20);
  request.clear_seed();
  const SampleAnswer first = Sample(Server(), request);
  request.set_seed(first.accepted.seed());
  EXPECT_EQ(first.States(), Sample(Server(), request).States());
}

TEST(Sample, StartsFromGivenStatesAndKeepsToTheBox) {
  v1::SampleRequest request = MixtureRequest(5, 30);
  *request.mutable_states() = FloatTensor({1, 2}, {0.25F, 0.5F});
  request.mutable_box()->set_lower(0);
  request.mutable_box()->set_upper(1);
  const SampleAnswer answer = Sample(Server(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_THAT(answer.States(), SizeIs(10));
  EXPECT_THAT(answer.States(),
              Each(::testing::AllOf(::testing::Ge(0), ::testing::Le(1))));
}

TEST(Sample, CutsLargeFramesIntoChainRanges) {
  v1::SampleRequest request;
  request.mutable_model()->set_name("mnist_classifier");
  request.set_chains(700);
  request.set_steps(1);
  request.mutable_noise();
  const SampleAnswer answer = Sample(Server(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_GT(answer.draws.size(), 1U);
  int64_t next = 0;
  for (const v1::SampleEvent::Draws& draws : answer.draws) {
    EXPECT_EQ(draws.first_chain(), next);
    EXPECT_LE(draws.ByteSizeLong(), (1U << 20) + 1000);
    next += draws.states().shape(1);
  }
  EXPECT_EQ(next, 700);
}

TEST(Sample, SendsOnlyWhatIsAskedFor) {
  v1::SampleRequest request = MixtureRequest(2, 10);
  request.mutable_output()->set_states(false);
  const SampleAnswer energies = Sample(Server(), request);
  ASSERT_EQ(energies.draws.size(), 1U);
  EXPECT_FALSE(energies.draws[0].has_states());
  EXPECT_TRUE(energies.draws[0].has_energies());
  request.mutable_output()->set_energies(false);
  const SampleAnswer nothing = Sample(Server(), request);
  EXPECT_TRUE(nothing.status.ok());
  EXPECT_THAT(nothing.order, Not(Contains("draws")));
}

TEST(Sample, WarnsInWords) {
  v1::SampleRequest request = MixtureRequest(4, 50);
  request.mutable_transition()->mutable_mala()->set_step_size(1e-9);
  EXPECT_THAT(Sample(Server(), request).summary.warnings(),
              Contains(HasSubstr("acceptance 1.00 is high")));
}

TEST(Sample, EndsDivergedChainsAndNamesThem) {
  v1::SampleRequest request = MixtureRequest(6, 100);
  request.mutable_transition()->mutable_ula()->set_step_size(1e12);
  const SampleAnswer answer = Sample(Server(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.summary.divergences(), 6);
  EXPECT_THAT(answer.summary.diverged_chains(), SizeIs(6));
  EXPECT_THAT(answer.summary.warnings(), Contains(HasSubstr("6 of 6 chains")));
}

TEST(Sample, CancellingEndsTheWork) {
  const auto stub = v1::Sampler::NewStub(Server().channel());
  grpc::ClientContext context;
  const auto reader = stub->Sample(&context, MixtureRequest(64, 5'000'000));
  v1::SampleEvent event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_GE(StatusOf(Server()).jobs(), 1);
  context.TryCancel();
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  WaitForNoJobs(Server());
}

TEST(Sample, FailsAtTheDeadline) {
  const auto stub = v1::Sampler::NewStub(Server().channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(300));
  const auto reader = stub->Sample(&context, MixtureRequest(64, 5'000'000));
  v1::SampleEvent event;
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  WaitForNoJobs(Server());
}

TEST(Sample, AnswersWhatThereIsBeforeTheDeadline) {
  const auto stub = v1::Sampler::NewStub(Server().channel());
  v1::SampleRequest request = MixtureRequest(16, 5'000'000);
  request.set_keep_every(100);
  request.set_on_deadline(v1::SampleRequest::PARTIAL);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(4));
  const auto reader = stub->Sample(&context, request);
  v1::SampleEvent event;
  std::map<int, int> events;
  while (reader->Read(&event)) ++events[event.event_case()];
  const grpc::Status status = reader->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_GE(events[v1::SampleEvent::kDraws], 1);
  ASSERT_EQ(event.event_case(), v1::SampleEvent::kSummary);
  EXPECT_TRUE(event.summary().truncated());
  EXPECT_THAT(event.summary().warnings(), Contains(HasSubstr("deadline")));
  EXPECT_LT(event.summary().chain_steps(), 16 * 5'000'000);
}

// A reader that takes one event and then nothing: others are served, and the
// server holds no more than a few frames for it.
TEST(Sample, AStalledReaderCostsNothing) {
  const auto stub = v1::Sampler::NewStub(Server().channel());
  v1::SampleRequest request = MixtureRequest(1024, 100'000);
  request.set_keep_every(1);
  const int64_t before = Server().ResidentBytes();
  grpc::ClientContext context;
  const auto reader = stub->Sample(&context, request);
  v1::SampleEvent event;
  ASSERT_TRUE(reader->Read(&event));
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(Sample(Server(), MixtureRequest(64, 500)).status.ok());
  }
  EXPECT_LT(Server().ResidentBytes() - before, int64_t{64} << 20);
  context.TryCancel();
  while (reader->Read(&event)) {
  }
  reader->Finish();
  WaitForNoJobs(Server());
}

}  // namespace
}  // namespace basin::testing
