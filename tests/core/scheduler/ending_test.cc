// How jobs end other than by being done: cancelled, late, drained, dropped.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/mutex.h"
#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kEndless = 10'000'000;

// Counts quanta and cancellations.
class Counter final : public SchedulerObserver {
 public:
  void OnQuantum(const Quantum&) override { ++quanta; }
  void OnFirstQuantum(absl::Duration) override { ++first_quanta; }
  void OnCancelled(std::string_view where, int64_t wasted) override {
    MutexLock lock(mu);
    places.emplace_back(where);
    wasted_steps += wasted;
  }
  std::atomic<int> quanta = 0;
  std::atomic<int> first_quanta = 0;
  Mutex mu;
  std::vector<std::string> places ABSL_GUARDED_BY(mu);
  int64_t wasted_steps ABSL_GUARDED_BY(mu) = 0;
};

class EndingTest : public ::testing::Test {
 protected:
  std::unique_ptr<Scheduler> MakeScheduler(int workers, const Clock& clock) {
    SchedulerOptions options;
    options.workers = workers;
    options.clock = &clock;
    options.observer = &counter_;
    return Scheduler::Create(*backend_, options);
  }
  // A job that waits for its consumer soon and for ever.
  SampleSpec Stalled() {
    SampleSpec spec = MakeSample(model_, TransitionKind::kUla, 3, kEndless);
    spec.keep_every = 1;
    spec.max_pending_bytes = 0;
    return spec;
  }
  // A model whose evaluations wait for the gate.
  std::shared_ptr<const EnergyModel> GatedModel() {
    FakeModelOptions options;
    options.hook = [this](int) {
      gate_.Pass();
      return absl::OkStatus();
    };
    return MakeFakeModel(*backend_, options);
  }
  static void AwaitStalled(const Running<SampleJob>& running) {
    running.bell->Await(
        [&] { return running.job->Progress().chain_steps_done == 6; });
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  const std::shared_ptr<const EnergyModel> model_ =
      MakeFakeModel(*backend_, {});
  Gate gate_;
  FakeClock clock_;
  Counter counter_;
};

TEST_F(EndingTest, CancelEndsARunningJob) {
  const auto scheduler = MakeScheduler(2, Clock::Real());
  const auto running =
      Start(*scheduler, MakeSample(model_, TransitionKind::kMala, 9, kEndless));
  running.bell->Await(
      [&] { return running.job->Progress().chain_steps_done > 0; });
  running.job->Cancel(absl::CancelledError("changed my mind"));
  const Sampled got = Collect(running);
  EXPECT_THAT(got.result.status, StatusIs(absl::StatusCode::kCancelled,
                                          HasSubstr("changed my mind")));
  EXPECT_FALSE(got.result.truncated);
  scheduler->Drain(absl::Hours(1));
  MutexLock lock(counter_.mu);
  EXPECT_EQ(counter_.places, std::vector<std::string>{"running"});
  EXPECT_EQ(counter_.wasted_steps, got.result.chain_steps);
}

TEST_F(EndingTest, CancelEndsAParkedJob) {
  const auto scheduler = MakeScheduler(1, Clock::Real());
  const auto running = Start(*scheduler, Stalled());
  AwaitStalled(running);
  running.job->Cancel(absl::OkStatus());
  running.AwaitDone();
  // The frames from before are still there.
  EXPECT_EQ(TakeFrames(*running.job).size(), 2u);
  EXPECT_THAT(running.job->TakeResult().status,
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("cancelled")));
}

