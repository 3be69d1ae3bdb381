// Models, Status, health, reflection and metrics against the real server.

#include <string>
#include <vector>

#include <absl/strings/match.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include "tests/integration/http_get.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"

#include "basin/v1/models.grpc.pb.h"
#include "basin/v1/status.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const ServerProcess& Server() {
  static const ServerProcess server;
  return server;
}

grpc::Status Load(const std::string& name, int64_t version) {
  grpc::ClientContext context;
  v1::LoadModelRequest request;
  request.mutable_model()->set_name(name);
  request.mutable_model()->set_version(version);
  v1::LoadModelResponse response;
  return v1::Models::NewStub(Server().channel())
      ->Load(&context, request, &response);
}

grpc::Status Unload(const std::string& name) {
  grpc::ClientContext context;
  v1::UnloadModelRequest request;
  request.mutable_model()->set_name(name);
  v1::UnloadModelResponse response;
  return v1::Models::NewStub(Server().channel())
      ->Unload(&context, request, &response);
}

grpc::health::v1::HealthCheckResponse::ServingStatus Health(
    const std::string& service) {
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status =
      grpc::health::v1::Health::NewStub(Server().channel())
          ->Check(&context, request, &response);
  return status.ok() ? response.status()
                     : grpc::health::v1::HealthCheckResponse::UNKNOWN;
}

TEST(Models, ListsTheRepository) {
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  ASSERT_TRUE(v1::Models::NewStub(Server().channel())
                  ->List(&context, v1::ListModelsRequest(), &response)
                  .ok());
  std::vector<std::string> names;
  for (const v1::Model& model : response.models()) {
    names.push_back(model.name());
    ASSERT_EQ(model.versions_size(), 1);
    EXPECT_EQ(model.versions(0).state(), v1::READY)
        << model.versions(0).reason();
  }
  EXPECT_THAT(names, ElementsAre("mixture2d", "mnist_classifier", "mnist_ebm"));
}

TEST(Models, DescribesOne) {
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_name("mnist_ebm");
  v1::Model model;
  ASSERT_TRUE(v1::Models::NewStub(Server().channel())
                  ->Get(&context, request, &model)
                  .ok());
  EXPECT_EQ(model.serving_version(), 1);
  EXPECT_EQ(model.family(), "graph");
  EXPECT_THAT(model.shape(), ElementsAre(1, 28, 28));
  EXPECT_EQ(model.domain().upper(), 1);
  EXPECT_EQ(model.initial(), "uniform [0, 1]");
  EXPECT_THAT(model.transitions(), Contains("mala"));
  EXPECT_GT(model.default_transition().igebm().step_size(), 0);
  EXPECT_EQ(model.replay().capacity(), 8192);
  EXPECT_EQ(model.replay().write_policy(), "in_place");
  EXPECT_GT(model.parameters(), 1000);
  EXPECT_GT(model.memory_bytes(), 1000);
  EXPECT_THAT(model.device(), HasSubstr("cpu x86-64"));
  EXPECT_GT(model.tile_rows_size(), 0);
  EXPECT_GT(model.max_chains(), 0);
}

TEST(Models, UnknownNamesAreNotFound) {
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_name("nope");
  v1::Model model;
  EXPECT_THAT(
      v1::Models::NewStub(Server().channel())->Get(&context, request, &model),
      IsError(grpc::StatusCode::NOT_FOUND, HasSubstr("mixture2d")));
  EXPECT_THAT(Load("nope", 0),
              IsError(grpc::StatusCode::NOT_FOUND, HasSubstr("nope")));
  EXPECT_THAT(Load("mixture2d", 99),
              IsError(grpc::StatusCode::NOT_FOUND, HasSubstr("99")));
  EXPECT_THAT(Unload("nope"),
              IsError(grpc::StatusCode::NOT_FOUND, HasSubstr("nope")));
  EXPECT_THAT(Load("../mixture2d", 0),
              IsError(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("..")));
  EXPECT_THAT(Load("", 0), IsError(grpc::StatusCode::INVALID_ARGUMENT,
                                   HasSubstr("model.name")));
}

