#include "tests/integration/requests.h"

#include <cstring>

#include "basin/v1/replay.grpc.pb.h"
#include "basin/v1/sampler.grpc.pb.h"
#include "basin/v1/scorer.grpc.pb.h"

namespace basin::testing {

v1::Tensor FloatTensor(const std::vector<int64_t>& shape,
                       const std::vector<float>& values) {
  v1::Tensor tensor;
  tensor.set_dtype(v1::FLOAT32);
  for (const int64_t dim : shape) tensor.add_shape(dim);
  tensor.mutable_data()->assign(reinterpret_cast<const char*>(values.data()),
                                values.size() * sizeof(float));
  return tensor;
}

std::vector<float> FloatsOf(const v1::Tensor& tensor) {
  std::vector<float> values(tensor.data().size() / sizeof(float));
  if (!values.empty()) {
    std::memcpy(values.data(), tensor.data().data(), tensor.data().size());
  }
  return values;
}

std::vector<int64_t> ShapeOf(const v1::Tensor& tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

v1::Tensor GrayDigits(int64_t rows, float value) {
  return FloatTensor(
      {rows, 1, 28, 28},
      std::vector<float>(static_cast<size_t>(rows) * 784, value));
}

std::vector<float> SampleAnswer::States() const {
  std::vector<float> all;
  for (const v1::SampleEvent::Draws& part : draws) {
    const std::vector<float> values = FloatsOf(part.states());
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

SampleAnswer Sample(const ServerProcess& server,
                    const v1::SampleRequest& request) {
  SampleAnswer answer;
  const auto stub = v1::Sampler::NewStub(server.channel());
  grpc::ClientContext context;
  const auto reader = stub->Sample(&context, request);
  v1::SampleEvent event;
  while (reader->Read(&event)) {
    switch (event.event_case()) {
      case v1::SampleEvent::kAccepted:
        answer.order.push_back("accepted");
        answer.accepted = event.accepted();
        break;
      case v1::SampleEvent::kProgress:
        answer.order.push_back("progress");
        break;
      case v1::SampleEvent::kDraws:
        answer.order.push_back("draws");
        answer.draws.push_back(event.draws());
        break;
      case v1::SampleEvent::kSummary:
        answer.order.push_back("summary");
        answer.summary = event.summary();
        break;
      case v1::SampleEvent::EVENT_NOT_SET:
        answer.order.push_back("nothing");
        break;
    }
  }
  answer.status = reader->Finish();
  return answer;
}

v1::SampleRequest MixtureRequest(int64_t chains, int64_t steps) {
  v1::SampleRequest request;
  request.mutable_model()->set_name("mixture2d");
  request.set_chains(chains);
  request.set_steps(steps);
  request.mutable_transition()->mutable_mala()->set_step_size(0.25);
  request.mutable_noise();
  request.set_seed(7);
  return request;
}

ScoreAnswer Score(const ServerProcess& server,
                  const v1::ScoreRequest& request) {
  ScoreAnswer answer;
  grpc::ClientContext context;
  answer.status = v1::Scorer::NewStub(server.channel())
                      ->Score(&context, request, &answer.response);
  return answer;
}

grpc::Status InsertStates(const ServerProcess& server,
                          const std::vector<float>& states) {
  grpc::ClientContext context;
  v1::ReplayInsertResponse response;
  const auto writer =
      v1::Replay::NewStub(server.channel())->Insert(&context, &response);
  v1::ReplayInsertRequest request;
  request.mutable_model()->set_name("mixture2d");
  *request.mutable_states() =
      FloatTensor({static_cast<int64_t>(states.size() / 2), 2}, states);
  writer->Write(request);
  writer->WritesDone();
  return writer->Finish();
}

v1::ReplayStatsResponse ReplayStatsOf(const ServerProcess& server,
                                      const std::string& model) {
  grpc::ClientContext context;
  v1::ReplayStatsRequest request;
  request.mutable_model()->set_name(model);
  v1::ReplayStatsResponse response;
  const grpc::Status status = v1::Replay::NewStub(server.channel())
                                  ->Stats(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

v1::ScoreRequest ScoreOf(const std::string& model,
                         const std::vector<int64_t>& shape,
                         const std::vector<float>& values) {
  v1::ScoreRequest request;
  request.mutable_model()->set_name(model);
  *request.mutable_inputs() = FloatTensor(shape, values);
  return request;
}

}  // namespace basin::testing
