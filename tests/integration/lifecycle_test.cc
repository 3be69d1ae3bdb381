// How basin_server starts, drains and ends, and what it makes of a hostile
// model repository.

#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include "tests/integration/http_get.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/temp_dir.h"

#include "basin/v1/models.grpc.pb.h"
#include "basin/v1/sampler.grpc.pb.h"
#include "basin/v1/status.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

namespace fs = std::filesystem;

TEST(CommandLine, HelpExplainsEachFlag) {
  const ProcessEnd end = RunServerToEnd({"--help"});
  EXPECT_EQ(end.code, 0);
  for (const char* flag :
       {"--models", "--state", "--listen", "--metrics_listen", "--workers",
        "--config", "--drain_timeout", "--quantum", "--max_isa",
        "--max_message_bytes", "--max_work", "--max_rows", "--max_bytes",
        "--max_chains", "--max_steps", "--insecure_listen_anywhere",
        "--replay_snapshot_interval"}) {
    EXPECT_THAT(end.out, HasSubstr(flag));
  }
  EXPECT_THAT(end.out, HasSubstr("127.0.0.1:8001"));
}

TEST(CommandLine, WrongFlagsAreOneLineAndExitCode2) {
  const std::vector<std::vector<std::string>> wrong = {
      {"--workers=many"},
      {"--workers=-1"},
      {"--quantum=0s"},
      {"--nonsense=1"},
      {"--listen=nowhere"},
      {"--listen=0.0.0.0:0"},
      {"--max_isa=z80"},
      {"--config=/nonexistent"},
      {"--drain_timeout=-1s"},
      {"--max_message_bytes=3000000000"},
      {"--listen=127.0.0.1:99999"}};
  for (const std::vector<std::string>& flags : wrong) {
    const ProcessEnd end = RunServerToEnd(flags);
    EXPECT_EQ(end.code, 2) << flags[0];
    EXPECT_THAT(end.err, HasSubstr("basin_server: "));
    EXPECT_EQ(std::count(end.err.begin(), end.err.end(), '\n'), 1) << end.err;
    const std::string name = flags[0].substr(2, flags[0].find('=') - 2);
    EXPECT_THAT(end.err, HasSubstr(name));
  }
}

TEST(CommandLine, MissingModelsAndTakenPortsExitWith1) {
  const TempDir folder;
  const ProcessEnd missing =
      RunServerToEnd({"--models=/nonexistent/models", "--state=none",
                      "--listen=127.0.0.1:0", "--metrics_listen=none"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err,
              AllOf(HasSubstr("--models"), HasSubstr("/nonexistent/models")));
  const ServerProcess first;
  for (const std::string& taken : {first.address(), first.metrics_address()}) {
    const ProcessEnd end = RunServerToEnd(
        {absl::StrCat("--models=", DemoModels()), "--state=none",
         absl::StrCat("--listen=", taken), "--metrics_listen=none"});
    EXPECT_EQ(end.code, 1);
    EXPECT_THAT(end.err, HasSubstr(absl::StrCat("cannot listen on ", taken)));
  }
}

TEST(CommandLine, AConfigFileGivesFlagsAndFlagsOverrideIt) {
  const TempDir folder;
  std::ofstream(folder.File("server.txt"))
      << "max_chains: 7\nmax_steps: 100\nquantum: \"1ms\"\n";
  ServerProcess::Options options;
  options.flags = {"--config=" + folder.File("server.txt"), "--max_steps=200"};
  const ServerProcess server(options);
  grpc::ClientContext context;
  v1::ServerStatus status;
  ASSERT_TRUE(v1::Status::NewStub(server.channel())
                  ->Get(&context, v1::GetStatusRequest(), &status)
                  .ok());
  EXPECT_EQ(status.limits().max_chains(), 7);
  EXPECT_EQ(status.limits().max_steps(), 200);
}

// SIGTERM while a request runs: health turns, new requests are refused, the
// running one ends well, and so does the server.
TEST(Drain, RunningWorkFinishesAndNewWorkIsRefused) {
  ServerProcess::Options options;
  // Longer than a sanitizer's build takes for the work below.
  options.flags = {"--drain_timeout=10m"};
  ServerProcess server(options);
  const auto stub = v1::Sampler::NewStub(server.channel());
  grpc::ClientContext context;
  const auto reader = stub->Sample(&context, MixtureRequest(64, 200'000));
  v1::SampleEvent event;
  ASSERT_TRUE(reader->Read(&event));
  server.Signal(SIGTERM);
  server.WaitForHealth("", false);
  EXPECT_THAT(Sample(server, MixtureRequest(1, 1)).status,
              IsError(grpc::StatusCode::UNAVAILABLE, Not(IsEmpty())));
  while (reader->Read(&event)) {
  }
  const grpc::Status status = reader->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(event.event_case(), v1::SampleEvent::kSummary);
  EXPECT_EQ(server.Wait(), 0);
}

TEST(Drain, CancelsWhatTakesTooLong) {
  ServerProcess::Options options;
  options.flags = {"--drain_timeout=100ms"};
  ServerProcess server(options);
  const auto stub = v1::Sampler::NewStub(server.channel());
  grpc::ClientContext context;
  const auto reader = stub->Sample(&context, MixtureRequest(64, 5'000'000));
  v1::SampleEvent event;
  ASSERT_TRUE(reader->Read(&event));
  server.Signal(SIGTERM);
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server.Wait(), 0);
}

TEST(Drain, ASecondSignalEndsAtOnce) {
  ServerProcess server;
  const auto stub = v1::Sampler::NewStub(server.channel());
  grpc::ClientContext context;
  const auto reader = stub->Sample(&context, MixtureRequest(64, 5'000'000));
  v1::SampleEvent event;
  ASSERT_TRUE(reader->Read(&event));
  server.Signal(SIGTERM);
  server.WaitForHealth("", false);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), -SIGTERM);
}

