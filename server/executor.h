#ifndef BASIN_SERVER_EXECUTOR_H_
#define BASIN_SERVER_EXECUTOR_H_

#include <cstddef>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/functional/any_invocable.h>

#include "core/base/mutex.h"

namespace basin {

// A few threads that run tasks in the order they come: what must not block a
// gRPC thread or a worker. Thread-safe.
class Executor {
 public:
  using Task = absl::AnyInvocable<void()>;

  explicit Executor(int threads);
  // As Shutdown().
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // After Shutdown() the task is dropped.
  void Run(Task task);

  // Runs it unless `max_waiting` tasks wait already; returns whether it will.
  bool TryRun(Task task, size_t max_waiting);

  // Runs what waits, then ends the threads. Blocks.
  void Shutdown();

 private:
  void Loop();

  Mutex mu_;
  CondVar wake_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mu_);
  bool shutdown_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;  // constant until Shutdown()
};

}  // namespace basin

#endif  // BASIN_SERVER_EXECUTOR_H_
