// Resuming over gRPC, N steps and then M give the bytes of N + M, on this
// server and on another; and replay buffers whose every row stays one chain.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include "tests/integration/feature_models.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/model_files.h"
#include "tests/testing/temp_dir.h"

#include "basin/v1/models.grpc.pb.h"
#include "basin/v1/replay.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = grpc::StatusCode::INVALID_ARGUMENT;
constexpr char kKey[] = "sixteen bytes or more";

struct Folders {
  Folders() {
    WriteFeatureModels(models.File("models"));
    WriteFile(models.File("key"), kKey);
  }
  TempDir models;
};

std::unique_ptr<ServerProcess> StartServer(const Folders& folders) {
  ServerProcess::Options options;
  options.models = folders.models.File("models");
  options.flags = {"--resume_key_file=" + folders.models.File("key")};
  return std::make_unique<ServerProcess>(options);
}

const Folders& SharedFolders() {
  static const Folders& folders = *new Folders();
  return folders;
}

const ServerProcess& Server() {
  static const ServerProcess& server = *StartServer(SharedFolders()).release();
  return server;
}

// All kept states, or all their energies.
std::string StateBytes(const SampleAnswer& answer) {
  std::string bytes;
  for (const auto& draws : answer.draws) bytes += draws.states().data();
  return bytes;
}
std::string EnergyBytes(const SampleAnswer& answer) {
  std::string bytes;
  for (const auto& draws : answer.draws) bytes += draws.energies().data();
  return bytes;
}

v1::SampleRequest Resume(const SampleAnswer& earlier, int64_t steps) {
  v1::SampleRequest request;
  request.set_resume_token(earlier.summary.resume_token());
  request.set_steps(steps);
  request.set_keep_every(1);
  request.mutable_output()->set_resume_token(true);
  return request;
}

struct ResumeCase {
  const char* name;
  const char* model;
  std::function<void(v1::SampleRequest&)> fill;
};
void PrintTo(const ResumeCase& one, std::ostream* out) { *out << one.name; }

class ResumeTest : public ::testing::TestWithParam<ResumeCase> {};

v1::SampleRequest RequestOf(const ResumeCase& one, int64_t steps) {
  v1::SampleRequest request = FeatureRequest(one.model, 5, steps);
  request.set_warmup(7);
  request.set_keep_every(1);
  request.mutable_output()->set_resume_token(true);
  one.fill(request);
  return request;
}

std::vector<ResumeCase> ContinuousResumes() {
  using R = v1::SampleRequest;
  return {
      {"Mala", "joint",
       [](R& r) {
         r.mutable_transition()->mutable_mala()->set_step_size(0.3);
       }},
      {"JitteredHmc", "joint",
       [](R& r) {
         r.mutable_transition()->mutable_hmc()->set_step_size(0.3);
         r.mutable_transition()->mutable_hmc()->set_jitter(0.8);
       }},
      {"Momenta", "joint",
       [](R& r) {
         r.mutable_transition()->mutable_underdamped()->set_step_size(0.3);
       }},
      {"MomentaCorrected", "joint",
       [](R& r) {
         r.mutable_transition()
             ->mutable_underdamped_metropolis()
             ->set_step_size(0.3);
       }},
      {"Descent", "joint",
       [](R& r) {
         r.mutable_transition()->mutable_minimize()->set_step_size(0.01);
         r.mutable_transition()->mutable_minimize()->set_momentum(0.9);
       }},
      {"Tuned", "narrow",
       [](R& r) {
         r.set_warmup(100);
         r.mutable_transition()->mutable_hmc();
       }},
  };
}

