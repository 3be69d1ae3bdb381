#ifndef BASIN_TESTS_CORE_REPLAY_REPLAY_FIXTURE_H_
#define BASIN_TESTS_CORE_REPLAY_REPLAY_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <absl/time/time.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/replay/replay_buffer.h"

namespace basin::testing {

// A clock that stands still until it is told.
class StoppedClock : public Clock {
 public:
  absl::Time Now() const override { return now_; }
  void Advance(absl::Duration by) { now_ += by; }

 private:
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
};

inline constexpr int64_t kDimension = 2;

inline ReplayBuffer::Options SmallOptions(int64_t capacity) {
  ReplayBuffer::Options options;
  options.policy.capacity = capacity;
  options.dimension = kDimension;
  options.initial = UniformLaw{-2, -1};  // never the id of a state
  return options;
}

inline std::unique_ptr<ReplayBuffer> OpenOrDie(ReplayBuffer::Options options) {
  auto buffer = ReplayBuffer::Open(std::move(options));
  BASIN_CHECK(buffer.ok());
  return *std::move(buffer);
}

// States [ids, D], each the id and its negative.
inline std::vector<float> States(const std::vector<float>& ids) {
  std::vector<float> states;
  for (const float id : ids) states.insert(states.end(), {id, -id});
  return states;
}

// The ids of a draw's states, 0 for a chain that started afresh.
inline std::vector<float> IdsOf(const ReplayDraw& draw) {
  std::vector<float> ids;
  for (size_t i = 0; i < draw.slots.size(); ++i) {
    const float* state = &draw.states[i * kDimension];
    const bool fresh = draw.slots[i] == ReplayDraw::kFresh;
    BASIN_CHECK(fresh || state[1] == -state[0]);  // no state is mixed
    ids.push_back(fresh ? 0 : state[0]);
  }
  return ids;
}

// The ids that `buffer` holds, in slot order, read with draws.
inline std::vector<float> Held(ReplayBuffer& buffer) {
  const int64_t size = buffer.Stats().size;
  std::vector<float> ids(static_cast<size_t>(size));
  size_t missing = ids.size();
  for (uint64_t seed = 0; missing > 0; ++seed) {
    const auto draw = buffer.Draw(size, seed, 0);
    BASIN_CHECK(draw.ok());
    const std::vector<float> drawn = IdsOf(*draw);
    for (size_t i = 0; i < drawn.size(); ++i) {
      float& id = ids[static_cast<size_t>(draw->slots[i])];
      if (id == 0) --missing;
      id = drawn[i];
    }
  }
  return ids;
}

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_REPLAY_REPLAY_FIXTURE_H_