TEST_F(EndingTest, CancelOfAQueuedJobTakesNoQuantum) {
  const auto scheduler = MakeScheduler(1, Clock::Real());
  const auto blocker = Start(*scheduler, MakeScore(GatedModel(), 1));
  gate_.AwaitArrival();
  const auto sample =
      Start(*scheduler, MakeSample(model_, TransitionKind::kUla, 9, 9));
  const auto score = Start(*scheduler, MakeScore(model_, 9));
  sample.job->Cancel(absl::CancelledError("no"));
  score.job->Cancel(absl::CancelledError("no"));
  EXPECT_EQ(scheduler->Load().rows_ready, 0);
  gate_.Open();
  sample.AwaitDone();
  EXPECT_EQ(Collect(score).status.code(), absl::StatusCode::kCancelled);
  scheduler->Drain(absl::Hours(1));
  EXPECT_EQ(counter_.quanta, 1);
  EXPECT_EQ(counter_.first_quanta, 1);
  MutexLock lock(counter_.mu);
  EXPECT_EQ(counter_.places, (std::vector<std::string>{"queued", "queued"}));
}

TEST_F(EndingTest, ALateCancelTouchesNobody) {
  const auto scheduler = MakeScheduler(1, Clock::Real());
  const auto first = Start(*scheduler, MakeScore(model_, 1));
  first.AwaitDone();
  const auto second = Start(*scheduler, MakeScore(model_, 1));
  first.job->Cancel(absl::CancelledError("too late"));
  EXPECT_OK(first.job->TakeResult().status);
  EXPECT_OK(Collect(second).status);
}

TEST_F(EndingTest, ADeadlineEndsAParkedJobWithoutBeingPicked) {
  const auto scheduler = MakeScheduler(1, Clock::Real());
  SampleSpec spec = Stalled();
  spec.options.deadline = Clock::Real().Now() + absl::Milliseconds(50);
  const auto running = Start(*scheduler, spec);
  running.AwaitDone();
  EXPECT_THAT(
      running.job->TakeResult().status,
      StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("deadline")));
}

TEST_F(EndingTest, ADeadlineEndsAQueuedJobWithoutAQuantum) {
  const auto scheduler = MakeScheduler(1, clock_);
  const auto blocker = Start(*scheduler, MakeScore(GatedModel(), 1));
  gate_.AwaitArrival();
  ScoreSpec spec = MakeScore(model_, 4);
  spec.options.deadline = clock_.Now() + absl::Seconds(5);
  const auto late = Start(*scheduler, spec);
  spec.options.deadline = clock_.Now() + absl::Seconds(6);
  const auto in_time = Start(*scheduler, spec);
  clock_.Advance(absl::Seconds(5));
  gate_.Open();
  const ScoreResult result = Collect(late);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(result.queued, absl::Seconds(5));
  EXPECT_OK(Collect(in_time).status);
}

TEST_F(EndingTest, ADeadlineEndsARunningJobAfterItsQuantum) {
  FakeModelOptions options;
  options.hook = [this](int) {
    clock_.Advance(absl::Milliseconds(1));
    return absl::OkStatus();
  };
  const auto scheduler = MakeScheduler(1, clock_);
  SampleSpec spec = MakeSample(MakeFakeModel(*backend_, options),
                               TransitionKind::kUla, 4, kEndless);
  spec.options.deadline = clock_.Now() + absl::Milliseconds(100);
  spec.options.on_deadline = JobOptions::OnDeadline::kPartial;
  spec.keep_every = 10;
  const Sampled got = Collect(Start(*scheduler, spec));
  EXPECT_OK(got.result.status);
  EXPECT_TRUE(got.result.truncated);
  // A step costs 1 ms; a quantum is 2 ms.
  EXPECT_GE(got.result.chain_steps, 4 * 80);
  EXPECT_LE(got.result.chain_steps, 4 * 102);
  spec.steps = static_cast<int64_t>(got.frames.size()) * 10;
  const std::vector<Frame> want = Expected(spec);
  ASSERT_GE(want.size(), 8u);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got.frames[i].states, want[i].states);
  }
  EXPECT_EQ(got.result.traces.draws, static_cast<int64_t>(want.size()));
}

