#ifndef BASIN_SERVER_PROTO_CONVERT_H_
#define BASIN_SERVER_PROTO_CONVERT_H_

// Between the messages of basin.v1 and core's types, where nothing can be
// wrong but a transition's kind. Pure functions; thread-safe.

#include <cstdint>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/model/repository.h"
#include "core/sampler/transition.h"

namespace basin {

namespace v1 {
class Box;
class LogZ;
class Model;
class ModelVersion;
class Target;
class Timings;
class Transition;
}  // namespace v1

// Where a request's time went.
struct Times {
  absl::Duration queued;
  absl::Duration running;
  absl::Duration sending;
};

// The request's transition over the model's default. Its values are not
// checked: Transition::Configure() does. InvalidArgument if neither names one.
absl::StatusOr<TransitionParams> TransitionFromProto(
    const v1::Transition& transition, const ModelInfo& model);

void TransitionToProto(const TransitionParams& params, v1::Transition& out);
void TargetToProto(const DeclaredTarget& target, v1::Target& out);
void TimesToProto(const Times& times, v1::Timings& out);
void BoxToProto(const Box& box, v1::Box& out);
void LogZToProto(const KnownLogZ& log_z, v1::LogZ& out);
void ModelVersionToProto(const ModelStatus& status, v1::ModelVersion& out);

// `versions` are all of one model; `max_chains` is the server's limit.
void ModelToProto(absl::Span<const ModelStatus> versions, int64_t max_chains,
                  v1::Model& out);

}  // namespace basin

#endif  // BASIN_SERVER_PROTO_CONVERT_H_
