// Replay buffers whose every row stays one chain, over gRPC.

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
#include "tests/testing/temp_dir.h"

#include "basin/v1/replay.grpc.pb.h"

namespace basin::testing {
namespace {

// Puts states into a replay buffer of 8, all different; then samples from it,
// again and again.
struct ReplayCase {
  const char* name;
  std::function<void(v1::Transition&)> fill;
  bool discrete = false;
  int64_t steps = 3;

  const char* model() const { return discrete ? "grid" : "tagged"; }
  std::vector<int64_t> shape() const {
    return discrete ? std::vector<int64_t>{8, 8} : std::vector<int64_t>{2};
  }
  size_t width() const { return discrete ? 64 : 2; }
};
void PrintTo(const ReplayCase& one, std::ostream* out) { *out << one.name; }

class InPlaceTest : public ::testing::TestWithParam<ReplayCase> {};

// Of every transition that has the law itself.
std::vector<ReplayCase> InPlaceCases() {
  using T = v1::Transition;
  return {
      {"Hmc", [](T& t) { t.mutable_hmc()->set_step_size(0.2); }},
      {"RandomWalk", [](T& t) { t.mutable_random_walk()->set_step_size(1); }},
      {"Mala", [](T& t) { t.mutable_mala()->set_step_size(0.1); }},
      {"UnderdampedMetropolis",
       [](T& t) { t.mutable_underdamped_metropolis()->set_step_size(0.2); }},
      {"DelayedAcceptance",
       [](T& t) {
         t.mutable_delayed_acceptance()->set_step_size(0.5);
         t.mutable_delayed_acceptance()->mutable_surrogate()->set_name("joint");
       }},
      // Not more: sweeps by the same random numbers soon meet.
      {"Gibbs", [](T& t) { t.mutable_gibbs(); }, true, 1},
      {"SiteMetropolis",
       [](T& t) { t.mutable_site_metropolis()->set_sites(8); }, true},
      {"SiteHeatBath", [](T& t) { t.mutable_site_heat_bath()->set_sites(8); },
       true},
      {"GibbsWithGradients", [](T& t) { t.mutable_gibbs_with_gradients(); },
       true},
      {"DiscreteLangevin",
       [](T& t) { t.mutable_discrete_langevin()->set_step_size(0.3); }, true}};
}

INSTANTIATE_TEST_SUITE_P(All, InPlaceTest, ::testing::ValuesIn(InPlaceCases()),
                         [](const auto& info) {
                           return std::string(info.param.name);
                         });

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
  request.mutable_model()->set_name(one.model());
  std::vector<int64_t> shape = one.shape();
  shape.insert(shape.begin(), kSlots);
  *request.mutable_states() = FloatTensor(shape, states);
  writer->Write(request);
  writer->WritesDone();
  ASSERT_TRUE(writer->Finish().ok());
}

// From the buffer's states.
v1::SampleRequest ReplayRequest(const ReplayCase& one, uint64_t seed) {
  v1::SampleRequest request = FeatureRequest(one.model(), kSlots, one.steps);
  one.fill(*request.mutable_transition());
  request.mutable_replay();
  request.set_seed(seed);
  return request;
}

// Which of `chains` each chain of `request` went on from, where it has come to
// `ends`: the one that brings it there again. Chains of the same random
// numbers that start apart stay apart, but for those that have met: -1.
std::vector<int64_t> Origins(const ServerProcess& server, const ReplayCase& one,
                             v1::SampleRequest request,
                             const std::vector<std::vector<float>>& chains,
                             const std::vector<std::vector<float>>& ends) {
  std::vector<int64_t> shape = one.shape();
  shape.insert(shape.begin(), kSlots);
  std::vector<int64_t> origins(kSlots, -1);
  for (int64_t shift = 0; shift < kSlots; ++shift) {
    std::vector<float> begins;
    for (int64_t chain = 0; chain < kSlots; ++chain) {
      const auto& begin = chains[(chain + shift) % kSlots];
      begins.insert(begins.end(), begin.begin(), begin.end());
    }
    *request.mutable_states() = FloatTensor(shape, begins);
    const auto found = RowsOf(Sample(server, request).States(), one.width());
    for (int64_t chain = 0; chain < kSlots; ++chain) {
      if (found[chain] != ends[chain]) continue;
      EXPECT_EQ(origins[chain], -1) << "two chains have met";
      origins[chain] = (chain + shift) % kSlots;
    }
  }
  return origins;
}

TEST_P(InPlaceTest, EachRowOfTheBufferStaysOneChain) {
  const ReplayCase& one = GetParam();
  const TempDir folder;
  WriteFeatureModels(folder.File("models"));
  ServerProcess::Options options;
  options.models = folder.File("models");
  const ServerProcess server(options);
  const size_t width = one.width();
  // Bits of many kinds, or the first coordinate.
  std::vector<float> start(kSlots * width, 0);
  for (uint64_t row = 0; row < kSlots; ++row) {
    const uint64_t bits = row * 0x9e3779b97f4a7c15;
    start[row * width] = static_cast<float>(row);
    for (size_t i = 0; one.discrete && i < width; ++i) {
      start[row * width + i] = static_cast<float>(bits >> i & 1);
    }
  }
  Insert(server, one, start);
  // By slot, where each chain is.
  std::vector<std::vector<float>> chains = RowsOf(start, width);
  std::map<uint64_t, std::vector<int64_t>> orders;  // by seed
  for (uint64_t round = 1; round <= 6; ++round) {
    const v1::SampleRequest request = ReplayRequest(one, round % 2);
    const SampleAnswer drawn = Sample(server, request);
    ASSERT_TRUE(drawn.status.ok()) << drawn.status.error_message();
    EXPECT_EQ(drawn.summary.replay_written(), kSlots);
    const auto ends = RowsOf(drawn.States(), width);
    ASSERT_EQ(ends.size(), size_t{kSlots});
    // From where the last round has left them, each once.
    const std::vector<int64_t> order =
        Origins(server, one, request, chains, ends);
    EXPECT_THAT(order, ::testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    for (int64_t chain = 0; chain < kSlots; ++chain) {
      ASSERT_GE(order[chain], 0) << "in round " << round;
      chains[order[chain]] = ends[chain];
    }
    // A seed draws the same slots in every round: each has kept its chain.
    const auto earlier = orders.emplace(round % 2, order).first;
    EXPECT_EQ(order, earlier->second) << "in round " << round;
  }
  EXPECT_EQ(ReplayStatsOf(server, one.model()).size(), kSlots);
}

}  // namespace
}  // namespace basin::testing