// Unloading and loading again, as a watcher, health and requests see it.
TEST(Models, UnloadAndLoadAreSeenByWatchers) {
  const auto stub = v1::Models::NewStub(Server().channel());
  grpc::ClientContext context;
  v1::WatchModelsRequest watch;
  watch.set_name("mixture2d");
  const auto reader = stub->Watch(&context, watch);
  v1::ModelVersion seen;
  ASSERT_TRUE(reader->Read(&seen));
  EXPECT_EQ(seen.state(), v1::READY);
  EXPECT_TRUE(seen.serving());

  EXPECT_TRUE(Unload("mixture2d").ok());
  while (seen.state() != v1::UNLOADED) ASSERT_TRUE(reader->Read(&seen));
  Server().WaitForHealth("mixture2d", false);
  const grpc::Status gone = Sample(Server(), MixtureRequest(1, 1)).status;
  EXPECT_FALSE(gone.ok());
  EXPECT_EQ(Health("mnist_ebm"),
            grpc::health::v1::HealthCheckResponse::SERVING);

  EXPECT_TRUE(Load("mixture2d", 0).ok());
  while (seen.state() != v1::READY) ASSERT_TRUE(reader->Read(&seen));
  Server().WaitForHealth("mixture2d", true);
  EXPECT_TRUE(Sample(Server(), MixtureRequest(1, 1)).status.ok());
  context.TryCancel();
  while (reader->Read(&seen)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(Models, LoadingAgainKeepsServing) {
  EXPECT_TRUE(Load("mixture2d", 1).ok());
  EXPECT_TRUE(Sample(Server(), MixtureRequest(1, 1)).status.ok());
}

TEST(Health, NamesTheServerAndEachModel) {
  using Response = grpc::health::v1::HealthCheckResponse;
  EXPECT_EQ(Health(""), Response::SERVING);
  EXPECT_EQ(Health("mnist_ebm"), Response::SERVING);
  EXPECT_EQ(Health("nope"), Response::UNKNOWN);  // NOT_FOUND
}

TEST(ServerStatus, SaysWhatTheServerIs) {
  grpc::ClientContext context;
  v1::ServerStatus status;
  ASSERT_TRUE(v1::Status::NewStub(Server().channel())
                  ->Get(&context, v1::GetStatusRequest(), &status)
                  .ok());
  EXPECT_EQ(status.version(), "0.1.0");
  EXPECT_GT(status.uptime_seconds(), 0);
  EXPECT_EQ(status.device_kind(), "cpu");
  EXPECT_THAT(status.isa(), HasSubstr("x86-64"));
  EXPECT_GE(status.workers(), 1);
  EXPECT_FALSE(status.draining());
  EXPECT_EQ(status.limits().max_message_bytes(), 64 << 20);
}

// ServerReflectionRequest { list_services: "*" }, by hand: there is no packaged
// .proto to compile, and one of our own would clash with gRPC's.
TEST(Reflection, ListsTheServices) {
  grpc::GenericStub stub(Server().channel());
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(
      &context,
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  const grpc::Slice slice(std::string("\x3a\x01*", 3));
  call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::Slice text;
  ASSERT_TRUE(answer.DumpToSingleSlice(&text).ok());
  const std::string services(reinterpret_cast<const char*>(text.begin()),
                             text.size());
  for (const char* name :
       {"basin.v1.Sampler", "basin.v1.Scorer", "basin.v1.Models",
        "basin.v1.Replay", "basin.v1.Status", "grpc.health.v1.Health"}) {
    EXPECT_THAT(services, HasSubstr(name));
  }
  context.TryCancel();
}

TEST(MetricsEndpoint, HasEveryName) {
  Sample(Server(), MixtureRequest(4, 100));
  v1::ScoreRequest request;
  request.mutable_model()->set_name("mixture2d");
  *request.mutable_inputs() = FloatTensor({1, 2}, {0, 0});
  Score(Server(), request);
  const std::string text = HttpGet(Server().metrics_address(), "/metrics");
  for (const char* name :
       {"basin_requests_total{code=\"OK\",method=\"Sampler/Sample\"}",
        "basin_request_seconds_bucket{method=\"Scorer/Score\"",
        "basin_queue_seconds_count",
        "basin_first_result_seconds_count",
        "basin_quantum_seconds_count",
        "basin_tile_rows_count",
        "basin_rows_ready",
        "basin_rows_running",
        "# TYPE basin_requests_rejected_total counter",
        "# TYPE basin_requests_cancelled_total counter",
        "basin_chain_steps_total{transition=\"mala\"}",
        "basin_wasted_chain_steps_total",
        "basin_row_evaluations_total{kind=\"score\"}",
        "basin_proposals_total{transition=\"mala\"}",
        "basin_accepts_total{transition=\"mala\"}",
        "basin_divergences_total",
        "basin_energy_bucket{model=\"mixture2d\"",
        "basin_replay_rows{model=\"mixture2d\",version=\"1\"}",
        "basin_replay_age_seconds",
        "# TYPE basin_replay_restarts_total counter",
        "# TYPE basin_replay_torn_slots_total counter",
        "basin_memory_bytes{kind=\"models\"}",
        "basin_model_state{model=\"mnist_ebm\",version=\"1\",state=\"READY\"} "
        "1",
        "basin_build_info{"}) {
    EXPECT_TRUE(absl::StrContains(text, name)) << name;
  }
}

}  // namespace
}  // namespace basin::testing
