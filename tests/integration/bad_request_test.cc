// Requests that are wrong: each is answered with the right status and a text
// that names the field, what was expected and what came; the server serves on
// and holds no more memory than before.

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/sanitizers.h"

#include "basin/v1/sampler.grpc.pb.h"
#include "basin/v1/scorer.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

const ServerProcess& Server() {
  static const ServerProcess server;
  return server;
}

struct BadSample {
  const char* name;
  std::function<void(v1::SampleRequest&)> spoil;
  grpc::StatusCode code;
  const char* text;
};

class BadSampleTest : public ::testing::TestWithParam<BadSample> {};

TEST_P(BadSampleTest, IsRefused) {
  v1::SampleRequest request = MixtureRequest(2, 10);
  GetParam().spoil(request);
  EXPECT_THAT(Sample(Server(), request).status,
              IsError(GetParam().code, HasSubstr(GetParam().text)));
  // And others are served.
  EXPECT_TRUE(Sample(Server(), MixtureRequest(2, 10)).status.ok());
}

constexpr auto kInvalid = grpc::StatusCode::INVALID_ARGUMENT;

std::vector<BadSample> BadCounts() {
  using R = v1::SampleRequest;
  return {
      {"NoModel", [](R& r) { r.clear_model(); }, kInvalid, "model.name"},
      {"UnknownModel", [](R& r) { r.mutable_model()->set_name("nope"); },
       grpc::StatusCode::NOT_FOUND, "nope"},
      {"UnknownVersion", [](R& r) { r.mutable_model()->set_version(77); },
       grpc::StatusCode::NOT_FOUND, "77"},
      {"NegativeVersion", [](R& r) { r.mutable_model()->set_version(-1); },
       kInvalid, "model.version: expected 0"},
      {"ZeroChains", [](R& r) { r.set_chains(0); }, kInvalid,
       "chains: expected 1 to"},
      {"NegativeChains", [](R& r) { r.set_chains(-1); }, kInvalid,
       "chains: expected 1 to 65536 (max_chains), got -1"},
      {"HugeChains", [](R& r) { r.set_chains(kHuge); }, kInvalid,
       "chains: expected 1 to 65536 (max_chains), got 9223372036854775807"},
      {"NegativeSteps", [](R& r) { r.set_steps(-5); }, kInvalid,
       "steps: expected 1 to 1000000000 (max_steps), got -5"},
      {"HugeSteps", [](R& r) { r.set_steps(kHuge); }, kInvalid,
       "steps: expected"},
      {"TooMuchWork",
       [](R& r) {
         r.set_chains(5000);
         r.set_steps(100'000'000);
       },
       kInvalid, "max_work"},
      {"NegativeWarmup", [](R& r) { r.set_warmup(-1); }, kInvalid,
       "warmup: expected 0 to"},
      {"HugeWarmup", [](R& r) { r.set_warmup(kHuge); }, kInvalid,
       "warmup: expected 0 to"},
      {"NegativeKeepEvery", [](R& r) { r.set_keep_every(-1); }, kInvalid,
       "keep_every: expected 0 to 10"},
      {"KeepEveryBeyondSteps", [](R& r) { r.set_keep_every(11); }, kInvalid,
       "keep_every: expected 0 to 10"},
      {"Priority", [](R& r) { r.set_priority(10); }, kInvalid,
       "priority: expected 1 to 9, got 10"},
      {"OnDeadline",
       [](R& r) { r.set_on_deadline(static_cast<R::OnDeadline>(9)); }, kInvalid,
       "on_deadline: expected FAIL or PARTIAL, got 9"},
  };
}