std::vector<ResumeCase> ConditionedResumes() {
  using R = v1::SampleRequest;
  return {
      {"Clamped", "joint",
       [](R& r) {
         r.mutable_transition()->mutable_mala()->set_step_size(0.3);
         v1::Tensor& mask = *r.mutable_clamp()->mutable_mask();
         mask.set_dtype(v1::BOOL);
         mask.add_shape(2);
         mask.set_data(std::string("\1\0", 2));
         *r.mutable_clamp()->mutable_values() = FloatTensor({1, 2}, {2, 0});
       }},
      {"Covariance", "joint",
       [](R& r) {
         r.mutable_transition()->mutable_random_walk()->set_step_size(1);
         *r.mutable_metric()->mutable_covariance() =
             FloatTensor({2, 2}, {1, 0.8F, 0.8F, 1});
       }},
      {"Delayed", "gauss_a",
       [](R& r) {
         auto& delayed = *r.mutable_transition()->mutable_delayed_acceptance();
         delayed.set_step_size(1);
         delayed.mutable_surrogate()->set_name("wide");
       }},
      {"Labelled", "blobs", [](R& r) { r.set_label(1); }},
      {"Boxed", "tagged",
       [](R& r) {
         r.mutable_transition()->mutable_mala()->set_step_size(0.3);
         *r.mutable_box()->mutable_lower_each() = FloatTensor({2}, {0, -9});
       }},
  };
}

std::vector<ResumeCase> EnsembleResumes() {
  using R = v1::SampleRequest;
  return {
      {"Gibbs", "spins", [](R& r) { r.mutable_transition()->mutable_gibbs(); }},
      {"GibbsWithGradients", "bars",
       [](R& r) { r.mutable_transition()->mutable_gibbs_with_gradients(); }},
      {"Tempered", "far",
       [](R& r) {
         r.mutable_transition()->mutable_mala()->set_step_size(0.5);
         r.mutable_tempering()->set_levels(4);
         r.mutable_tempering()->set_least(0.1);
         r.mutable_tempering()->set_swap_every(2);
         r.set_warmup(40);
       }},
      {"TemperedAndTuned", "far",
       [](R& r) {
         r.mutable_transition()->mutable_hmc()->set_leaps(4);
         r.mutable_tempering()->set_levels(3);
         r.mutable_tempering()->set_least(0.2);
         r.set_warmup(100);
       }},
      {"Population", "ising",
       [](R& r) {
         r.set_chains(8);
         r.mutable_transition()->mutable_site_metropolis();
         r.mutable_annealing()->set_levels(6);
         r.mutable_annealing()->set_weights(
             v1::SampleRequest::Annealing::POPULATION);
       }},
      {"CategoriesWhenCold", "potts",
       [](R& r) {
         r.set_inverse_temperature(1.7);
         r.mutable_transition()->mutable_discrete_langevin()->set_step_size(
             0.5);
       }},
      {"Weighted", "ising",
       [](R& r) {
         r.mutable_transition()->mutable_gibbs();
         r.mutable_annealing()->set_levels(7);
         r.mutable_annealing()->set_weights(
             v1::SampleRequest::Annealing::IMPORTANCE);
       }},
  };
}

const auto kNameOfCase = [](const auto& info) {
  return std::string(info.param.name);
};
INSTANTIATE_TEST_SUITE_P(Continuous, ResumeTest,
                         ::testing::ValuesIn(ContinuousResumes()), kNameOfCase);
INSTANTIATE_TEST_SUITE_P(Conditioned, ResumeTest,
                         ::testing::ValuesIn(ConditionedResumes()),
                         kNameOfCase);
INSTANTIATE_TEST_SUITE_P(Ensemble, ResumeTest,
                         ::testing::ValuesIn(EnsembleResumes()), kNameOfCase);

