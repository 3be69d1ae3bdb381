// Same seed, same bytes: a request's answer does not depend on who shares the
// tiles, in which order requests came, the number of workers or the tile size.

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/core/scheduler/spin_model.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using Keep = SampleSpec::Keep;

// The request whose bytes are compared.
SampleSpec Subject(const std::shared_ptr<const EnergyModel>& model,
                   TransitionKind kind) {
  SampleSpec spec = MakeSample(model, kind, 5, 12);
  spec.seed = 42;
  spec.warmup = 2;
  spec.keep_every = 3;
  if (model->info().domain.kind == DomainKind::kContinuous) {
    spec.box = {-3, 3};
    // Recipes carry no energies: what they keep is evaluated apart.
    spec.keep = kind == TransitionKind::kIgebm ? Keep::kStates
                                               : Keep::kStatesAndGradients;
  }
  return spec;
}

// The i-th of those that share the scheduler with it: of all kinds, sizes,
// lengths and wishes, some diverging.
SampleSpec Neighbour(const std::shared_ptr<const EnergyModel>& model, int i) {
  const std::vector<TransitionKind> kinds = KindsFor(*model);
  SampleSpec spec =
      MakeSample(model, kinds[i % kinds.size()], 1 + i % 4, 1 + (i * 7) % 20);
  const bool continuous = model->info().domain.kind == DomainKind::kContinuous;
  spec.seed = 7 + i;
  spec.keep = static_cast<Keep>(i % (continuous ? 3 : 2));
  spec.keep_every = i % 2;
  spec.transition.step_size *= 1 + i % 3;
  spec.inverse_temperature = 1 + 0.5 * (i % 2);
  spec.max_pending_bytes = i % 4 == 0 ? 0 : 1 << 20;
  if (continuous && i % 6 == 5) spec.initial[0] = 60;
  return spec;
}

struct Setting {
  int neighbours = 0;
  int workers = 1;
  std::vector<int> tile_sizes = {1, 2, 4, 8, 16};
};

class DeterminismTest : public ::testing::TestWithParam<TransitionKind> {
 protected:
  // The bytes of the subject's answer.
  std::string Answer(const Setting& setting) {
    const auto model = ModelOf(setting.tile_sizes);
    const auto other = ModelOf(Setting().tile_sizes);
    SchedulerOptions options;
    options.workers = setting.workers;
    const auto scheduler = Scheduler::Create(model->backend(), options);
    std::vector<int> order(setting.neighbours + 1);  // 0: the subject
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    std::shuffle(order.begin(), order.end(), random_);

    SampleSpec endless = MakeSample(model, GetParam(), 3, 100'000);
    const bool has_endless = setting.neighbours > 0;
    Running<SampleJob> cancelled;
    if (has_endless) cancelled = Start(*scheduler, endless);
    Running<SampleJob> subject;
    std::vector<Running<SampleJob>> samples;
    std::vector<Running<ScoreJob>> scores;
    for (const int i : order) {
      if (i == 0) {
        subject = Start(*scheduler, Subject(model, GetParam()));
        continue;
      }
      samples.push_back(Start(*scheduler, Neighbour(model, i)));
      if (i % 3 == 0) scores.push_back(Start(*scheduler, MakeScore(model, 2)));
      if (i % 7 == 0) {
        samples.push_back(Start(*scheduler, Neighbour(other, i)));
      }
    }
    if (has_endless) {
      cancelled.bell->Await(
          [&] { return cancelled.job->Progress().chain_steps_done > 0; });
      cancelled.job->Cancel(absl::CancelledError("enough"));
    }
    const Sampled answer = Collect(subject);
    EXPECT_OK(answer.result.status);
    for (const auto& running : samples) {
      EXPECT_OK(Collect(running).result.status);
    }
    for (const auto& running : scores) EXPECT_OK(Collect(running).status);
    if (has_endless) cancelled.AwaitDone();
    return BytesOf(answer);
  }

  // Spins come in all tile sizes up to the largest.
  std::shared_ptr<const EnergyModel> ModelOf(
      const std::vector<int>& tile_sizes) {
    if (!CheckFits(GetParam(), ModelInfo()).ok()) {
      return MakeSpinModel(tile_sizes.back());
    }
    FakeModelOptions options;
    options.tile_sizes = tile_sizes;
    return MakeFakeModel(*backend_, options);
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  std::mt19937 random_{1};
};

TEST_P(DeterminismTest, AmongOthersAndOnSeveralWorkers) {
  const std::string want = Answer({});
  for (const int neighbours : {0, 1, 7, 255}) {
    for (const int workers : {1, 2, 3}) {
      EXPECT_EQ(Answer({neighbours, workers}), want)
          << neighbours << " neighbours, " << workers << " workers";
    }
  }
}

TEST_P(DeterminismTest, InEveryTileSize) {
  const std::string want = Answer({});
  for (const std::vector<int>& sizes : std::vector<std::vector<int>>{
           {1}, {2}, {3}, {4}, {8}, {16}, {32}, {64}, {256}, {1, 64}}) {
    for (const int neighbours : {0, 7}) {
      EXPECT_EQ(Answer({neighbours, 2, sizes}), want)
          << neighbours << " neighbours, tiles of up to " << sizes.back();
    }
  }
}

TEST_P(DeterminismTest, AnotherSeedGivesOtherBytes) {
  if (GetParam() == TransitionKind::kMinimize) return;  // no noise
  const auto model = ModelOf(Setting().tile_sizes);
  const auto scheduler = Scheduler::Create(model->backend(), {});
  SampleSpec spec = Subject(model, GetParam());
  const std::string first = BytesOf(Collect(Start(*scheduler, spec)));
  EXPECT_EQ(BytesOf(Collect(Start(*scheduler, spec))), first);
  ++spec.seed;
  EXPECT_NE(BytesOf(Collect(Start(*scheduler, spec))), first);
}

INSTANTIATE_TEST_SUITE_P(All, DeterminismTest, ::testing::ValuesIn(AllKinds()),
                         [](const auto& info) {
                           return std::string(Name(info.param));
                         });

// Scores, alone and in company, with and without gradients beside them.
TEST(ScoreDeterminismTest, AmongOthers) {
  const auto backend = CreateCpuBackend();
  const auto model = MakeFakeModel(*backend, {});
  SchedulerOptions options;
  options.workers = 2;
  const auto scheduler = Scheduler::Create(*backend, options);
  const std::vector<double> want =
      Collect(Start(*scheduler, MakeScore(model, 9))).energies;
  std::vector<Running<ScoreJob>> running;
  for (int i = 0; i < 64; ++i) {
    ScoreSpec spec = MakeScore(model, 1 + i % 9);
    if (i % 2 == 0) spec.want = ScoreSpec::Want::kEnergyAndGradient;
    running.push_back(Start(*scheduler, spec));
  }
  const auto subject = Start(*scheduler, MakeScore(model, 9));
  EXPECT_EQ(Collect(subject).energies, want);
  for (const auto& other : running) EXPECT_OK(Collect(other).status);
}

}  // namespace
}  // namespace basin::testing
