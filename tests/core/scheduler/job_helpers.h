#ifndef BASIN_TESTS_CORE_SCHEDULER_JOB_HELPERS_H_
#define BASIN_TESTS_CORE_SCHEDULER_JOB_HELPERS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>

#include "core/base/mutex.h"
#include "core/scheduler/scheduler.h"

namespace basin::testing {

// Wakes those who wait for something that has changed. Thread-safe.
class Bell {
 public:
  void Ring();
  // Blocks until `condition`, which is looked at after every ring.
  void Await(const std::function<bool()>& condition);

 private:
  Mutex mu_;
  CondVar rung_;
  int64_t rings_ ABSL_GUARDED_BY(mu_) = 0;
};

// The parameters that the tests use for a transition.
TransitionParams ParamsOf(TransitionKind kind);

// Of AllTransitions().
std::vector<TransitionKind> AllKinds();
// Those that fit a model.
std::vector<TransitionKind> KindsFor(const EnergyModel& model);

// A small request, starting from fixed states within [-1, 1], or of 0 and 1
// for a binary model. Delayed acceptance is its own surrogate.
SampleSpec MakeSample(std::shared_ptr<const EnergyModel> model,
                      TransitionKind kind, int64_t chains, int64_t steps);
ScoreSpec MakeScore(std::shared_ptr<const EnergyModel> model, int64_t rows);

// A submitted job and the bell that its listener rings.
template <typename Job>
struct Running {
  std::shared_ptr<Job> job;
  std::shared_ptr<Bell> bell;

  void AwaitDone() const {
    bell->Await([this] { return job->Done(); });
  }
};
// Submits; the test fails if that does. Replaces the listener.
Running<SampleJob> Start(Scheduler& scheduler, SampleSpec spec);
Running<ScoreJob> Start(Scheduler& scheduler, ScoreSpec spec);

struct Sampled {
  std::vector<Frame> frames;
  SampleResult result;
};
// Takes all frames as they come, until the end.
Sampled Collect(const Running<SampleJob>& running);
// The frames that are there now.
std::vector<Frame> TakeFrames(SampleJob& job);
// Waits for the end.
ScoreResult Collect(const Running<ScoreJob>& running);

// Everything a request computes, as bytes.
std::string BytesOf(const Sampled& sampled);

// What `spec` must give: each chain moved alone, without a scheduler.
std::vector<Frame> Expected(const SampleSpec& spec);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_SCHEDULER_JOB_HELPERS_H_
