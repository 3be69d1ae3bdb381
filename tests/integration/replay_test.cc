// Replay against the real server, through restarts and crashes.

#include <signal.h>

#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include "tests/integration/feature_models.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/temp_dir.h"

#include "basin/v1/models.grpc.pb.h"
#include "basin/v1/replay.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kModel[] = "mixture2d";

ServerProcess::Options WithState(const std::string& state) {
  ServerProcess::Options options;
  options.state = state;
  return options;
}

// A classifier whose replay buffer holds 12 states, each one chain.
constexpr char kClassifier[] = "blobs";

void WriteClassifierWithReplay(const std::string& folder) {
  WriteFeatureModels(folder);
  std::ofstream(folder + "/blobs/config.pbtxt", std::ios::app)
      << "replay { capacity: 12 write_policy: IN_PLACE "
         "read_policy: WITHOUT_REPLACEMENT restart_probability: 0 }";
}

struct DrawAnswer {
  grpc::Status status;
  std::vector<float> states;
};

DrawAnswer Draw(const ServerProcess& server, int64_t count, uint64_t seed,
                const std::string& model = kModel,
                std::optional<int64_t> label = std::nullopt) {
  grpc::ClientContext context;
  v1::ReplayDrawRequest request;
  request.mutable_model()->set_name(model);
  request.set_count(count);
  request.set_seed(seed);
  if (label.has_value()) request.set_label(*label);
  const auto reader =
      v1::Replay::NewStub(server.channel())->Draw(&context, request);
  DrawAnswer answer;
  v1::ReplayDrawResponse part;
  while (reader->Read(&part)) {
    EXPECT_EQ(part.seed(), seed);
    const std::vector<float> states = FloatsOf(part.states());
    answer.states.insert(answer.states.end(), states.begin(), states.end());
  }
  answer.status = reader->Finish();
  return answer;
}

grpc::Status Snapshot(const ServerProcess& server) {
  grpc::ClientContext context;
  v1::ReplaySnapshotRequest request;
  request.mutable_model()->set_name(kModel);
  v1::ReplaySnapshotResponse response;
  return v1::Replay::NewStub(server.channel())
      ->Snapshot(&context, request, &response);
}

// States [n, 2] that say which they are: (first, 1), (first + 1, 1), ...
std::vector<float> Numbered(int first, int n) {
  std::vector<float> states;
  for (int i = 0; i < n; ++i) {
    states.push_back(static_cast<float>(first + i));
    states.push_back(1);
  }
  return states;
}

TEST(Replay, InsertDrawClear) {
  const ServerProcess server;
  EXPECT_EQ(ReplayStatsOf(server, kModel).size(), 0);
  EXPECT_THAT(
      Draw(server, 1, 1).status,
      IsError(grpc::StatusCode::FAILED_PRECONDITION, HasSubstr("empty")));
  EXPECT_TRUE(InsertStates(server, Numbered(0, 10)).ok());
  const v1::ReplayStatsResponse stats = ReplayStatsOf(server, kModel);
  EXPECT_EQ(stats.size(), 10);
  EXPECT_EQ(stats.inserts(), 10);
  EXPECT_EQ(stats.capacity(), 8192);
  EXPECT_EQ(stats.model_version(), 1);

  const DrawAnswer drawn = Draw(server, 50, 3);
  ASSERT_EQ(drawn.states.size(), 100U);
  for (size_t i = 0; i < 100; i += 2) {
    EXPECT_GE(drawn.states[i], 0);
    EXPECT_LT(drawn.states[i], 10);
    EXPECT_EQ(drawn.states[i + 1], 1);
  }
  EXPECT_EQ(Draw(server, 50, 3).states, drawn.states);

  grpc::ClientContext context;
  v1::ReplayClearRequest request;
  request.mutable_model()->set_name(kModel);
  v1::ReplayClearResponse response;
  EXPECT_TRUE(v1::Replay::NewStub(server.channel())
                  ->Clear(&context, request, &response)
                  .ok());
  EXPECT_EQ(response.removed(), 10);
  EXPECT_EQ(ReplayStatsOf(server, kModel).size(), 0);
}

TEST(Replay, SamplingWritesBack) {
  const ServerProcess server;
  v1::SampleRequest request = MixtureRequest(20, 30);
  request.mutable_replay();
  const SampleAnswer first = Sample(server, request);
  ASSERT_TRUE(first.status.ok()) << first.status.error_message();
  EXPECT_EQ(first.summary.replay_written(), 20);
  EXPECT_THAT(first.summary.warnings(),
              Contains(HasSubstr("20 of 20 chains started from the initial")));
  EXPECT_EQ(ReplayStatsOf(server, kModel).size(), 20);
  // And sampling by default starts there now.
  request.clear_init();
  EXPECT_GT(Sample(server, request).summary.replay_written(), 0);
  request.mutable_replay()->set_write_back(false);
  const SampleAnswer last = Sample(server, request);
  EXPECT_EQ(last.summary.replay_written(), 0);
  EXPECT_THAT(last.summary.warnings(),
              Not(Contains(HasSubstr("from the initial"))));
}