std::vector<BadSample> BadTransitions() {
  using R = v1::SampleRequest;
  const auto step = [](double value) {
    return [value](R& r) {
      r.mutable_transition()->mutable_mala()->set_step_size(value);
    };
  };
  return {
      {"StepSizeZero", step(0), kInvalid, "step_size"},
      {"StepSizeNaN", step(kNaN), kInvalid, "step_size"},
      {"StepSizeNegative", step(-1), kInvalid, "step_size"},
      {"StepSizeInfinite", step(kInf), kInvalid, "step_size"},
      {"StepSizeMissing", [](R& r) { r.mutable_transition()->mutable_ula(); },
       kInvalid, "step_size"},
      {"NoiseNegative",
       [](R& r) {
         r.mutable_transition()->mutable_jem()->set_step_size(1);
         r.mutable_transition()->mutable_jem()->set_noise_std(-1);
       },
       kInvalid, "noise_std"},
      {"ClipNaN",
       [](R& r) {
         r.mutable_transition()->mutable_igebm()->set_step_size(1);
         r.mutable_transition()->mutable_igebm()->set_gradient_clip(kNaN);
       },
       kInvalid, "gradient_clip"},
      {"BetaZero", [](R& r) { r.set_inverse_temperature(0); }, kInvalid,
       "inverse_temperature: expected a finite value > 0, got 0"},
      {"BetaNaN", [](R& r) { r.set_inverse_temperature(kNaN); }, kInvalid,
       "inverse_temperature"},
      {"BoxEmpty",
       [](R& r) {
         r.mutable_box()->set_lower(1);
         r.mutable_box()->set_upper(1);
       },
       kInvalid, "box: expected lower < upper, got [1, 1]"},
      {"BoxNaN", [](R& r) { r.mutable_box()->set_lower(kNaN); }, kInvalid,
       "box.lower"},
      {"GradientsWithoutStates",
       [](R& r) {
         r.mutable_output()->set_states(false);
         r.mutable_output()->set_gradients(true);
       },
       kInvalid, "output.gradients"},
  };
}

std::vector<BadSample> BadStarts() {
  using R = v1::SampleRequest;
  return {
      {"StatesShape",
       [](R& r) {
         *r.mutable_states() = FloatTensor({2, 3}, {1, 2, 3, 4, 5, 6});
       },
       kInvalid, "states.shape: expected [n, 2] with n >= 1, got [2, 3]"},
      {"StatesRows",
       [](R& r) {
         *r.mutable_states() = FloatTensor({3, 2}, {1, 2, 3, 4, 5, 6});
       },
       kInvalid, "states.shape: expected at most 2 rows (chains), got 3"},
      {"StatesNaN",
       [](R& r) {
         *r.mutable_states() =
             FloatTensor({2, 2}, {1, 2, 3, static_cast<float>(kNaN)});
       },
       kInvalid, "states: row 1 has a NaN at element 1"},
      {"StatesOutsideOfBox",
       [](R& r) {
         r.mutable_box()->set_upper(1);
         *r.mutable_states() = FloatTensor({1, 2}, {0, 5});
       },
       kInvalid, "states: row 0 has 5 at element 1, outside of"},
      {"StatesTruncated",
       [](R& r) {
         *r.mutable_states() = FloatTensor({2, 2}, {1, 2, 3, 4});
         r.mutable_states()->mutable_data()->resize(15);
       },
       kInvalid, "states.data: expected 16 bytes for float32 [2, 2], got 15"},
      {"RestartProbability",
       [](R& r) { r.mutable_replay()->set_restart_probability(1.5); }, kInvalid,
       "replay.restart_probability: expected 0 to 1, got 1.5"},
      {"RestartProbabilityNaN",
       [](R& r) { r.mutable_replay()->set_restart_probability(kNaN); },
       kInvalid, "replay.restart_probability"},
  };
}

std::string NameOf(const ::testing::TestParamInfo<BadSample>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Counts, BadSampleTest,
                         ::testing::ValuesIn(BadCounts()), NameOf);
INSTANTIATE_TEST_SUITE_P(Transitions, BadSampleTest,
                         ::testing::ValuesIn(BadTransitions()), NameOf);
INSTANTIATE_TEST_SUITE_P(Starts, BadSampleTest,
                         ::testing::ValuesIn(BadStarts()), NameOf);

v1::ScoreRequest DigitsRequest() {
  v1::ScoreRequest request;
  request.mutable_model()->set_name("mnist_ebm");
  *request.mutable_inputs() = GrayDigits(4, 0.5F);
  return request;
}

void ExpectBadScore(const v1::ScoreRequest& request, const std::string& text) {
  EXPECT_THAT(Score(Server(), request).status,
              IsError(kInvalid, HasSubstr(text)));
}

TEST(BadScore, ShapeDtypeAndBytes) {
  v1::ScoreRequest request = DigitsRequest();
  request.clear_inputs();
  ExpectBadScore(request, "inputs: expected a tensor, got none");

  request = DigitsRequest();
  request.mutable_inputs()->clear_shape();
  for (const int64_t dim : {3, 28, 28})
    request.mutable_inputs()->add_shape(dim);
  ExpectBadScore(request,
                 "inputs.shape: expected [n, 1, 28, 28] with n >= 1, "
                 "got [3, 28, 28]");

  request = DigitsRequest();
  request.mutable_inputs()->set_dtype(v1::DTYPE_UNSPECIFIED);
  ExpectBadScore(request, "inputs.dtype: expected FLOAT32");

  request = DigitsRequest();
  request.mutable_inputs()->set_dtype(v1::FLOAT64);
  ExpectBadScore(request, "inputs.data: expected 25088 bytes for float64");

  request = DigitsRequest();
  request.mutable_inputs()->mutable_data()->pop_back();
  ExpectBadScore(request,
                 "inputs.data: expected 12544 bytes for float32 "
                 "[4, 1, 28, 28], got 12543");
}

