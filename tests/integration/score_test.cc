// Scorer against the real server.

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/npy.h"

#include "basin/v1/scorer.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const ServerProcess& Server() {
  static const ServerProcess server;
  return server;
}

v1::ScoreRequest DigitsRequest(int64_t rows) {
  v1::ScoreRequest request;
  request.set_id("digits");
  request.mutable_model()->set_name("mnist_ebm");
  *request.mutable_inputs() = GrayDigits(rows, 0.5F);
  return request;
}

v1::ScoreRequest PointRequest(float x, float y) {
  v1::ScoreRequest request;
  request.mutable_model()->set_name("mixture2d");
  *request.mutable_inputs() = FloatTensor({1, 2}, {x, y});
  return request;
}

TEST(Score, AnswersOneEnergyForEachRow) {
  const ScoreAnswer answer = Score(Server(), DigitsRequest(5));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.response.id(), "digits");
  EXPECT_EQ(answer.response.model_version(), 1);
  EXPECT_THAT(ShapeOf(answer.response.energies()), ElementsAre(5));
  const std::vector<float> energies = FloatsOf(answer.response.energies());
  for (const float energy : energies) EXPECT_EQ(energy, energies[0]);
  EXPECT_FALSE(answer.response.has_gradients());
  EXPECT_FALSE(answer.response.request_id().empty());
}

TEST(Score, GradientsAgreeWithFiniteDifferences) {
  v1::ScoreRequest request = PointRequest(0.3F, -0.7F);
  request.set_want_gradients(true);
  const ScoreAnswer answer = Score(Server(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  ASSERT_THAT(ShapeOf(answer.response.gradients()), ElementsAre(1, 2));
  const std::vector<float> gradient = FloatsOf(answer.response.gradients());
  const auto energy = [](float x, float y) {
    return FloatsOf(Score(Server(), PointRequest(x, y)).response.energies())[0];
  };
  constexpr float kStep = 1e-2F;
  const float dx =
      (energy(0.3F + kStep, -0.7F) - energy(0.3F - kStep, -0.7F)) / (2 * kStep);
  const float dy =
      (energy(0.3F, -0.7F + kStep) - energy(0.3F, -0.7F - kStep)) / (2 * kStep);
  EXPECT_NEAR(gradient[0], dx, 1e-2);
  EXPECT_NEAR(gradient[1], dy, 1e-2);
}

TEST(Score, Uint8IsScaledAsTheModelSays) {
  v1::ScoreRequest request = DigitsRequest(1);
  v1::Tensor& inputs = *request.mutable_inputs();
  inputs.set_dtype(v1::UINT8);
  inputs.set_data(std::string(784, '\x33'));  // 51 = 0.2 * 255
  const ScoreAnswer bytes = Score(Server(), request);
  ASSERT_TRUE(bytes.status.ok()) << bytes.status.error_message();
  *request.mutable_inputs() = GrayDigits(1, 51 * (1.0F / 255));
  const ScoreAnswer floats = Score(Server(), request);
  EXPECT_NEAR(FloatsOf(bytes.response.energies())[0],
              FloatsOf(floats.response.energies())[0], 1e-4);
}

TEST(Score, TellsDigitsFromNothing) {
  v1::ScoreRequest request = DigitsRequest(1);
  const std::string file = BASIN_SOURCE_DIR "/deploy/data/mnist_test_1000.npy";
  const Tensor digits = ReadGoldenNpy(file);
  ASSERT_EQ(digits.dtype(), DType::kUint8);
  v1::Tensor& inputs = *request.mutable_inputs();
  inputs.set_dtype(v1::UINT8);
  inputs.set_shape(0, 1000);
  inputs.set_data(digits.bytes(), digits.byte_size());
  const ScoreAnswer answer = Score(Server(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_THAT(FloatsOf(answer.response.energies()), SizeIs(1000));
}

TEST(Score, RowsDoNotInfluenceEachOther) {
  v1::ScoreRequest request;
  request.mutable_model()->set_name("mixture2d");
  std::vector<float> points;
  for (int i = 0; i < 200; ++i) points.push_back(0.03F * static_cast<float>(i));
  *request.mutable_inputs() = FloatTensor({100, 2}, points);
  const std::vector<float> together =
      FloatsOf(Score(Server(), request).response.energies());
  ASSERT_THAT(together, SizeIs(100));
  for (size_t i = 0; i < 100; i += 33) {
    const ScoreAnswer alone =
        Score(Server(), PointRequest(points[2 * i], points[2 * i + 1]));
    EXPECT_EQ(FloatsOf(alone.response.energies())[0], together[i]);
  }
}

TEST(ScoreStream, AnswersInOrderWithIds) {
  const auto stub = v1::Scorer::NewStub(Server().channel());
  grpc::ClientContext context;
  const auto stream = stub->ScoreStream(&context);
  constexpr int kRequests = 300;
  for (int i = 0; i < kRequests; ++i) {
    v1::ScoreRequest request = PointRequest(0.01F * static_cast<float>(i), 0);
    request.set_id(std::to_string(i));
    // Some that take longer must not be overtaken.
    if (i % 50 == 0) {
      request = DigitsRequest(64);
      request.set_id(std::to_string(i));
    }
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  v1::ScoreResponse response;
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.id(), std::to_string(i));
  }
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(ScoreStream, ABadRequestEndsItAfterTheAnswersBefore) {
  const auto stub = v1::Scorer::NewStub(Server().channel());
  grpc::ClientContext context;
  const auto stream = stub->ScoreStream(&context);
  for (int i = 0; i < 3; ++i) {
    v1::ScoreRequest request = PointRequest(1, 1);
    request.set_id(std::to_string(i));
    stream->Write(request);
  }
  v1::ScoreRequest bad = PointRequest(1, 1);
  bad.mutable_inputs()->set_shape(1, 3);
  stream->Write(bad);
  v1::ScoreResponse response;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.id(), std::to_string(i));
  }
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_THAT(stream->Finish(),
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("inputs.shape: expected [n, 2]")));
}

TEST(ScoreStream, CanBeCancelled) {
  const auto stub = v1::Scorer::NewStub(Server().channel());
  grpc::ClientContext context;
  const auto stream = stub->ScoreStream(&context);
  stream->Write(DigitsRequest(64));
  context.TryCancel();
  v1::ScoreResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace basin::testing
