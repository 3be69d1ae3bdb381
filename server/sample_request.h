#ifndef BASIN_SERVER_SAMPLE_REQUEST_H_
#define BASIN_SERVER_SAMPLE_REQUEST_H_

// From a SampleRequest to what the scheduler runs. Pure functions but for
// the replay buffer; thread-safe. A request is trusted in nothing; errors name
// the field, what was expected and what came.

#include <cstdint>
#include <vector>

#include <absl/status/statusor.h>

#include "core/replay/replay_buffer.h"
#include "core/scheduler/job.h"
#include "server/request_limits.h"

namespace basin {

namespace v1 {
class SampleRequest;
}  // namespace v1

// A checked request.
struct SamplePlan {
  enum class Init {
    kDefault,  // kReplay if the model's buffer holds states, else kNoise
    kNoise,
    kReplay,
    kGiven,  // spec.initial has a row for all, each chain, or each row
  };

  // Without model, listener, deadline, and mostly without initial states.
  SampleSpec spec;
  Init init = Init::kDefault;
  double restart_probability = -1;  // negative = the model's
  bool write_back = true;           // after kReplay
  // Of the replay buffer's states, ReplayLaw::labels.
  std::vector<int32_t> replay_labels;
  std::vector<float> clamped;  // clamp.values, [chains, D], [1, D] or empty

  // What the draws hold.
  bool send_states = true;
  bool send_energies = true;
  bool send_gradients = false;
};

// Checks `request` against the model and the limits and fills in defaults;
// `fresh_seed` is used if the request has none. InvalidArgument for what is
// wrong with it.
absl::StatusOr<SamplePlan> DecodeSampleRequest(const v1::SampleRequest& request,
                                               const ModelInfo& model,
                                               const RequestLimits& limits,
                                               uint64_t fresh_seed);

// Fills in spec.initial, [rows, D]: of kGiven by repeating what is there, else
// with values clipped to the request's box. `buffer` may be null where
// `plan.init` does not need it. Returns what was drawn from the buffer; no
// slots if nothing.
absl::StatusOr<ReplayDraw> FillInitialStates(const ModelInfo& model,
                                             ReplayBuffer* buffer,
                                             SamplePlan& plan);

// Puts clamped values into spec.initial. InvalidArgument for those outside of
// the box.
absl::Status FillClamped(const ModelInfo& model, SamplePlan& plan);

}  // namespace basin

#endif  // BASIN_SERVER_SAMPLE_REQUEST_H_
