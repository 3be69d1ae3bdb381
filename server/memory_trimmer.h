#ifndef BASIN_SERVER_MEMORY_TRIMMER_H_
#define BASIN_SERVER_MEMORY_TRIMMER_H_

#include <thread>

#include <absl/base/thread_annotations.h>
#include <absl/time/time.h>

#include "core/base/mutex.h"

namespace basin {

// Gives memory that bursts of large requests have freed back to the system
// every `interval`: the allocator alone would keep it. Thread-safe.
class MemoryTrimmer {
 public:
  explicit MemoryTrimmer(absl::Duration interval);
  ~MemoryTrimmer();
  MemoryTrimmer(const MemoryTrimmer&) = delete;
  MemoryTrimmer& operator=(const MemoryTrimmer&) = delete;

 private:
  void Loop();

  const absl::Duration interval_;

  Mutex mu_;
  CondVar stop_signal_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // constant until the end
};

}  // namespace basin

#endif  // BASIN_SERVER_MEMORY_TRIMMER_H_