TEST_P(ResumeTest, GivesTheBytesOfOneRun) {
  const SampleAnswer whole = Sample(Server(), RequestOf(GetParam(), 30));
  ASSERT_TRUE(whole.status.ok()) << whole.status.error_message();
  const SampleAnswer first = Sample(Server(), RequestOf(GetParam(), 11));
  ASSERT_TRUE(first.status.ok()) << first.status.error_message();
  const SampleAnswer second = Sample(Server(), Resume(first, 6));
  ASSERT_TRUE(second.status.ok()) << second.status.error_message();
  const SampleAnswer third = Sample(Server(), Resume(second, 13));
  ASSERT_TRUE(third.status.ok()) << third.status.error_message();
  EXPECT_TRUE(StateBytes(first) + StateBytes(second) + StateBytes(third) ==
              StateBytes(whole));
  EXPECT_TRUE(EnergyBytes(first) + EnergyBytes(second) + EnergyBytes(third) ==
              EnergyBytes(whole));
  EXPECT_EQ(third.accepted.seed(), whole.accepted.seed());
  EXPECT_EQ(third.accepted.target().kind(), whole.accepted.target().kind());
  EXPECT_EQ(third.summary.log_weights().data(),
            whole.summary.log_weights().data());
}

TEST(ResumeToken, GoesOnElsewhereWithTheSameKey) {
  const ResumeCase tempered = EnsembleResumes()[2];
  const SampleAnswer whole = Sample(Server(), RequestOf(tempered, 25));
  const SampleAnswer first = Sample(Server(), RequestOf(tempered, 10));
  ASSERT_TRUE(first.status.ok()) << first.status.error_message();
  const auto other = StartServer(SharedFolders());
  const SampleAnswer second = Sample(*other, Resume(first, 15));
  ASSERT_TRUE(second.status.ok()) << second.status.error_message();
  EXPECT_TRUE(StateBytes(first) + StateBytes(second) == StateBytes(whole));
  // A server with a key of its own does not trust it.
  ServerProcess::Options options;
  options.models = SharedFolders().models.File("models");
  const ServerProcess stranger(options);
  EXPECT_THAT(Sample(stranger, Resume(first, 15)).status,
              IsError(kInvalid, HasSubstr("resume_key_file")));
}

SampleAnswer MalaRun(const ServerProcess& server) {
  SampleAnswer answer = Sample(server, RequestOf(ContinuousResumes()[0], 5));
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_FALSE(answer.summary.resume_token().empty());
  return answer;
}

TEST(ResumeToken, TamperedBytesAreRefused) {
  const SampleAnswer run = MalaRun(Server());
  const std::string& token = run.summary.resume_token();
  const auto expect_refused = [](const std::string& bytes) {
    v1::SampleRequest request;
    request.set_resume_token(bytes);
    request.set_steps(1);
    EXPECT_THAT(Sample(Server(), request).status,
                IsError(kInvalid, HasSubstr("resume_token: expected one")));
  };
  for (size_t at = 0; at < token.size(); at += 7) {
    std::string tampered = token;
    tampered[at] = static_cast<char>(tampered[at] ^ 1);
    expect_refused(tampered);
  }
  expect_refused("");
  expect_refused(token.substr(0, 31));
  expect_refused(token.substr(0, token.size() - 1));
  expect_refused(token + "x");
}

TEST(ResumeToken, OtherFieldsAreRefusedByName) {
  const SampleAnswer run = MalaRun(Server());
  const auto status = [&](const auto& fill) {
    v1::SampleRequest request = Resume(run, 5);
    fill(request);
    return Sample(Server(), request).status;
  };
  using R = v1::SampleRequest;
  EXPECT_TRUE(status([](R& r) { r.set_priority(2); }).ok());
  EXPECT_THAT(status([](R& r) { r.mutable_model()->set_name("joint"); }),
              IsError(kInvalid, HasSubstr("model: expected none beside")));
  EXPECT_THAT(status([](R& r) { r.set_chains(2); }),
              IsError(kInvalid, HasSubstr("chains: expected none beside")));
  EXPECT_THAT(status([](R& r) { r.set_warmup(2); }),
              IsError(kInvalid, HasSubstr("warmup: expected none beside")));
  EXPECT_THAT(status([](R& r) { r.set_seed(2); }),
              IsError(kInvalid, HasSubstr("seed: expected none beside")));
  EXPECT_THAT(status([](R& r) { r.mutable_transition()->mutable_mala(); }),
              IsError(kInvalid, HasSubstr("transition: expected none beside")));
  EXPECT_THAT(status([](R& r) { r.mutable_tempering()->set_levels(2); }),
              IsError(kInvalid, HasSubstr("tempering: expected none beside")));
  EXPECT_THAT(status([](R& r) { r.set_steps(1'000'000'000'000); }),
              IsError(kInvalid, HasSubstr("steps: expected 1 to")));
}

