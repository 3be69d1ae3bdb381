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

// The label that states of this id are given: 3 from three million on.
inline int32_t LabelOfId(float id) {
  constexpr int32_t kIds = 1'000'000;
  return id < kIds ? kNoReplayLabel : static_cast<int32_t>(id) / kIds;
}

// Labels for chains, as many of each as the buffer has states of it.
inline std::vector<int32_t> LabelsIn(const ReplayBuffer& buffer) {
  std::vector<int32_t> labels;
  for (const auto& [label, size] : buffer.Stats().label_sizes) {
    labels.insert(labels.end(), static_cast<size_t>(size), label);
  }
  return labels;
}

// The ids that `buffer` holds, in slot order, read with draws. Every one has
// the label of its id.
inline std::vector<float> Held(ReplayBuffer& buffer) {
  const int64_t size = buffer.Stats().size;
  const std::vector<int32_t> labels = LabelsIn(buffer);
  BASIN_CHECK(static_cast<int64_t>(labels.size()) == size);
  std::vector<float> ids(static_cast<size_t>(size));
  size_t missing = ids.size();
  for (uint64_t seed = 0; missing > 0; ++seed) {
    const auto draw = buffer.Draw(size, seed, 0, labels);
    BASIN_CHECK(draw.ok());
    const std::vector<float> drawn = IdsOf(*draw);
    for (size_t i = 0; i < drawn.size(); ++i) {
      BASIN_CHECK(LabelOfId(drawn[i]) == labels[i]);
      float& id = ids[static_cast<size_t>(draw->slots[i])];
      if (id == 0) --missing;
      id = drawn[i];
    }
  }
  return ids;
}

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_REPLAY_REPLAY_FIXTURE_H_
