// Who runs when: shares, priorities, consumers that do not keep up, and what a
// quantum costs.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/mutex.h"
#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/allocation_counter.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;

// Calls a function for every quantum, on the worker's thread.
class QuantumObserver final : public SchedulerObserver {
 public:
  std::function<void(const Quantum&)> on_quantum = [](const Quantum&) {};
  void OnQuantum(const Quantum& quantum) override { on_quantum(quantum); }
};

// One worker, and a clock on which an evaluation takes `cost`.
class FlowTest : public ::testing::Test {
 protected:
  std::shared_ptr<const EnergyModel> ModelOfCost(absl::Duration cost) {
    FakeModelOptions options;
    options.hook = [this, cost](int) {
      gate_.Pass();
      clock_.Advance(cost);
      return absl::OkStatus();
    };
    return MakeFakeModel(*backend_, options);
  }
  std::unique_ptr<Scheduler> MakeScheduler() {
    SchedulerOptions options;
    options.workers = 1;
    options.clock = &clock_;
    options.observer = &observer_;
    return Scheduler::Create(*backend_, options);
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  FakeClock clock_;
  Gate gate_;
  QuantumObserver observer_;
};

TEST_F(FlowTest, AScoreWaitsAtMostTwoQuantaOfSaturatingSampling) {
  const auto model = ModelOfCost(absl::Milliseconds(1));
  std::unique_ptr<Scheduler> scheduler;
  std::vector<Running<ScoreJob>> scores;
  std::vector<int> submitted_at, run_at;
  int quanta = 0;
  Bell bell;
  observer_.on_quantum = [&](const SchedulerObserver::Quantum& quantum) {
    ++quanta;
    if (quantum.transition.empty()) run_at.push_back(quanta);
    if (quanta % 25 == 0 && scores.size() < 20) {
      scores.push_back(Start(*scheduler, MakeScore(model, 1)));
      submitted_at.push_back(quanta);
    }
    bell.Ring();
  };
  scheduler = MakeScheduler();
  std::vector<Running<SampleJob>> sampling;
  for (const TransitionKind kind :
       {TransitionKind::kUla, TransitionKind::kMala, TransitionKind::kJem}) {
    sampling.push_back(
        Start(*scheduler, MakeSample(model, kind, 200, 100'000)));
  }
  gate_.Open();
  // The last score is run long before the sampling ends.
  sampling[0].bell->Await(
      [&] { return sampling[0].job->Progress().chain_steps_done > 20'000; });
  scheduler.reset();
  ASSERT_EQ(run_at.size(), 20u);
  for (size_t i = 0; i < run_at.size(); ++i) {
    EXPECT_LE(run_at[i] - submitted_at[i], 2) << "score " << i;
  }
}

TEST_F(FlowTest, QueuesShareDeviceTime) {
  const auto cheap = ModelOfCost(absl::Milliseconds(1));
  const auto dear = ModelOfCost(absl::Milliseconds(9));
  std::map<const EnergyModel*, absl::Duration> used;
  int quanta = 0;
  Bell bell;
  std::atomic<bool> enough = false;
  observer_.on_quantum = [&](const SchedulerObserver::Quantum& quantum) {
    if (++quanta > 500) {
      enough = true;
    } else {
      used[quantum.model] += quantum.duration;
    }
    bell.Ring();
  };
  auto scheduler = MakeScheduler();
  const auto a =
      Start(*scheduler, MakeSample(cheap, TransitionKind::kUla, 40, 1'000'000));
  const auto b =
      Start(*scheduler, MakeSample(dear, TransitionKind::kUla, 5, 1'000'000));
  gate_.Open();
  bell.Await([&] { return enough.load(); });
  scheduler.reset();
  EXPECT_LE(absl::AbsDuration(used[cheap.get()] - used[dear.get()]),
            absl::Milliseconds(20));
}

TEST_F(FlowTest, AQueueThatComesLateGetsNoCredit) {
  const auto early = ModelOfCost(absl::Milliseconds(1));
  const auto late = ModelOfCost(absl::Milliseconds(1));
  std::unique_ptr<Scheduler> scheduler;
  std::vector<Running<SampleJob>> running;
  int quanta = 0, quanta_of_late = 0;
  Bell bell;
  std::atomic<bool> enough = false;
  const auto start = [&](const std::shared_ptr<const EnergyModel>& model) {
    running.push_back(Start(
        *scheduler, MakeSample(model, TransitionKind::kUla, 40, 1'000'000)));
  };
  observer_.on_quantum = [&](const SchedulerObserver::Quantum& quantum) {
    if (++quanta == 300) start(late);
    if (quanta > 400) enough = true;
    if (!enough && quantum.model == late.get()) ++quanta_of_late;
    bell.Ring();
  };
  scheduler = MakeScheduler();
  start(early);
  gate_.Open();
  bell.Await([&] { return enough.load(); });
  scheduler.reset();
  EXPECT_GE(quanta_of_late, 35);
  EXPECT_LE(quanta_of_late, 65);
}

TEST_F(FlowTest, PriorityComesFirst) {
  const auto blocker = ModelOfCost(absl::Milliseconds(1));
  const auto model = ModelOfCost(absl::Milliseconds(1));
  std::vector<std::string> order;
  observer_.on_quantum = [&](const SchedulerObserver::Quantum& quantum) {
    if (quantum.model == model.get()) order.emplace_back(quantum.transition);
  };
  auto scheduler = MakeScheduler();
  const auto first = Start(*scheduler, MakeScore(blocker, 1));
  gate_.AwaitArrival();
  std::vector<Running<SampleJob>> running;
  const std::pair<int, TransitionKind> kJobs[] = {{9, TransitionKind::kUla},
                                                  {1, TransitionKind::kMala},
                                                  {5, TransitionKind::kJem}};
  for (const auto& [priority, kind] : kJobs) {
    SampleSpec spec = MakeSample(model, kind, 1, 1);
    spec.options.priority = priority;
    running.push_back(Start(*scheduler, spec));
  }
  gate_.Open();
  for (const auto& job : running) job.AwaitDone();
  scheduler.reset();
  EXPECT_THAT(order, ElementsAre("mala", "jem", "ula"));
}

TEST_F(FlowTest, RowsOfAllJobsShareTiles) {
  const auto model = ModelOfCost(absl::Milliseconds(1));
  std::vector<int> rows;
  observer_.on_quantum = [&](const SchedulerObserver::Quantum& quantum) {
    rows.push_back(quantum.rows);
    EXPECT_EQ(quantum.row_evaluations, quantum.rows);
  };
  auto scheduler = MakeScheduler();
  std::vector<Running<ScoreJob>> running;
  running.push_back(Start(*scheduler, MakeScore(model, 1)));
  gate_.AwaitArrival();
  for (int i = 0; i < 16; ++i) {
    running.push_back(Start(*scheduler, MakeScore(model, 1)));
  }
  gate_.Open();
  for (const auto& job : running) job.AwaitDone();
  scheduler.reset();
  EXPECT_THAT(rows, ElementsAre(1, 16));
}

// Lets the only worker put back what it ran before, by running something else.
void Pulse(Scheduler& scheduler,
           const std::shared_ptr<const EnergyModel>& model) {
  Start(scheduler, MakeScore(model, 1)).AwaitDone();
}

bool IsIdle(const Scheduler& scheduler) {
  const SchedulerLoad load = scheduler.Load();
  return load.rows_ready + load.rows_running == 0;
}

TEST_F(FlowTest, AStalledConsumerParksItsChains) {
  gate_.Open();
  const auto model = ModelOfCost(absl::Milliseconds(1));
  auto scheduler = MakeScheduler();
  SampleSpec spec = MakeSample(model, TransitionKind::kUla, 20, 60);
  spec.keep_every = 2;
  spec.max_pending_bytes = 0;  // two frames
  const std::vector<Frame> want = Expected(spec);
  const Running<SampleJob> running = Start(*scheduler, spec);
  std::vector<Frame> got;
  while (got.size() < 30) {
    while (!IsIdle(*scheduler)) Pulse(*scheduler, model);
    const int64_t parked_at = running.job->Progress().chain_steps_done;
    for (int i = 0; i < 5; ++i) Pulse(*scheduler, model);
    EXPECT_EQ(running.job->Progress().chain_steps_done, parked_at);
    std::vector<Frame> frames;
    for (int i = 0; i < 2; ++i) {
      std::optional<Frame> frame = running.job->TakeFrame();
      ASSERT_TRUE(frame.has_value());
      got.push_back(*std::move(frame));
    }
  }
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got[i].step, want[i].step);
    EXPECT_EQ(got[i].states, want[i].states);
  }
  running.AwaitDone();
  EXPECT_OK(running.job->TakeResult().status);
}

TEST_F(FlowTest, SteadyQuantaAllocateNothing) {
  gate_.Open();
  const auto model = ModelOfCost(absl::Microseconds(500));
  constexpr int kFirst = 300, kLast = 900;
  int64_t at_first = 0, at_last = 0;
  int quanta = 0;
  std::atomic<bool> enough = false;
  Bell bell;
  observer_.on_quantum = [&](const SchedulerObserver::Quantum&) {
    ++quanta;
    if (quanta == kFirst) at_first = AllocationsOfThread();
    if (quanta == kLast) {
      at_last = AllocationsOfThread();
      enough = true;
      bell.Ring();
    }
  };
  auto scheduler = MakeScheduler();
  std::vector<std::shared_ptr<SampleJob>> jobs;
  for (const TransitionKind kind :
       {TransitionKind::kUla, TransitionKind::kMala,
        TransitionKind::kRandomWalk, TransitionKind::kIgebm,
        TransitionKind::kJem}) {
    for (const int chains : {1, 7, 40}) {
      jobs.push_back(
          *scheduler->Submit(MakeSample(model, kind, chains, 1'000'000)));
    }
  }
  bell.Await([&] { return enough.load(); });
  scheduler.reset();
  EXPECT_EQ(at_last - at_first, 0);
}

}  // namespace
}  // namespace basin::testing