TEST(ResumeToken, IsOfOneVersionOfTheModel) {
  const Folders folders;
  const auto server = StartServer(folders);
  const SampleAnswer run = MalaRun(*server);
  std::filesystem::create_directories(folders.models.File("models/joint/2"));
  grpc::ClientContext context;
  v1::LoadModelRequest load;
  load.mutable_model()->set_name("joint");
  load.mutable_model()->set_version(2);
  v1::LoadModelResponse loaded;
  const grpc::Status status =
      v1::Models::NewStub(server->channel())->Load(&context, load, &loaded);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(Sample(*server, Resume(run, 5)).status,
              IsError(grpc::StatusCode::FAILED_PRECONDITION,
                      HasSubstr("resume_token: of version 1 of joint, and "
                                "version 2 serves")));
}

// The same version with other contents, on a server that was restarted.
TEST(ResumeToken, IsOfTheModelsContents) {
  const Folders folders;
  auto server = StartServer(folders);
  const SampleAnswer run = MalaRun(*server);
  server.reset();
  WriteFile(folders.models.File("models/joint/config.pbtxt"),
            "family: MIXTURE mixture { component { weight: 1 mean: [0, 0] "
            "covariance: [1, 0.7, 0.7, 1] } }");
  server = StartServer(folders);
  EXPECT_THAT(Sample(*server, Resume(run, 5)).status,
              IsError(grpc::StatusCode::FAILED_PRECONDITION,
                      HasSubstr("that version is another now")));
}

TEST(ResumeToken, IsSentOnlyIfAskedFor) {
  v1::SampleRequest request = RequestOf(ContinuousResumes()[0], 5);
  request.clear_output();
  EXPECT_TRUE(Sample(Server(), request).summary.resume_token().empty());
}

// Puts states into a replay buffer of 8, whose first coordinates (or bits)
// say which is which; then samples with these clamped, again and again.
struct ReplayCase {
  const char* name;
  const char* model;
  std::vector<int64_t> shape;
  size_t tag_size;  // coordinates that tell the states apart
  std::function<void(v1::Transition&)> fill;

  size_t width() const {
    size_t product = 1;
    for (const int64_t dim : shape) product *= dim;
    return product;
  }
};
void PrintTo(const ReplayCase& one, std::ostream* out) { *out << one.name; }

class InPlaceTest : public ::testing::TestWithParam<ReplayCase> {};

std::vector<ReplayCase> InPlaceCases() {
  using T = v1::Transition;
  return {{"Hmc",
           "tagged",
           {2},
           1,
           [](T& t) { t.mutable_hmc()->set_step_size(0.2); }},
          {"RandomWalk",
           "tagged",
           {2},
           1,
           [](T& t) { t.mutable_random_walk()->set_step_size(1); }},
          {"Gibbs", "spins", {3, 3}, 3, [](T& t) { t.mutable_gibbs(); }},
          {"SiteMetropolis", "spins", {3, 3}, 3, [](T& t) {
             t.mutable_site_metropolis();
           }}};
}

INSTANTIATE_TEST_SUITE_P(All, InPlaceTest, ::testing::ValuesIn(InPlaceCases()),
                         kNameOfCase);

constexpr int kSlots = 8;

std::vector<std::vector<float>> RowsOf(const std::vector<float>& values,
                                       size_t width) {
  std::vector<std::vector<float>> rows;
  for (size_t at = 0; at < values.size(); at += width) {
    rows.emplace_back(values.begin() + static_cast<int64_t>(at),
                      values.begin() + static_cast<int64_t>(at + width));
  }
  return rows;
}

