#ifndef BASIN_CORE_SCHEDULER_TRACE_RECORDER_H_
#define BASIN_CORE_SCHEDULER_TRACE_RECORDER_H_

#include <cstdint>
#include <vector>

#include <absl/types/span.h>

#include "core/sampler/diagnostics.h"

namespace basin::internal {

// Gathers the traces of one Sample request: the energy and up to 15 evenly
// spaced coordinates of each kept state. Bounded: of requests whose traces
// would be large fewer quantities, then every 2nd, 4th, ... kept state, and of
// a multitude of chains none at all.
//
// Record() may be called for different chains at once; the rest needs all of
// its calls to have happened before.
class TraceRecorder {
 public:
  // `max_bytes`: of all traces.
  TraceRecorder(int64_t chains, int64_t draws, int64_t dimension,
                int64_t max_bytes);

  // What a recorder of these arguments holds.
  static int64_t Bytes(int64_t chains, int64_t draws, int64_t dimension,
                       int64_t max_bytes);

  // `state` [D] is the chain's state at its `draw`-th kept step, from 0; each
  // chain's come in order.
  void Record(int64_t chain, int64_t draw, double energy, const float* state);

  // Of the first `draws` draws of all chains but `excluded` (ascending) those
  // that were not thinned out. Empty if there are fewer than 4, or no chain.
  ChainTraces Copy(int64_t draws, absl::Span<const int64_t> excluded) const;
  // Copy(), and forgets the traces.
  ChainTraces Take(int64_t draws, absl::Span<const int64_t> excluded);

 private:
  struct Size {
    int64_t draws = 0;  // of each chain, at most
    int64_t quantities = 0;
  };
  static Size SizeOf(int64_t chains, int64_t draws, int64_t dimension,
                     int64_t max_bytes);
  float* At(int64_t chain, int64_t i) {
    return values_.data() + (chain * size_.draws + i) * size_.quantities;
  }
  const float* At(int64_t chain, int64_t i) const {
    return values_.data() + (chain * size_.draws + i) * size_.quantities;
  }
  // Forgets every second of a chain's draws.
  void ThinOut(int64_t chain);

  const int64_t chains_;
  const int64_t dimension_;
  const Size size_;
  std::vector<float> values_;  // [chains, size_.draws, size_.quantities]
  // By chain: every how many-th draw is there. A function of the number of
  // draws recorded, so that no chain needs to know of another.
  std::vector<int64_t> stride_;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_TRACE_RECORDER_H_