TEST(BadScore, HostileSizesAndValues) {
  v1::ScoreRequest request = DigitsRequest();
  request.mutable_inputs()->set_shape(0, kHuge);
  ExpectBadScore(request, "inputs.shape: expected at most 1048576 rows");
  request.mutable_inputs()->set_shape(0, 0);
  ExpectBadScore(request, "inputs.shape: expected [n, 1, 28, 28] with n >= 1");
  request.mutable_inputs()->set_shape(0, -4);
  ExpectBadScore(request, "inputs.shape: expected [n, 1, 28, 28] with n >= 1");

  request = DigitsRequest();
  std::vector<float> values = FloatsOf(request.inputs());
  values[3 * 784 + 17] = std::numeric_limits<float>::quiet_NaN();
  *request.mutable_inputs() = FloatTensor({4, 1, 28, 28}, values);
  ExpectBadScore(request, "inputs: row 3 has a NaN at element 17");

  request = DigitsRequest();
  request.set_priority(-1);
  ExpectBadScore(request, "priority: expected 1 to 9, got -1");
}

// What a burst took is given back within seconds: asks the server until then.
void ExpectMemoryComesBackTo(int64_t before) {
  if (kSanitizedMemory) return;
  constexpr int64_t kSlack = int64_t{64} << 20;
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (Server().ResidentBytes() - before > kSlack && absl::Now() < end) {
    EXPECT_TRUE(Score(Server(), DigitsRequest()).status.ok());
  }
  EXPECT_LT(Server().ResidentBytes() - before, kSlack);
}

TEST(BadScore, AMessageBeyondTheLimitIsRefusedAndTakesNoMemory) {
  const int64_t before = Server().ResidentBytes();
  v1::ScoreRequest request = DigitsRequest();
  request.mutable_inputs()->set_data(std::string(size_t{200} << 20, 'x'));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Score(Server(), request).status.error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  ExpectMemoryComesBackTo(before);
}

TEST(BadScore, ManyBadRequestsLeaveMemoryAsItWas) {
  const int64_t before = Server().ResidentBytes();
  v1::ScoreRequest request = DigitsRequest();
  request.mutable_inputs()->set_data(std::string(size_t{40} << 20, 'x'));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Score(Server(), request).status.error_code(), kInvalid);
  }
  ExpectMemoryComesBackTo(before);
}

TEST(BadScore, APassedDeadlineIsSaid) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() -
                       std::chrono::seconds(1));
  v1::ScoreResponse response;
  EXPECT_EQ(v1::Scorer::NewStub(Server().channel())
                ->Score(&context, DigitsRequest(), &response)
                .error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

// Refusals beyond the limits of admission carry when to try again.
TEST(Overload, IsRefusedWithARetryHint) {
  ServerProcess::Options options;
  options.flags = {"--max_rows=100", "--workers=1"};
  const ServerProcess server(options);
  const auto stub = v1::Sampler::NewStub(server.channel());
  grpc::ClientContext context;
  const auto reader = stub->Sample(&context, MixtureRequest(60, 1'000'000));
  v1::SampleEvent event;
  ASSERT_TRUE(reader->Read(&event));
  const grpc::Status refused = Sample(server, MixtureRequest(60, 10)).status;
  EXPECT_THAT(refused, IsError(grpc::StatusCode::RESOURCE_EXHAUSTED,
                               HasSubstr("retry in about")));
  EXPECT_THAT(refused.error_details(), HasSubstr("google.rpc.RetryInfo"));
  EXPECT_TRUE(Sample(server, MixtureRequest(40, 10)).status.ok());
  // What could never be admitted is the request's fault.
  EXPECT_THAT(Sample(server, MixtureRequest(101, 10)).status,
              IsError(kInvalid, HasSubstr("max_chains")));
  context.TryCancel();
  while (reader->Read(&event)) {
  }
  reader->Finish();
}

}  // namespace
}  // namespace basin::testing