// Watches do not keep a server from draining.
TEST(Drain, EndsWatches) {
  ServerProcess server;
  grpc::ClientContext context;
  const auto reader = v1::Models::NewStub(server.channel())
                          ->Watch(&context, v1::WatchModelsRequest());
  v1::ModelVersion version;
  ASSERT_TRUE(reader->Read(&version));
  server.Signal(SIGTERM);
  while (reader->Read(&version)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server.Wait(), 0);
}

class HostileRepository : public ::testing::Test {
 protected:
  HostileRepository() {
    fs::copy(fs::path(DemoModels()) / "mixture2d",
             folder_.path() + "/mixture2d", fs::copy_options::recursive);
  }

  // A copy of mixture2d under another name; the path of its model file.
  std::string AddCopy(const std::string& name) {
    const fs::path model = fs::path(folder_.path()) / name;
    fs::copy(folder_.path() + "/mixture2d", model, fs::copy_options::recursive);
    fs::permissions(model, fs::perms::owner_all);
    fs::permissions(model / "1", fs::perms::owner_all);
    const fs::path file = model / "1" / "model.onnx";
    fs::permissions(file, fs::perms::owner_all);
    return file.string();
  }

  ServerProcess::Options Options() const {
    ServerProcess::Options options;
    options.models = folder_.path();
    return options;
  }

  TempDir folder_;
};

v1::ModelVersion VersionOf(const ServerProcess& server,
                           const std::string& name) {
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_name(name);
  v1::Model model;
  const grpc::Status status =
      v1::Models::NewStub(server.channel())->Get(&context, request, &model);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return model.versions_size() > 0 ? model.versions(0) : v1::ModelVersion();
}

TEST_F(HostileRepository, DisturbsNobody) {
  const std::string truncated = AddCopy("truncated");
  fs::resize_file(truncated, fs::file_size(truncated) / 2);
  const std::string random = AddCopy("random");
  std::ofstream(random, std::ios::trunc) << std::string(5000, '\xa7');
  AddCopy("badconfig");
  fs::permissions(folder_.path() + "/badconfig/config.pbtxt",
                  fs::perms::owner_all);
  std::ofstream(folder_.path() + "/badconfig/config.pbtxt", std::ios::trunc)
      << "family: 7 {";
  fs::remove(AddCopy("missing"));
  AddCopy("pipe");
  const std::string pipe = folder_.path() + "/pipe/config.pbtxt";
  fs::remove(pipe);
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);

  const ServerProcess server(Options());
  for (const char* name :
       {"truncated", "random", "badconfig", "missing", "pipe"}) {
    const v1::ModelVersion version = VersionOf(server, name);
    EXPECT_EQ(version.state(), v1::FAILED) << name;
    EXPECT_THAT(version.reason(), Not(IsEmpty())) << name;
    v1::SampleRequest request = MixtureRequest(1, 1);
    request.mutable_model()->set_name(name);
    EXPECT_THAT(Sample(server, request).status,
                IsError(grpc::StatusCode::FAILED_PRECONDITION,
                        HasSubstr(version.reason().substr(0, 20))));
  }
  EXPECT_EQ(VersionOf(server, "mixture2d").state(), v1::READY);
  EXPECT_TRUE(Sample(server, MixtureRequest(4, 10)).status.ok());
}

TEST_F(HostileRepository, AnEmptyOneIsServed) {
  const TempDir empty;
  ServerProcess::Options options;
  options.models = empty.path();
  const ServerProcess server(options);
  EXPECT_THAT(Sample(server, MixtureRequest(1, 1)).status,
              IsError(grpc::StatusCode::NOT_FOUND, HasSubstr("mixture2d")));
}

}  // namespace
}  // namespace basin::testing