void Insert(const ServerProcess& server, const ReplayCase& one,
            const std::vector<float>& states) {
  grpc::ClientContext context;
  v1::ReplayInsertResponse response;
  const auto writer =
      v1::Replay::NewStub(server.channel())->Insert(&context, &response);
  v1::ReplayInsertRequest request;
  request.mutable_model()->set_name(one.model);
  std::vector<int64_t> shape = one.shape;
  shape.insert(shape.begin(), kSlots);
  *request.mutable_states() = FloatTensor(shape, states);
  writer->Write(request);
  writer->WritesDone();
  ASSERT_TRUE(writer->Finish().ok());
}

// From the buffer's states, with their tags clamped.
v1::SampleRequest ReplayRequest(const ReplayCase& one, uint64_t seed) {
  v1::SampleRequest request = FeatureRequest(one.model, kSlots, 3);
  one.fill(*request.mutable_transition());
  request.mutable_replay();
  request.set_seed(seed);
  v1::Tensor& mask = *request.mutable_clamp()->mutable_mask();
  mask.set_dtype(v1::BOOL);
  for (const int64_t dim : one.shape) mask.add_shape(dim);
  mask.set_data(std::string(one.tag_size, '\1') +
                std::string(one.width() - one.tag_size, '\0'));
  return request;
}

TEST_P(InPlaceTest, EachRowOfTheBufferStaysOneChain) {
  const ReplayCase& one = GetParam();
  const auto server = StartServer(SharedFolders());
  const size_t width = one.width();
  std::vector<float> start(kSlots * width, 0);
  for (size_t row = 0; row < kSlots; ++row) {
    for (size_t i = 0; i < one.tag_size; ++i) {
      start[row * width + i] =
          static_cast<float>(one.tag_size == 1 ? row : row >> i & 1);
    }
  }
  Insert(*server, one, start);
  // By tag, where each chain is.
  std::vector<std::vector<float>> chains = RowsOf(start, width);
  const auto chain_of = [&](const std::vector<float>& state) {
    const auto tag_end = static_cast<int64_t>(one.tag_size);
    return std::find_if(chains.begin(), chains.end(), [&](const auto& chain) {
      return std::equal(state.begin(), state.begin() + tag_end, chain.begin());
    });
  };
  std::map<uint64_t, std::vector<int64_t>> orders;  // by seed
  for (uint64_t round = 1; round <= 6; ++round) {
    v1::SampleRequest request = ReplayRequest(one, round % 2);
    const SampleAnswer drawn = Sample(*server, request);
    ASSERT_TRUE(drawn.status.ok()) << drawn.status.error_message();
    EXPECT_EQ(drawn.summary.replay_written(), kSlots);
    const auto ends = RowsOf(drawn.States(), width);
    ASSERT_EQ(ends.size(), size_t{kSlots});
    // The same chains from where the last round has left each of them.
    std::vector<float> begins;
    for (const auto& end : ends) {
      const auto chain = chain_of(end);
      ASSERT_NE(chain, chains.end());
      begins.insert(begins.end(), chain->begin(), chain->end());
    }
    std::vector<int64_t> shape = one.shape;
    shape.insert(shape.begin(), kSlots);
    *request.mutable_states() = FloatTensor(shape, begins);
    EXPECT_EQ(Sample(*server, request).States(), drawn.States());
    // A seed draws the same slots in every round: each has kept its chain.
    std::vector<int64_t> order;
    for (const auto& end : ends) {
      order.push_back(chain_of(end) - chains.begin());
      *chain_of(end) = end;
    }
    const auto earlier = orders.emplace(round % 2, order).first;
    EXPECT_EQ(order, earlier->second) << "in round " << round;
  }
  EXPECT_EQ(ReplayStatsOf(*server, one.model).size(), kSlots);
}

}  // namespace
}  // namespace basin::testing
