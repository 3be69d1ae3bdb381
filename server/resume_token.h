#ifndef BASIN_SERVER_RESUME_TOKEN_H_
#define BASIN_SERVER_RESUME_TOKEN_H_

// Resume tokens: where the chains of a Sample request have ended, as bytes
// that a client keeps and sends back, to this server or another one. A token
// begins with its HMAC-SHA256 under the server's key; all of it comes from
// outside and is checked as any other request is. Pure functions; thread-safe.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include "core/scheduler/job.h"

namespace basin {

namespace v1 {
class SampleRequest;
}  // namespace v1

struct SamplePlan;

// Which model it was, exactly: states go on under the same one only.
struct ModelIdentity {
  std::string name;
  int64_t version = 0;
  uint64_t fingerprint = 0;  // see ModelInfo

  bool operator==(const ModelIdentity&) const = default;
};
ModelIdentity IdentityOf(const ModelInfo& model);

// All models that the chains of a request depend on.
struct RequestModels {
  ModelIdentity model;
  std::optional<ModelIdentity> surrogate;  // of delayed acceptance
  // Where their annealing path began, which their weights are relative to.
  std::optional<ModelIdentity> base;
  int64_t base_asked = 0;  // ModelRef.version of it; 0 = whichever serves
};

// A request that goes on where another one has ended.
struct ResumedRequest {
  // The earlier request with what the later one may change, without init.
  std::unique_ptr<v1::SampleRequest> request;
  RequestModels models;
  std::vector<float> states;  // [rows, D]
  std::vector<float> scale;   // [D], or empty
  ResumePoint point;
};

// The token of `result`, the end of `request`, which ran on `models`.
// REQUIRES: result.resume.steps > 0.
std::string EncodeResumeToken(const v1::SampleRequest& request,
                              const RequestModels& models, uint64_t seed,
                              const SampleResult& result,
                              absl::string_view key);

// Takes request.resume_token apart. InvalidArgument for a token that is
// damaged or of a server with another key, and for fields that may not stand
// beside one.
absl::StatusOr<ResumedRequest> DecodeResumeToken(
    const v1::SampleRequest& request, absl::string_view key);

// Puts the chains' end into `plan`, of states of `dimension` coordinates.
// FailedPrecondition unless `models`, those of the same names that serve now,
// are the ones that the chains were of; InvalidArgument for sizes that do not
// fit.
absl::Status FillResumed(ResumedRequest&& resumed, const RequestModels& models,
                         int64_t dimension, SamplePlan& plan);

}  // namespace basin

#endif  // BASIN_SERVER_RESUME_TOKEN_H_
