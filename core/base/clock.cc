#include "core/base/clock.h"

#include <chrono>

#include <absl/time/clock.h>

namespace basin {
namespace {

using Steady = std::chrono::steady_clock;

// Wall-clock time at the first call, advanced by the steady clock.
class RealClock final : public Clock {
 public:
  RealClock() : wall_start_(absl::Now()), steady_start_(Steady::now()) {}
  absl::Time Now() const override {
    return wall_start_ + absl::FromChrono(Steady::now() - steady_start_);
  }

 private:
  const absl::Time wall_start_;
  const Steady::time_point steady_start_;
};

}  // namespace

const Clock& Clock::Real() {
  static const Clock* const clock = new RealClock();
  return *clock;
}

}  // namespace basin
