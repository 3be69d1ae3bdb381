#include "server/memory_trimmer.h"

#include <malloc.h>

#include "core/base/clock.h"

namespace basin {

MemoryTrimmer::MemoryTrimmer(absl::Duration interval)
    : interval_(interval), thread_([this] { Loop(); }) {}

MemoryTrimmer::~MemoryTrimmer() {
  {
    MutexLock lock(mu_);
    stop_ = true;
  }
  stop_signal_.SignalAll();
  thread_.join();
}

void MemoryTrimmer::Loop() {
  MutexLock lock(mu_);
  while (!stop_) {
    const absl::Time next = Clock::Real().Now() + interval_;
    while (!stop_ && Clock::Real().Now() < next) {
      stop_signal_.WaitFor(mu_, next - Clock::Real().Now());
    }
    malloc_trim(0);
  }
}

}  // namespace basin
