// Resuming over gRPC, N steps and then M give the bytes of N + M, on this
// server and on another, unless a model of theirs has changed.

#include <filesystem>
#include <functional>
#include <memory>
#include <ostream>
#include <set>
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

namespace basin::testing {
namespace {

using ::testing::AllOf;
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
      {"Ula", "joint",
       [](R& r) { r.mutable_transition()->mutable_ula()->set_step_size(0.1); }},
      {"Igebm", "joint",
       [](R& r) {
         auto& igebm = *r.mutable_transition()->mutable_igebm();
         igebm.set_step_size(0.1);
         igebm.set_noise_std(0.2);
         igebm.set_gradient_clip(0.5);
       }},
      {"Jem", "joint",
       [](R& r) {
         r.mutable_transition()->mutable_jem()->set_step_size(0.1);
         r.mutable_transition()->mutable_jem()->set_noise_std(0.2);
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
      {"SiteHeatBath", "potts",
       [](R& r) {
         r.mutable_transition()->mutable_site_heat_bath()->set_sites(3);
       }},
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

std::vector<ResumeCase> AllResumes() {
  std::vector<ResumeCase> all;
  for (const auto& cases :
       {ContinuousResumes(), ConditionedResumes(), EnsembleResumes()}) {
    all.insert(all.end(), cases.begin(), cases.end());
  }
  return all;
}

ResumeCase CaseNamed(const std::string& name) {
  for (const ResumeCase& one : AllResumes()) {
    if (one.name == name) return one;
  }
  ADD_FAILURE() << "no case " << name;
  return {};
}

TEST(ResumeCases, HaveEveryTransition) {
  const google::protobuf::OneofDescriptor& kinds =
      *v1::Transition::descriptor()->FindOneofByName("kind");
  std::set<std::string> missing;
  for (int i = 0; i < kinds.field_count(); ++i) {
    missing.insert(kinds.field(i)->name());
  }
  for (const ResumeCase& one : AllResumes()) {
    const v1::SampleRequest request = RequestOf(one, 1);
    const v1::Transition& transition = request.transition();
    const auto* const kind =
        transition.GetReflection()->GetOneofFieldDescriptor(transition, &kinds);
    if (kind != nullptr) missing.erase(kind->name());
  }
  EXPECT_THAT(missing, ::testing::IsEmpty());
}

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
  const ResumeCase tempered = CaseNamed("Tempered");
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

// Version 2 of a model takes over.
void ServeVersionTwo(const ServerProcess& server, const Folders& folders,
                     const std::string& name) {
  std::filesystem::create_directories(
      folders.models.File("models/" + name + "/2"));
  grpc::ClientContext context;
  v1::LoadModelRequest load;
  load.mutable_model()->set_name(name);
  load.mutable_model()->set_version(2);
  v1::LoadModelResponse loaded;
  const grpc::Status status =
      v1::Models::NewStub(server.channel())->Load(&context, load, &loaded);
  ASSERT_TRUE(status.ok()) << status.error_message();
}

// A run, the model of it that is about to change, and what it was to it.
struct DependenceCase {
  const char* name;
  const char* changes;
  const char* other_config;  // of as many coordinates
  const char* role;
  ResumeCase run;
};
void PrintTo(const DependenceCase& one, std::ostream* out) { *out << one.name; }

class DependenceTest : public ::testing::TestWithParam<DependenceCase> {};

std::vector<DependenceCase> DependenceCases() {
  using R = v1::SampleRequest;
  static constexpr char kOther1d[] =
      "family: MIXTURE mixture { component { weight: 1 mean: [0.3] "
      "covariance: 1.4 } }";
  const auto weighted = [](v1::SampleRequest::Annealing::Weights weights) {
    return [weights](R& r) {
      r.mutable_transition()->mutable_random_walk()->set_step_size(1);
      *r.mutable_states() = FloatTensor({5, 1}, {0, 1, -1, 0.5F, 2});
      r.mutable_annealing()->set_levels(4);
      if (weights == R::Annealing::POPULATION) {
        r.mutable_annealing()->set_islands(1);
      }
      r.mutable_annealing()->set_weights(weights);
      r.mutable_annealing()->mutable_base()->set_name("wide");
    };
  };
  return {
      {"Model", "joint",
       "family: MIXTURE mixture { component { weight: 1 mean: [0, 0] "
       "covariance: [1, 0.7, 0.7, 1] } }",
       "joint, and", ContinuousResumes()[0]},
      {"Surrogate", "wide", kOther1d, "wide as the surrogate, and",
       ConditionedResumes()[2]},
      {"BaseOfWeights",
       "wide",
       kOther1d,
       "wide as annealing.base",
       {"", "far", weighted(v1::SampleRequest::Annealing::IMPORTANCE)}},
      {"BaseOfAPopulation",
       "wide",
       kOther1d,
       "wide as annealing.base",
       {"", "far", weighted(v1::SampleRequest::Annealing::POPULATION)}},
  };
}

INSTANTIATE_TEST_SUITE_P(All, DependenceTest,
                         ::testing::ValuesIn(DependenceCases()), kNameOfCase);

void ExpectRefused(const SampleAnswer& answer, const DependenceCase& one,
                   const std::string& why) {
  EXPECT_THAT(answer.status,
              IsError(grpc::StatusCode::FAILED_PRECONDITION,
                      AllOf(HasSubstr("resume_token: of version 1 of "),
                            HasSubstr(one.role), HasSubstr(why),
                            HasSubstr("start new ones from its draws"))));
}

// That goes for a run that has been resumed already, too.
TEST_P(DependenceTest, AnotherVersionIsRefused) {
  const DependenceCase& one = GetParam();
  const Folders folders;
  const auto server = StartServer(folders);
  const SampleAnswer run = Sample(*server, RequestOf(one.run, 5));
  ASSERT_TRUE(run.status.ok()) << run.status.error_message();
  const SampleAnswer longer = Sample(*server, Resume(run, 5));
  ASSERT_TRUE(longer.status.ok()) << longer.status.error_message();
  ServeVersionTwo(*server, folders, one.changes);
  for (const SampleAnswer* from : {&run, &longer}) {
    ExpectRefused(Sample(*server, Resume(*from, 5)), one, "version 2 serves");
  }
}

// The same version with other contents, on a server that was restarted.
TEST_P(DependenceTest, OtherContentsAreRefused) {
  const DependenceCase& one = GetParam();
  const Folders folders;
  auto server = StartServer(folders);
  const SampleAnswer run = Sample(*server, RequestOf(one.run, 5));
  ASSERT_TRUE(run.status.ok()) << run.status.error_message();
  server.reset();
  WriteFile(folders.models.File(std::string("models/") + one.changes +
                                "/config.pbtxt"),
            one.other_config);
  server = StartServer(folders);
  ExpectRefused(Sample(*server, Resume(run, 5)), one,
                "that version is another now");
}

// One that was asked for by number goes on while it is there.
TEST(ResumeToken, IsOfTheVersionsThatWereAskedFor) {
  const Folders folders;
  const auto server = StartServer(folders);
  v1::SampleRequest delayed = RequestOf(ConditionedResumes()[2], 5);
  delayed.mutable_transition()
      ->mutable_delayed_acceptance()
      ->mutable_surrogate()
      ->set_version(1);
  v1::SampleRequest annealed = RequestOf(DependenceCases()[2].run, 5);
  annealed.mutable_annealing()->mutable_base()->set_version(1);
  const SampleAnswer runs[] = {Sample(*server, delayed),
                               Sample(*server, annealed)};
  ServeVersionTwo(*server, folders, "wide");
  for (const SampleAnswer& run : runs) {
    ASSERT_TRUE(run.status.ok()) << run.status.error_message();
    const SampleAnswer second = Sample(*server, Resume(run, 5));
    EXPECT_TRUE(second.status.ok()) << second.status.error_message();
    EXPECT_TRUE(Sample(*server, Resume(second, 5)).status.ok());
  }
}

TEST(ResumeToken, IsSentOnlyIfAskedFor) {
  v1::SampleRequest request = RequestOf(ContinuousResumes()[0], 5);
  request.clear_output();
  EXPECT_TRUE(Sample(Server(), request).summary.resume_token().empty());
}

}  // namespace
}  // namespace basin::testing
