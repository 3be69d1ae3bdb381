// Normalised log-likelihoods over gRPC, against exact densities.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/model_files.h"
#include "tests/testing/temp_dir.h"

#include "basin/v1/models.grpc.pb.h"
#include "basin/v1/scorer.grpc.pb.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kSide = 4;
constexpr int kSites = kSide * kSide;
constexpr uint32_t kStates = 1U << kSites;
constexpr double kCoupling = 0.3;
constexpr double kField = 0.1;

// Of the Ising model on a 4 x 4 torus, spins as bits of `state`.
double IsingEnergy(uint32_t state) {
  const auto spin = [state](int row, int column) {
    const int site = (row % kSide) * kSide + column % kSide;
    return (state >> site & 1) == 1 ? 1.0 : -1.0;
  };
  double energy = 0;
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column) {
      energy -= kCoupling * spin(row, column) *
                (spin(row + 1, column) + spin(row, column + 1));
      energy -= kField * spin(row, column);
    }
  }
  return energy;
}

double IsingLogZ() {
  double z = 0;
  for (uint32_t state = 0; state < kStates; ++state) {
    z += std::exp(-IsingEnergy(state));
  }
  return std::log(z);
}

// Models of the test data, with a line more in config.pbtxt.
void CopyModel(const std::string& repository, const std::string& from,
               const std::string& to, const std::string& more) {
  const std::string source =
      absl::StrCat(BASIN_SOURCE_DIR "/tests/data/models/", from);
  std::filesystem::copy(source, absl::StrCat(repository, "/", to),
                        std::filesystem::copy_options::recursive);
  WriteFile(absl::StrCat(repository, "/", to, "/config.pbtxt"),
            ReadFile(source + "/config.pbtxt") + more);
}

void WriteModels(const std::string& repository) {
  constexpr char kLogZ[] = "log_z { value: 12.5 standard_error: 0.25 }";
  WriteModel(
      repository, "ising", 1,
      absl::StrFormat("family: LATTICE lattice { size: [%d, %d] coupling: %g "
                      "field: %g } log_z { value: %.17g standard_error: 0 }",
                      kSide, kSide, kCoupling, kField, IsingLogZ()),
      "");
  WriteModel(repository, "mixture", 1, R"(
      family: MIXTURE
      mixture {
        component { weight: 3 mean: [0, 0.5] covariance: [0.5, 0.2, 0.2, 0.4] }
        component { weight: 1 mean: [2, -1] covariance: 0.25 }
      })",
             "");
  CopyModel(repository, "bars", "bars", "");
  CopyModel(repository, "blobs", "blobs", kLogZ);
  CopyModel(repository, "regression", "regression", kLogZ);
}

// A server of these models; they end with the test program.
struct Served {
  TempDir folder;
  ServerProcess server;

  Served() : server(OptionsFor(folder.path())) {}
  static ServerProcess::Options OptionsFor(const std::string& repository) {
    WriteModels(repository);
    ServerProcess::Options options;
    options.models = repository;
    return options;
  }
};

const ServerProcess& Server() {
  static const Served served;
  return served.server;
}

v1::ScoreRequest RequestOf(const std::string& model,
                           const std::vector<int64_t>& shape,
                           const std::vector<float>& values) {
  v1::ScoreRequest request = ScoreOf(model, shape, values);
  request.set_want_log_likelihood(true);
  return request;
}

std::vector<double> Doubles(const v1::Tensor& tensor) {
  EXPECT_EQ(tensor.dtype(), v1::FLOAT64);
  std::vector<double> values(tensor.data().size() / sizeof(double));
  if (!values.empty()) {
    std::memcpy(values.data(), tensor.data().data(), tensor.data().size());
  }
  return values;
}

std::vector<double> LogLikelihoods(const v1::ScoreRequest& request) {
  const ScoreAnswer answer = Score(Server(), request);
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  return Doubles(answer.response.log_likelihoods());
}

v1::Model Describe(const std::string& name) {
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_name(name);
  v1::Model model;
  EXPECT_TRUE(v1::Models::NewStub(Server().channel())
                  ->Get(&context, request, &model)
                  .ok());
  return model;
}

// w N(x; mean, [[a, b], [b, c]])
double Density(double w, double x, double y, double a, double b, double c) {
  const double det = a * c - b * b;
  const double square = (c * x * x - 2 * b * x * y + a * y * y) / det;
  return w * std::exp(-square / 2) / (2 * std::numbers::pi * std::sqrt(det));
}

TEST(LogLikelihood, OfAMixtureIsItsDensity) {
  const std::vector<float> points = {0, 0, 1, -0.5F, 2, -1.25F, -1, 1.5F};
  const ScoreAnswer answer =
      Score(Server(), RequestOf("mixture", {4, 2}, points));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_THAT(ShapeOf(answer.response.log_likelihoods()), ElementsAre(4));
  const auto found = Doubles(answer.response.log_likelihoods());
  for (size_t i = 0; i < found.size(); ++i) {
    const double x = points[2 * i];
    const double y = points[2 * i + 1];
    const double density = Density(0.75, x, y - 0.5, 0.5, 0.2, 0.4) +
                           Density(0.25, x - 2, y + 1, 0.25, 0, 0.25);
    EXPECT_NEAR(found[i], std::log(density), 1e-6);
  }
  EXPECT_TRUE(answer.response.has_log_z());
  EXPECT_EQ(answer.response.log_z().value(), 0);
  EXPECT_EQ(answer.response.log_z().standard_error(), 0);
}

