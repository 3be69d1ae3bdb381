#ifndef BASIN_CORE_SCHEDULER_TRACE_RECORDER_H_
#define BASIN_CORE_SCHEDULER_TRACE_RECORDER_H_

#include <cstdint>
#include <vector>

#include <absl/types/span.h>

#include "core/sampler/diagnostics.h"

namespace basin::internal {

// Gathers the traces of one Sample request: the energy and up to 15 evenly
// spaced coordinates of each kept state. Bounded: fewer quantities, and in the
// end none, for requests whose traces would be large.
//
// Record() may be called for different chains at once; the rest needs all of
// its calls to have happened before.
class TraceRecorder {
 public:
  TraceRecorder(int64_t chains, int64_t draws, int64_t dimension);

  // What a recorder of these arguments holds.
  static int64_t Bytes(int64_t chains, int64_t draws, int64_t dimension);

  // `state` [D] is the chain's state at its `draw`-th kept step.
  void Record(int64_t chain, int64_t draw, double energy, const float* state);

  // The first `draws` draws of all chains but `excluded` (ascending). Empty
  // if there are fewer than 4, or no chain. Moves the values out: call once.
  ChainTraces Take(int64_t draws, absl::Span<const int64_t> excluded);

 private:
  const int64_t chains_;
  const int64_t draws_;
  const int64_t dimension_;
  const int64_t quantities_;
  std::vector<float> values_;  // [chains, draws, quantities]
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_TRACE_RECORDER_H_
