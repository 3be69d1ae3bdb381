#include "tests/integration/example_models.h"

#include <gtest/gtest.h>

#include "tests/integration/requests.h"

namespace basin::testing {

const ServerProcess& ExampleServer() {
  static const ServerProcess server([] {
    ServerProcess::Options options;
    options.models = BASIN_SOURCE_DIR "/tests/data/models";
    return options;
  }());
  return server;
}

std::vector<float> Energies(const v1::ScoreRequest& request) {
  const ScoreAnswer answer = Score(ExampleServer(), request);
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  return FloatsOf(answer.response.energies());
}

std::vector<float> States(const v1::SampleRequest& request) {
  const SampleAnswer answer = Sample(ExampleServer(), request);
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  return answer.States();
}

}  // namespace basin::testing
