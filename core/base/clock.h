#ifndef BASIN_CORE_BASE_CLOCK_H_
#define BASIN_CORE_BASE_CLOCK_H_

#include <absl/time/time.h>

namespace basin {

// The time, injected so that tests can step it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time that never runs backwards within a process: deadlines,
  // ages and durations all use it.
  virtual absl::Time Now() const = 0;

  // The system's clock; never destroyed.
  static const Clock& Real();
};

}  // namespace basin

#endif  // BASIN_CORE_BASE_CLOCK_H_
