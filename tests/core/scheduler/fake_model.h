#ifndef BASIN_TESTS_CORE_SCHEDULER_FAKE_MODEL_H_
#define BASIN_TESTS_CORE_SCHEDULER_FAKE_MODEL_H_

// Models with analytic energies, so that the scheduler is tested without
// files, and with hooks into their evaluations.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/model/energy_model.h"

namespace basin::testing {

// A clock that stands still until it is told to go on. Thread-safe.
class FakeClock final : public Clock {
 public:
  absl::Time Now() const override {
    return absl::FromUnixNanos(nanoseconds_.load());
  }
  void Advance(absl::Duration by) {
    nanoseconds_ += absl::ToInt64Nanoseconds(by);
  }

 private:
  std::atomic<int64_t> nanoseconds_{int64_t{1'000'000'000'000'000}};
};

// Closed or open; threads pass when it is open. Thread-safe.
class Gate {
 public:
  void Open() {
    MutexLock lock(mu_);
    open_ = true;
    changed_.SignalAll();
  }
  // Waits until it is open.
  void Pass() {
    MutexLock lock(mu_);
    ++arrived_;
    changed_.SignalAll();
    while (!open_) changed_.Wait(mu_);
  }
  // Waits until someone stands at the gate, or has passed it.
  void AwaitArrival() {
    MutexLock lock(mu_);
    while (arrived_ == 0) changed_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  int arrived_ ABSL_GUARDED_BY(mu_) = 0;
};

struct FakeModelOptions {
  int64_t dimension = 3;
  std::vector<int> tile_sizes = {1, 2, 4, 8, 16};
  double evaluation_seconds = 1e-4;
  int64_t max_chains = 0;
  // The first C of their elements, a, is a field: E(x) + a x_0.
  std::vector<ContextInput> context = {};
  int64_t context_dimension = 0;
  // E(x, y) = y x_0.
  int64_t classes = 0;
  InitialLaw initial = UniformLaw{};
  // Called at the start of every evaluation; an error becomes its result.
  std::function<absl::Status(int rows)> hook = nullptr;
};

// E(x) = sum_i (x_i^2 / 2 + x_i^4 / 10) for |x_0| < 50. From there on the
// energy falls, so that chains that start there run away to infinity.
// Energy() and EnergyAndGradient() sum in opposite orders, so that their last
// bits differ, and write NaN to the rows of the plan that are not used.
std::shared_ptr<const EnergyModel> MakeFakeModel(
    const Backend& backend, const FakeModelOptions& options);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_SCHEDULER_FAKE_MODEL_H_