// Of 20 chains that want states of their own 12 find none left.
TEST(Replay, ChainsWithoutStatesAreCounted) {
  const TempDir models;
  WriteClassifierWithReplay(models.path());
  ServerProcess::Options options;
  options.models = models.path();
  const ServerProcess server(options);
  v1::SampleRequest request = FeatureRequest(kClassifier, 8, 5);
  request.mutable_replay()->set_restart_probability(0);
  request.set_label(1);
  EXPECT_THAT(Sample(server, request).summary.warnings(),
              Contains(HasSubstr("8 of 8 chains started from the initial")));
  request.set_chains(20);
  request.mutable_replay()->set_write_back(false);
  EXPECT_THAT(Sample(server, request).summary.warnings(),
              Contains(HasSubstr("12 of 20 chains started from the initial")));
  request.set_label(0);
  EXPECT_THAT(Sample(server, request).summary.warnings(),
              Contains(HasSubstr("20 of 20 chains started from the initial")));
  // Those that a restart sends there have asked for it.
  request.mutable_replay()->set_restart_probability(1);
  EXPECT_THAT(Sample(server, request).summary.warnings(),
              Not(Contains(HasSubstr("from the initial"))));
}

// Chains of p(x), p(x | 0) and p(x | 1) have states of their own, and a
// restart keeps them apart.
TEST(Replay, SlotsAreChainsOfOneLabel) {
  const TempDir models;
  WriteClassifierWithReplay(models.path());
  ServerProcess::Options options;
  options.models = models.path();
  const TempDir state;
  options.state = state.path();
  v1::SampleRequest request = FeatureRequest(kClassifier, 4, 20);
  request.mutable_replay();
  std::vector<float> of_one;
  {
    ServerProcess server(options);
    EXPECT_EQ(Sample(server, request).summary.replay_written(), 4);
    for (const int64_t label : {0, 1}) {
      request.set_label(label);
      EXPECT_EQ(Sample(server, request).summary.replay_written(), 4);
    }
    const v1::ReplayStatsResponse stats = ReplayStatsOf(server, kClassifier);
    EXPECT_EQ(stats.size(), 12);
    EXPECT_EQ(stats.label_sizes().size(), 2U);
    EXPECT_EQ(stats.label_sizes().at(1), 4);
    of_one = Draw(server, 4, 1, kClassifier, 1).states;
    ASSERT_EQ(of_one.size(), 8U);
    const auto of_none = Draw(server, 4, 1, kClassifier).states;
    // Others go on; these stay where they are.
    request.set_label(0);
    const auto of_zero = Draw(server, 4, 1, kClassifier, 0).states;
    EXPECT_EQ(Sample(server, request).summary.replay_written(), 4);
    EXPECT_NE(Draw(server, 4, 1, kClassifier, 0).states, of_zero);
    EXPECT_EQ(Draw(server, 4, 1, kClassifier, 1).states, of_one);
    EXPECT_EQ(Draw(server, 4, 1, kClassifier).states, of_none);
    server.Signal(SIGTERM);
    EXPECT_EQ(server.Wait(), 0);
  }
  const ServerProcess server(options);
  EXPECT_EQ(ReplayStatsOf(server, kClassifier).label_sizes().at(1), 4);
  EXPECT_EQ(Draw(server, 4, 1, kClassifier, 1).states, of_one);
  EXPECT_THAT(Draw(server, 1, 1, kClassifier, 2).status,
              IsError(grpc::StatusCode::FAILED_PRECONDITION,
                      HasSubstr("empty for label 2")));
  EXPECT_THAT(Draw(server, 1, 1, "ring", 0).status,
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("label: expected none")));
}

