#include "server/executor.h"

#include <limits>
#include <utility>

namespace basin {

Executor::Executor(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
}

Executor::~Executor() { Shutdown(); }

void Executor::Run(Task task) {
  TryRun(std::move(task), std::numeric_limits<size_t>::max());
}

bool Executor::TryRun(Task task, size_t max_waiting) {
  {
    MutexLock lock(mu_);
    if (shutdown_ || tasks_.size() >= max_waiting) return false;
    tasks_.push_back(std::move(task));
  }
  wake_.Signal();
  return true;
}

void Executor::Shutdown() {
  {
    MutexLock lock(mu_);
    shutdown_ = true;
  }
  wake_.SignalAll();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Executor::Loop() {
  while (true) {
    Task task;
    {
      MutexLock lock(mu_);
      while (tasks_.empty() && !shutdown_) wake_.Wait(mu_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace basin