// All states of the lattice together have probability one.
TEST(LogLikelihood, OfALatticeSumsToOne) {
  constexpr uint32_t kRows = 4096;
  double total = 0;
  for (uint32_t first = 0; first < kStates; first += kRows) {
    std::vector<float> states;
    for (uint32_t state = first; state < first + kRows; ++state) {
      for (int site = 0; site < kSites; ++site) {
        states.push_back(static_cast<float>(state >> site & 1));
      }
    }
    const auto found =
        LogLikelihoods(RequestOf("ising", {kRows, kSide, kSide}, states));
    ASSERT_EQ(found.size(), kRows);
    EXPECT_NEAR(found[7], -IsingEnergy(first + 7) - IsingLogZ(), 1e-5);
    for (const double value : found) total += std::exp(value);
  }
  EXPECT_NEAR(total, 1, 1e-5);
}

TEST(LogLikelihood, OutsideOfTheDomainIsMinusInfinity) {
  std::vector<float> states(2 * kSites, 1);
  states[kSites] = 0.5F;
  const auto found =
      LogLikelihoods(RequestOf("ising", {2, kSide, kSide}, states));
  EXPECT_TRUE(std::isfinite(found[0]));
  EXPECT_EQ(found[1], -std::numeric_limits<double>::infinity());
}

TEST(LogLikelihood, ComesWithTheErrorOfLogZ) {
  const v1::ScoreRequest request = RequestOf("blobs", {1, 2}, {1, 0.5F});
  const ScoreAnswer answer = Score(Server(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.response.log_z().value(), 12.5);
  EXPECT_EQ(answer.response.log_z().standard_error(), 0.25);
  const double energy = FloatsOf(answer.response.energies())[0];
  EXPECT_THAT(Doubles(answer.response.log_likelihoods()),
              ElementsAre(-energy - 12.5));
  EXPECT_EQ(Describe("blobs").log_z().standard_error(), 0.25);
  EXPECT_FALSE(Describe("bars").has_log_z());
}

TEST(LogLikelihood, IsLeftOutUnlessWanted) {
  v1::ScoreRequest request = RequestOf("mixture", {1, 2}, {0, 0});
  request.set_want_log_likelihood(false);
  const ScoreAnswer answer = Score(Server(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_FALSE(answer.response.has_log_likelihoods());
  EXPECT_FALSE(answer.response.has_log_z());
}

TEST(LogLikelihood, ComesOnStreamsToo) {
  grpc::ClientContext context;
  const auto stream =
      v1::Scorer::NewStub(Server().channel())->ScoreStream(&context);
  v1::ScoreRequest request = RequestOf("blobs", {1, 2}, {1, 0.5F});
  ASSERT_TRUE(stream->Write(request));
  v1::ScoreResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(Doubles(response.log_likelihoods()), LogLikelihoods(request));
  EXPECT_EQ(response.log_z().value(), 12.5);
  request.mutable_model()->set_name("bars");
  *request.mutable_inputs() = FloatTensor({1, 9}, std::vector<float>(9, 1));
  ASSERT_TRUE(stream->Write(request));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_THAT(stream->Finish(), IsError(grpc::StatusCode::FAILED_PRECONDITION,
                                        HasSubstr("log_z")));
}

TEST(LogLikelihood, NeedsAModelThatKnowsItsLogZ) {
  EXPECT_THAT(
      Score(Server(), RequestOf("bars", {1, 9}, std::vector<float>(9, 1)))
          .status,
      IsError(
          grpc::StatusCode::FAILED_PRECONDITION,
          AllOf(HasSubstr("`basin log_z bars`"), HasSubstr("config.pbtxt"))));
  v1::ScoreRequest composed = RequestOf("", {1, 2}, {0, 0});
  for (int i = 0; i < 2; ++i) {
    composed.mutable_model()->mutable_product()->add_terms()->set_model(
        "mixture");
  }
  EXPECT_THAT(Score(Server(), composed).status,
              IsError(grpc::StatusCode::FAILED_PRECONDITION,
                      HasSubstr("got a composition")));
}

TEST(LogLikelihood, IsOfTheDefaultContextOnly) {
  v1::ScoreRequest labelled = RequestOf("blobs", {1, 2}, {1, 0.5F});
  labelled.set_label(-1);  // the default
  EXPECT_EQ(LogLikelihoods(labelled).size(), 1U);
  labelled.set_label(1);
  EXPECT_THAT(Score(Server(), labelled).status,
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("context.label: expected its default, -1")));
  v1::ScoreRequest given = RequestOf("regression", {1, 1}, {0});
  (*given.mutable_context())["x"] = FloatTensor({1, 1}, {0});
  EXPECT_THAT(Score(Server(), given).status,
              IsError(grpc::StatusCode::INVALID_ARGUMENT,
                      HasSubstr("context.x, which has no default")));
}

}  // namespace
}  // namespace basin::testing