// Chains of another law may start from the buffer; they do not go back.
TEST(Replay, ChainsOfAnotherLawAreNotWrittenBack) {
  const TempDir models;
  WriteClassifierWithReplay(models.path());
  ServerProcess::Options options;
  options.models = models.path();
  const ServerProcess server(options);
  v1::SampleRequest plain = FeatureRequest(kClassifier, 4, 20);
  plain.mutable_replay();
  ASSERT_EQ(Sample(server, plain).summary.replay_written(), 4);
  const std::vector<float> before = Draw(server, 4, 1, kClassifier).states;

  std::vector<std::pair<std::string, v1::SampleRequest>> others(3, {"", plain});
  others[0].first = "clamp";
  v1::Tensor& mask = *others[0].second.mutable_clamp()->mutable_mask();
  mask.set_dtype(v1::BOOL);
  mask.add_shape(2);
  mask.set_data(std::string("\1\0", 2));
  others[1].first = "box";
  others[1].second.mutable_box()->set_upper(1);
  others[2].first = "inverse_temperature";
  others[2].second.set_inverse_temperature(0.5);
  for (auto& [what, request] : others) {
    const SampleAnswer answer = Sample(server, request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.summary.replay_written(), 0) << what;
    EXPECT_THAT(
        answer.summary.warnings(),
        Contains(AllOf(HasSubstr("not written back"), HasSubstr(what))));
    request.mutable_replay()->set_write_back(false);
    EXPECT_THAT(Sample(server, request).summary.warnings(),
                Not(Contains(HasSubstr("not written back"))));
  }
  EXPECT_EQ(Draw(server, 4, 1, kClassifier).states, before);
}

TEST(Replay, BadRequestsAreRefused) {
  const ServerProcess server;
  EXPECT_THAT(
      InsertStates(server, {}),
      IsError(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("states.shape")));
  EXPECT_THAT(Draw(server, -1, 1).status,
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("count: expected 1 to")));
  EXPECT_THAT(
      Draw(server, int64_t{1} << 40, 1).status,
      IsError(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("max_chains")));
  grpc::ClientContext context;
  v1::ReplayInsertResponse response;
  const auto writer =
      v1::Replay::NewStub(server.channel())->Insert(&context, &response);
  writer->WritesDone();
  EXPECT_THAT(writer->Finish(), IsError(grpc::StatusCode::INVALID_ARGUMENT,
                                        HasSubstr("at least one message")));
}

// States that no chain can start from do not get into the buffer.
TEST(Replay, InsertRefusesWhatIsOutsideTheDomain) {
  const TempDir folder;
  WriteFeatureModels(folder.path());
  ServerProcess::Options options;
  options.models = folder.path();
  const ServerProcess server(options);
  const auto replay = v1::Replay::NewStub(server.channel());
  grpc::ClientContext context;
  v1::ReplayInsertResponse inserted;
  const auto writer = replay->Insert(&context, &inserted);
  v1::ReplayInsertRequest insert;
  insert.mutable_model()->set_name("spins");
  *insert.mutable_states() =
      FloatTensor({2, 3, 3}, std::vector<float>(18, 1.0F));
  ASSERT_TRUE(writer->Write(insert));
  std::vector<float> halves(36, 0.0F);
  halves[9 + 4] = 0.5F;
  *insert.mutable_states() = FloatTensor({4, 3, 3}, halves);
  writer->Write(insert);
  writer->WritesDone();
  EXPECT_THAT(writer->Finish(),
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      AllOf(HasSubstr("row 1 has 0.5 at element 4"),
                            HasSubstr("the 2 states of earlier messages"))));
  EXPECT_EQ(ReplayStatsOf(server, "spins").size(), 2);
  v1::SampleRequest request = FeatureRequest("spins", 2, 5);
  request.mutable_transition()->mutable_gibbs();
  request.clear_init();
  const SampleAnswer answer = Sample(server, request);
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
}

// A client that inserts and then says nothing more.
TEST(Replay, AStalledInsertKeepsNoStore) {
  const ServerProcess server;
  const auto replay = v1::Replay::NewStub(server.channel());
  grpc::ClientContext context;
  v1::ReplayInsertResponse inserted;
  const auto writer = replay->Insert(&context, &inserted);
  v1::ReplayInsertRequest insert;
  insert.mutable_model()->set_name(kModel);
  *insert.mutable_states() = FloatTensor({1, 2}, {5, 1});
  ASSERT_TRUE(writer->Write(insert));
  while (ReplayStatsOf(server, kModel).size() == 0) {
  }

  const auto models = v1::Models::NewStub(server.channel());
  grpc::ClientContext unload_context;
  v1::UnloadModelRequest unload;
  unload.mutable_model()->set_name(kModel);
  v1::UnloadModelResponse unloaded;
  ASSERT_TRUE(models->Unload(&unload_context, unload, &unloaded).ok());
  grpc::ClientContext load_context;
  v1::LoadModelRequest load;
  load.mutable_model()->set_name(kModel);
  v1::LoadModelResponse loaded;
  ASSERT_TRUE(models->Load(&load_context, load, &loaded).ok());
  EXPECT_EQ(ReplayStatsOf(server, kModel).size(), 1);

  // And it goes on with the instance that there is now.
  insert.clear_model();
  ASSERT_TRUE(writer->Write(insert));
  writer->WritesDone();
  EXPECT_TRUE(writer->Finish().ok());
  EXPECT_EQ(inserted.inserted(), 2);
  EXPECT_EQ(ReplayStatsOf(server, kModel).size(), 2);
}

