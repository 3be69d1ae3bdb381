#include "core/scheduler/run_queue.h"

#include <memory>

#include <gtest/gtest.h>

#include "core/base/check.h"
#include "tests/core/scheduler/fake_model.h"

namespace basin::internal {
namespace {

using ::basin::testing::FakeClock;
using ::basin::testing::MakeFakeModel;

class EndlessJob final : public RowJob {
 public:
  explicit EndlessJob(int64_t rows) : RowJob({}, rows, int64_t{1} << 40, {}) {}
  int64_t StepsAllowed(int64_t done) const override {
    return steps_per_row() - done;
  }
  void Finish(const JobEnd& /*end*/) override {}
  int64_t UnseenSteps() const override { return 0; }
};

// Two workers, played by one thread: each WaitForWork() finds something to do.
class RunQueueTest : public ::testing::Test {
 protected:
  struct Queue {
    std::shared_ptr<const EnergyModel> model;
    int quanta = 0;
  };

  Queue MakeQueue() const { return {MakeFakeModel(*backend_, {})}; }

  std::shared_ptr<RowJob> Start(const Queue& queue, int64_t rows) {
    auto job = std::make_shared<EndlessJob>(rows);
    const Demand need = {rows, 0, absl::Seconds(1)};
    BASIN_CHECK(run_queue_.Reserve(need).ok());
    run_queue_.Start(job, {queue.model, nullptr, nullptr},
                     {queue.model.get(), WorkKind::kTransition}, need);
    return job;
  }

  // A quantum of 2 ms on one worker; counts it for whoever has it.
  void RunQuantum(Work& work, std::initializer_list<Queue*> queues) {
    Ended ended;
    while (run_queue_.WaitForWork(&work, &ended) == RunQueue::Next::kFinish) {
      run_queue_.FinishedOne();
    }
    work.spent = absl::Milliseconds(2);
    for (const Segment& segment : work.segments) {
      RowRange range = segment.range;
      range.done += work.steps;
      work.remaining.push_back(range);
    }
    for (Queue* queue : queues) {
      if (queue->model == work.models.model) ++queue->quanta;
    }
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  FakeClock clock_;
  RunQueue run_queue_{{.workers = 2,
                       .quantum = absl::Milliseconds(2),
                       .limits = {1 << 20, 1 << 20, absl::Hours(1)},
                       .clock = &clock_}};
  Work first_, second_;
};

TEST_F(RunQueueTest, TimeUsedAloneIsNotHeldAgainstAQueue) {
  Queue veteran = MakeQueue();
  Queue newcomer = MakeQueue();
  const std::shared_ptr<RowJob> early = Start(veteran, 100);
  for (int i = 0; i < 500; ++i) RunQuantum(first_, {});
  run_queue_.Cancel(*early, absl::CancelledError("enough"));
  Ended ended;  // nothing is left that runs
  ASSERT_EQ(run_queue_.WaitForWork(&first_, &ended), RunQueue::Next::kFinish);
  run_queue_.FinishedOne();
  Start(newcomer, 100);
  for (int i = 0; i < 10; ++i) RunQuantum(first_, {});
  Start(veteran, 100);
  for (int i = 0; i < 100; ++i) RunQuantum(first_, {&veteran, &newcomer});
  EXPECT_GE(veteran.quanta, 45);
  EXPECT_GE(newcomer.quanta, 45);
}

TEST_F(RunQueueTest, AWorkerThatAQueueDidNotUseIsNoCredit) {
  Queue narrow = MakeQueue();
  Queue wide = MakeQueue();
  // One row keeps one worker busy now and then; the rest goes to `wide`.
  Start(narrow, 1);
  Start(wide, 100);
  for (int i = 0; i < 500; ++i) {
    RunQuantum(first_, {});
    for (int k = 0; k < 4; ++k) RunQuantum(second_, {});
  }
  Start(narrow, 100);
  for (int i = 0; i < 50; ++i) {
    RunQuantum(first_, {&narrow, &wide});
    RunQuantum(second_, {&narrow, &wide});
  }
  EXPECT_GE(wide.quanta, 40);
  EXPECT_GE(narrow.quanta, 40);
}

}  // namespace
}  // namespace basin::internal
