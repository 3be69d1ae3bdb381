#ifndef BASIN_TESTS_INTEGRATION_REQUESTS_H_
#define BASIN_TESTS_INTEGRATION_REQUESTS_H_

// Requests and answers that the integration tests share.

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/support/status.h>

#include "tests/integration/server_process.h"

#include "basin/v1/replay.pb.h"
#include "basin/v1/sampler.pb.h"
#include "basin/v1/scorer.pb.h"

namespace basin::testing {

v1::Tensor FloatTensor(const std::vector<int64_t>& shape,
                       const std::vector<float>& values);
std::vector<float> FloatsOf(const v1::Tensor& tensor);
std::vector<int64_t> ShapeOf(const v1::Tensor& tensor);

// `rows` images of one gray value.
v1::Tensor GrayDigits(int64_t rows, float value);

// A whole answer to Sample.
struct SampleAnswer {
  grpc::Status status;
  std::vector<std::string> order;  // "accepted", "progress", ...
  v1::SampleEvent::Accepted accepted;
  std::vector<v1::SampleEvent::Draws> draws;
  v1::SampleEvent::Summary summary;

  // All states, in the order that they came in.
  std::vector<float> States() const;
};
SampleAnswer Sample(const ServerProcess& server,
                    const v1::SampleRequest& request);

// MALA on mixture2d from noise with seed 7.
v1::SampleRequest MixtureRequest(int64_t chains, int64_t steps);

struct ScoreAnswer {
  grpc::Status status;
  v1::ScoreResponse response;
};
ScoreAnswer Score(const ServerProcess& server, const v1::ScoreRequest& request);

// Of inputs of `shape`.
v1::ScoreRequest ScoreOf(const std::string& model,
                         const std::vector<int64_t>& shape,
                         const std::vector<float>& values);

// Inserts states [rows, 2] into mixture2d's replay buffer.
grpc::Status InsertStates(const ServerProcess& server,
                          const std::vector<float>& states);
v1::ReplayStatsResponse ReplayStatsOf(const ServerProcess& server,
                                      const std::string& model);

// The status has this code, its text matches, and ends with a request id.
MATCHER_P2(IsError, code, message, "") {
  const std::string text = arg.error_message();
  *result_listener << arg.error_code() << " " << text;
  return arg.error_code() == code && ::testing::Matches(message)(text) &&
         ::testing::Matches(::testing::ContainsRegex("\\[request [^]]+\\]$"))(
             text);
}

}  // namespace basin::testing

#endif  // BASIN_TESTS_INTEGRATION_REQUESTS_H_
