// What Client::Sample makes of a stream of events, against a server that
// sends given ones.

#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "client/client.h"
#include "tests/testing/status_matchers.h"

#include "basin/v1/sampler.grpc.pb.h"

namespace basin::client {
namespace {

using ::basin::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FakeSampler final : public v1::Sampler::Service {
 public:
  std::vector<v1::SampleEvent> events;

  grpc::Status Sample(grpc::ServerContext* /*context*/,
                      const v1::SampleRequest* /*request*/,
                      grpc::ServerWriter<v1::SampleEvent>* writer) override {
    for (const v1::SampleEvent& event : events) writer->Write(event);
    return grpc::Status::OK;
  }
};

class SampleStreamTest : public ::testing::Test {
 protected:
  SampleStreamTest() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&sampler_);
    server_ = builder.BuildAndStart();
    client_ = Client::Connect(absl::StrCat("127.0.0.1:", port));
  }

  v1::SampleEvent::Summary& summary() {
    return *sampler_.events.emplace_back().mutable_summary();
  }
  // One frame of chains [first, first + values.size()).
  void AddDraws(int64_t step, int64_t first, std::vector<float> values) {
    auto& draws = *sampler_.events.emplace_back().mutable_draws();
    const auto rows = static_cast<int64_t>(values.size());
    draws.set_first_chain(first);
    draws.add_steps(step);
    *draws.mutable_energies() = ToTensor(Array{{1, rows}, values});
    *draws.mutable_states() = ToTensor(Array{{1, rows, 1}, std::move(values)});
  }

  FakeSampler sampler_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(SampleStreamTest, CountsChainsThatTheRequestDoesNotSay) {
  AddDraws(10, 0, {1, 2});
  AddDraws(10, 2, {3});
  AddDraws(20, 0, {4, 5});
  AddDraws(20, 2, {6});
  v1::SampleRequest request;
  request.set_resume_token("token");
  ASSERT_OK_AND_ASSIGN(const SampleResult result, client_->Sample(request));
  EXPECT_THAT(result.steps, ElementsAre(10, 20));
  EXPECT_THAT(result.states.shape, ElementsAre(2, 3, 1));
  EXPECT_THAT(result.states.values, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(result.energies.shape, ElementsAre(2, 3));
}

TEST_F(SampleStreamTest, TakesWhatIsLargeOutOfTheSummary) {
  v1::SampleEvent::Summary& sent = summary();
  *sent.mutable_tuned_variance() = ToTensor(Array{{2, 2}, {1, 2, 3, 4}});
  const double weights[] = {-1e-12, -2.5};
  sent.mutable_log_weights()->set_dtype(v1::FLOAT64);
  sent.mutable_log_weights()->add_shape(2);
  sent.mutable_log_weights()->set_data(weights, sizeof(weights));
  sent.set_resume_token("opaque");
  sent.set_steps(7);
  ASSERT_OK_AND_ASSIGN(const SampleResult result,
                       client_->Sample(v1::SampleRequest()));
  EXPECT_THAT(result.tuned_variance.shape, ElementsAre(2, 2));
  EXPECT_THAT(result.tuned_variance.values, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(result.log_weights.values, ElementsAre(-1e-12, -2.5));
  EXPECT_EQ(result.resume_token, "opaque");
  EXPECT_EQ(result.summary.steps(), 7);
  EXPECT_FALSE(result.summary.has_tuned_variance());
}

TEST_F(SampleStreamTest, LeavesEmptyWhatTheSummaryHasNot) {
  summary().set_steps(1);
  ASSERT_OK_AND_ASSIGN(const SampleResult result,
                       client_->Sample(v1::SampleRequest()));
  EXPECT_THAT(result.tuned_variance.values, IsEmpty());
  EXPECT_THAT(result.log_weights.values, IsEmpty());
  EXPECT_THAT(result.resume_token, IsEmpty());
}

TEST_F(SampleStreamTest, RefusesWeightsOfTheWrongSize) {
  v1::SampleEvent::Summary& sent = summary();
  sent.mutable_log_weights()->set_dtype(v1::FLOAT64);
  sent.mutable_log_weights()->add_shape(3);
  sent.mutable_log_weights()->set_data(std::string(16, '\0'));
  EXPECT_THAT(client_->Sample(v1::SampleRequest()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("[3]")));
}

}  // namespace
}  // namespace basin::client
