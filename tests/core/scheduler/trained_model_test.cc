// Same seed, same bytes, on a trained convolutional model: alone, among 1, 7
// and 255 others, shuffled, with a neighbour cancelled midway, with one and
// two workers, and in every tile size.

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/backend.h"
#include "core/model/energy_model.h"
#include "core/model/initial_states.h"
#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ModelPtr = std::shared_ptr<const EnergyModel>;

// A request that starts from the model's initial law, within its domain.
SampleSpec Request(const ModelPtr& model, const TransitionParams& transition,
                   int64_t chains, int64_t steps, uint64_t seed) {
  SampleSpec spec;
  spec.model = model;
  spec.transition = transition;
  spec.box = model->info().domain.box;
  spec.chains = chains;
  spec.steps = steps;
  spec.keep_every = std::min<int64_t>(steps, 2);
  spec.seed = seed;
  const int64_t dimension = model->info().dimension;
  spec.initial.resize(chains * dimension);
  for (int64_t chain = 0; chain < chains; ++chain) {
    DrawInitialState(
        model->info().initial, seed, chain,
        absl::MakeSpan(spec.initial).subspan(chain * dimension, dimension));
  }
  return spec;
}

class TrainedModelTest : public ::testing::TestWithParam<TransitionParams> {
 protected:
  // mnist_ebm with tiles of at most `max_tile_rows` rows.
  ModelPtr Load(int max_tile_rows) {
    EnergyModel::LoadOptions options;
    options.max_tile_rows = max_tile_rows;
    auto model = EnergyModel::Load(
        *backend_, std::string(BASIN_SOURCE_DIR) + "/deploy/models/mnist_ebm",
        "mnist_ebm", 1, options);
    EXPECT_OK(model);
    return *std::move(model);
  }

  // The subject's bytes among `neighbours` other requests, one of which is
  // cancelled while it runs.
  std::string Answer(const ModelPtr& model, int neighbours, int workers) {
    SchedulerOptions options;
    options.workers = workers;
    options.max_work = absl::Hours(1000);  // sanitizers are slow
    const auto scheduler = Scheduler::Create(*backend_, options);
    std::vector<int> order(neighbours + 1);
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    std::shuffle(order.begin(), order.end(), random_);
    Running<SampleJob> subject;
    std::vector<Running<SampleJob>> others;
    for (const int i : order) {
      if (i == 0) {
        subject = Start(*scheduler, Request(model, GetParam(), 5, 4, 42));
      } else {
        const int64_t steps = i == 1 ? 1'000'000 : 1 + i % 4;
        others.push_back(Start(
            *scheduler, Request(model, GetParam(), 1 + i % 3, steps, 100 + i)));
        if (i == 1) endless_ = others.back();
      }
    }
    const Sampled sampled = Collect(subject);
    EXPECT_OK(sampled.result.status);
    if (neighbours > 0) endless_.job->Cancel(absl::CancelledError("enough"));
    for (const auto& other : others) other.AwaitDone();
    return BytesOf(sampled);
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  std::mt19937 random_{1};
  Running<SampleJob> endless_;
};

TEST_P(TrainedModelTest, SameSeedSameBytes) {
  const std::string alone = Answer(Load(16), 0, 1);
  ASSERT_FALSE(alone.empty());
  for (const int tile_rows : {1, 2, 3, 4, 8, 16, 32, 64}) {
    const ModelPtr model = Load(tile_rows);
    ASSERT_EQ(model->tile_sizes().back(), tile_rows) << "a size was dropped";
    for (const int neighbours : {0, 1, 7}) {
      for (const int workers : {1, 2}) {
        EXPECT_EQ(Answer(model, neighbours, workers), alone)
            << tile_rows << " rows a tile, " << neighbours << " neighbours, "
            << workers << " workers";
      }
    }
  }
  EXPECT_EQ(Answer(Load(16), 255, 2), alone) << "among 255 others";
  EXPECT_EQ(Answer(Load(64), 255, 1), alone) << "among 255 others";
}

INSTANTIATE_TEST_SUITE_P(
    Transitions, TrainedModelTest,
    ::testing::Values(TransitionParams{TransitionKind::kIgebm, 2.5, 0.0025,
                                       0.06},
                      TransitionParams{TransitionKind::kMala, 1e-5, 0, 0},
                      TransitionParams{TransitionKind::kUla, 1e-4, 0, 0}));

}  // namespace
}  // namespace basin::testing