// Readers that stall hold what was drawn for them, within one limit.
TEST(Replay, DrawsTogetherAreBounded) {
  constexpr int64_t kPixels = 784;
  ServerProcess::Options options;
  options.flags = {"--max_bytes=67108864"};
  const ServerProcess server(options);
  const auto replay = v1::Replay::NewStub(server.channel());
  grpc::ClientContext insert_context;
  v1::ReplayInsertResponse inserted;
  const auto writer = replay->Insert(&insert_context, &inserted);
  v1::ReplayInsertRequest insert;
  insert.mutable_model()->set_name("mnist_ebm");
  *insert.mutable_states() = GrayDigits(1, 0.5F);
  ASSERT_TRUE(writer->Write(insert));
  writer->WritesDone();
  ASSERT_TRUE(writer->Finish().ok());

  v1::ReplayDrawRequest request;
  request.mutable_model()->set_name("mnist_ebm");
  request.set_count((int64_t{40} << 20) / (kPixels * 4));
  grpc::ClientContext stalled_context;
  const auto stalled = replay->Draw(&stalled_context, request);
  v1::ReplayDrawResponse part;
  ASSERT_TRUE(stalled->Read(&part));
  grpc::ClientContext context;
  const auto refused = replay->Draw(&context, request);
  EXPECT_FALSE(refused->Read(&part));
  EXPECT_THAT(refused->Finish(), IsError(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                         HasSubstr("max_bytes")));
  while (stalled->Read(&part)) {
  }
  EXPECT_TRUE(stalled->Finish().ok());
}

TEST(Replay, ARestartRestoresIt) {
  const TempDir folder;
  std::vector<float> drawn;
  {
    ServerProcess server(WithState(folder.path()));
    EXPECT_TRUE(InsertStates(server, Numbered(0, 100)).ok());
    v1::SampleRequest request = MixtureRequest(20, 30);
    request.mutable_replay();
    EXPECT_GT(Sample(server, request).summary.replay_written(), 0);
    drawn = Draw(server, 200, 5).states;
    server.Signal(SIGTERM);
    EXPECT_EQ(server.Wait(), 0);
  }
  const ServerProcess server(WithState(folder.path()));
  EXPECT_GE(ReplayStatsOf(server, kModel).size(), 100);
  EXPECT_EQ(ReplayStatsOf(server, kModel).torn_slots(), 0);
  EXPECT_EQ(Draw(server, 200, 5).states, drawn);
}

// The numbers of all states in the buffer, by drawing often enough.
std::set<int> NumbersIn(const ServerProcess& server, uint64_t seed) {
  std::set<int> numbers;
  const int64_t size = ReplayStatsOf(server, kModel).size();
  for (int round = 0; round < 3; ++round) {
    const std::vector<float> states =
        Draw(server, std::min<int64_t>(20 * size, 60000), seed++).states;
    for (size_t i = 0; i < states.size(); i += 2) {
      numbers.insert(static_cast<int>(states[i]));
    }
  }
  return numbers;
}

// Kills the server while it inserts and snapshots, again and again: the store
// always opens, with every insert that was acknowledged.
TEST(Replay, KillsDuringSnapshotsLoseNothing) {
  const TempDir folder;
  constexpr int kRounds = 10;
  constexpr int kBatch = 20;
  int acknowledged = 0;
  for (int round = 0; round < kRounds; ++round) {
    ServerProcess::Options options = WithState(folder.path());
    options.flags = {"--replay_snapshot_interval=1ms"};
    ServerProcess server(options);
    ASSERT_EQ(ReplayStatsOf(server, kModel).size(), acknowledged)
        << "in round " << round;
    EXPECT_EQ(ReplayStatsOf(server, kModel).torn_slots(), 0);
    // Snapshots overlap the inserts, and the kill overlaps both.
    std::thread snapshots([&server] {
      while (Snapshot(server).ok()) {
      }
    });
    for (int batch = 0; batch <= round % 4; ++batch) {
      ASSERT_TRUE(InsertStates(server, Numbered(acknowledged, kBatch)).ok());
      acknowledged += kBatch;
    }
    server.Signal(SIGKILL);
    EXPECT_EQ(server.Wait(), -SIGKILL);
    snapshots.join();
  }
  const ServerProcess server(WithState(folder.path()));
  std::set<int> all;
  for (int i = 0; i < acknowledged; ++i) all.insert(i);
  EXPECT_EQ(NumbersIn(server, 1), all);
}

}  // namespace
}  // namespace basin::testing