TEST_F(EndingTest, DrainWaitsForWhatRunsAndRefusesTheRest) {
  const auto scheduler = MakeScheduler(2, Clock::Real());
  std::vector<Running<SampleJob>> running;
  for (int i = 0; i < 20; ++i) {
    running.push_back(
        Start(*scheduler, MakeSample(model_, TransitionKind::kUla, 1 + i, 50)));
  }
  scheduler->Drain(absl::Hours(1));
  for (const auto& job : running) {
    EXPECT_TRUE(job.job->Done());
    EXPECT_OK(job.job->TakeResult().status);
  }
  EXPECT_THAT(scheduler->Submit(MakeScore(model_, 1)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("draining")));
}

TEST_F(EndingTest, DrainCancelsWhatDoesNotEndInTime) {
  const auto scheduler = MakeScheduler(2, Clock::Real());
  const auto endless =
      Start(*scheduler, MakeSample(model_, TransitionKind::kUla, 9, kEndless));
  const auto stalled = Start(*scheduler, Stalled());
  scheduler->Drain(absl::ZeroDuration());
  for (const auto& running : {endless, stalled}) {
    ASSERT_TRUE(running.job->Done());
    EXPECT_EQ(running.job->TakeResult().status.code(),
              absl::StatusCode::kUnavailable);
  }
}

TEST_F(EndingTest, AHandleOutlivesTheScheduler) {
  auto scheduler = MakeScheduler(2, Clock::Real());
  const auto running = Start(*scheduler, Stalled());
  AwaitStalled(running);
  scheduler.reset();
  ASSERT_TRUE(running.job->Done());
  running.job->Cancel(absl::CancelledError("late"));
  EXPECT_EQ(TakeFrames(*running.job).size(), 2u);
  EXPECT_EQ(running.job->TakeResult().status.code(),
            absl::StatusCode::kCancelled);
}

TEST_F(EndingTest, ADroppedHandleDoesNotEndTheJob) {
  const auto scheduler = MakeScheduler(1, Clock::Real());
  auto running =
      Start(*scheduler, MakeSample(model_, TransitionKind::kUla, 2, 30));
  running.job.reset();
  scheduler->Drain(absl::Hours(1));
  MutexLock lock(counter_.mu);
  EXPECT_TRUE(counter_.places.empty());
}

TEST_F(EndingTest, AnUnfetchedAnswerKeepsNoModel) {
  const auto scheduler = MakeScheduler(2, Clock::Real());
  auto model = MakeFakeModel(*backend_, {});
  const std::weak_ptr<const EnergyModel> gone = model;
  const auto sample =
      Start(*scheduler, MakeSample(model, TransitionKind::kUla, 40, 9));
  const auto score = Start(*scheduler, MakeScore(std::move(model), 40));
  sample.AwaitDone();
  score.AwaitDone();
  EXPECT_TRUE(gone.expired());
  // Another model, perhaps at the same address, gets functions of its own.
  const auto other = MakeFakeModel(*backend_, {.dimension = 5});
  EXPECT_OK(Collect(Start(*scheduler, MakeScore(other, 3))).status);
}

// Submits, takes, cancels and drains from several threads at once; for
// ThreadSanitizer.
TEST_F(EndingTest, ManyThreads) {
  const auto scheduler = MakeScheduler(3, Clock::Real());
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([&, t] {
      for (int i = 0; i < 30; ++i) {
        SampleSpec spec = MakeSample(model_, TransitionKind::kMala, 1 + t, 40);
        spec.keep_every = 1;
        spec.max_pending_bytes = 0;
        const auto running = Start(*scheduler, spec);
        if (i % 3 == t % 3) running.job->Cancel(absl::CancelledError("no"));
        const Sampled got = Collect(running);
        EXPECT_TRUE(!got.result.status.ok() || got.frames.size() == 40);
        scheduler->Load();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  scheduler->Drain(absl::Hours(1));
  EXPECT_EQ(scheduler->Load().rows_ready, 0);
}

}  // namespace
}  // namespace basin::testing
