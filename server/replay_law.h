#ifndef BASIN_SERVER_REPLAY_LAW_H_
#define BASIN_SERVER_REPLAY_LAW_H_

// Which law a request's chains are chains of, as far as a replay buffer cares:
// a slot stays one Markov chain only if all that write to it have one target.
// Pure functions; thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "core/scheduler/job.h"

namespace basin {

struct ReplayLaw {
  // Of the states that chains start from and go back to, [chains]; empty =
  // none has a label.
  std::vector<int32_t> labels;
  // What of the request makes its chains those of another law than the states
  // of that label: "clamp"; empty = nothing does, they may go back.
  std::string other;
};

// REQUIRES: `spec` is checked against `model`, its own.
ReplayLaw ReplayLawOf(const SampleSpec& spec, const ModelInfo& model);

// The label of states that a client draws or inserts. InvalidArgument for
// models without the context input "label", and values outside of its range.
absl::StatusOr<int32_t> ReplayLabel(int64_t label, const ModelInfo& model);

}  // namespace basin

#endif  // BASIN_SERVER_REPLAY_LAW_H_
