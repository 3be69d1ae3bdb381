// Steps of many evaluations, which end with the last job that wants them.

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kLeaps = 1024;

class InterruptTest : public ::testing::Test {
 protected:
  std::unique_ptr<Scheduler> MakeScheduler() {
    SchedulerOptions options;
    options.workers = 1;
    options.clock = &clock_;
    return Scheduler::Create(*backend_, options);
  }

  // One step takes kLeaps evaluations. `at` is called at each, with how many
  // there have been.
  SampleSpec LongStep(std::function<void(int)> at, int64_t steps = 2) {
    FakeModelOptions options;
    options.hook = [this, at = std::move(at)](int) {
      at(++evaluations_);
      return absl::OkStatus();
    };
    return OfModel(MakeFakeModel(*backend_, options), steps);
  }
  static SampleSpec OfModel(std::shared_ptr<const EnergyModel> model,
                            int64_t steps) {
    SampleSpec spec =
        MakeSample(std::move(model), TransitionKind::kHmc, 3, steps);
    spec.transition.leaps = kLeaps;
    spec.transition.step_size = 0.01;
    return spec;
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  FakeClock clock_;
  Gate gate_;
  std::atomic<int> evaluations_ = 0;
};

TEST_F(InterruptTest, CancelEndsAStepInItsMidst) {
  std::shared_ptr<SampleJob> job;
  const auto scheduler = MakeScheduler();
  const auto running = Start(*scheduler, LongStep([&](int evaluation) {
    gate_.Pass();
    if (evaluation != 10) return;
    job->Cancel(absl::CancelledError("no more"));
  }));
  job = running.job;
  gate_.Open();
  const SampleResult result = Collect(running).result;
  EXPECT_THAT(result.status,
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("no more")));
  EXPECT_EQ(result.chain_steps, 0);
  EXPECT_EQ(evaluations_, 10);
}

TEST_F(InterruptTest, ADeadlineEndsAStepInItsMidst) {
  const auto scheduler = MakeScheduler();
  SampleSpec spec =
      LongStep([this](int) { clock_.Advance(absl::Milliseconds(1)); });
  spec.options.deadline = clock_.Now() + absl::Milliseconds(20);
  const SampleResult result = Collect(Start(*scheduler, spec)).result;
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kDeadlineExceeded,
                                      HasSubstr("deadline passed")));
  EXPECT_EQ(evaluations_, 20);
}

TEST_F(InterruptTest, WhatEndsWithWhatItHasFinishesItsStep) {
  const auto scheduler = MakeScheduler();
  SampleSpec spec =
      LongStep([this](int) { clock_.Advance(absl::Milliseconds(1)); }, 5);
  spec.keep_every = 1;
  spec.options.deadline = clock_.Now() + absl::Milliseconds(1500);
  spec.options.on_deadline = JobOptions::OnDeadline::kPartial;
  const Sampled got = Collect(Start(*scheduler, spec));
  EXPECT_OK(got.result.status);
  EXPECT_TRUE(got.result.truncated);
  EXPECT_EQ(got.frames.size(), 2U);
}

TEST_F(InterruptTest, DrainingEndsAStepInItsMidst) {
  const auto scheduler = MakeScheduler();
  const SampleSpec spec = LongStep([this](int) { gate_.Pass(); });
  const auto running = Start(*scheduler, spec);
  gate_.AwaitArrival();
  std::thread drain([&] { scheduler->Drain(absl::Hours(1)); });
  while (scheduler->CheckAdmission(spec).ok()) std::this_thread::yield();
  clock_.Advance(absl::Hours(2));
  gate_.Open();
  drain.join();
  ASSERT_TRUE(running.job->Done());
  EXPECT_THAT(
      running.job->TakeResult().status,
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("shutting down")));
  EXPECT_EQ(evaluations_, 1);
}

// Two jobs in one tile, of which one is cancelled during its first step.
TEST_F(InterruptTest, AJobThatGoesOnKeepsTheStep) {
  std::shared_ptr<SampleJob> first;
  const auto scheduler = MakeScheduler();
  const auto blocker = Start(*scheduler, LongStep(
                                             [this](int) {
                                               if (evaluations_ == 1)
                                                 gate_.Pass();
                                             },
                                             1));
  gate_.AwaitArrival();
  std::atomic<int> shared = 0;
  FakeModelOptions options;
  options.hook = [&](int rows) {
    if (rows == 6 && ++shared == 10) first->Cancel(absl::CancelledError("no"));
    return absl::OkStatus();
  };
  const auto model = MakeFakeModel(*backend_, options);
  const SampleSpec spec = OfModel(model, 2);
  const auto cancelled = Start(*scheduler, spec);
  const auto kept = Start(*scheduler, spec);
  first = cancelled.job;
  gate_.Open();
  EXPECT_EQ(Collect(cancelled).result.status.code(),
            absl::StatusCode::kCancelled);
  const Sampled got = Collect(kept);
  ASSERT_OK(got.result.status);
  EXPECT_GT(shared, kLeaps) << "never shared a step";
  EXPECT_EQ(got.frames.back().states,
            Expected(OfModel(MakeFakeModel(*backend_, {}), 2)).back().states);
}

}  // namespace
}  // namespace basin::testing
