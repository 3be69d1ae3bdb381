#ifndef BASIN_SERVER_RESUME_TOKEN_H_
#define BASIN_SERVER_RESUME_TOKEN_H_

// Resume tokens: where the chains of a Sample request have ended, as bytes
// that a client keeps and sends back, to this server or another one. A token
// begins with its HMAC-SHA256 under the server's key; all of it comes from
// outside and is checked as any other request is. Pure functions; thread-safe.

#include <cstdint>
#include <memory>
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

// A request that goes on where another one has ended.
struct ResumedRequest {
  // The earlier request with what the later one may change, without init.
  std::unique_ptr<v1::SampleRequest> request;
  std::string model;
  int64_t model_version = 0;
  uint64_t fingerprint = 0;
  std::vector<float> states;  // [rows, D]
  std::vector<float> scale;   // [D], or empty
  ResumePoint point;
};

// The token of `result`, the end of `request`, which ran as `spec` on `model`.
// REQUIRES: result.resume.steps > 0.
std::string EncodeResumeToken(const v1::SampleRequest& request,
                              const ModelInfo& model, uint64_t seed,
                              const SampleResult& result,
                              absl::string_view key);

// Takes request.resume_token apart. InvalidArgument for a token that is
// damaged or of a server with another key, and for fields that may not stand
// beside one.
absl::StatusOr<ResumedRequest> DecodeResumeToken(
    const v1::SampleRequest& request, absl::string_view key);

// Puts the chains' end into `plan`. FailedPrecondition if `model` is not the
// one that the chains were of; InvalidArgument for sizes that do not fit.
absl::Status FillResumed(ResumedRequest&& resumed, const ModelInfo& model,
                         SamplePlan& plan);

}  // namespace basin

#endif  // BASIN_SERVER_RESUME_TOKEN_H_
