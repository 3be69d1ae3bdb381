#ifndef BASIN_SERVER_SCORE_REQUEST_H_
#define BASIN_SERVER_SCORE_REQUEST_H_

// What Score and ScoreStream share: from a ScoreRequest to a job, and from a
// job to a ScoreResponse. Thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/scheduler/job.h"
#include "server/request_limits.h"
#include "server/runtime.h"

namespace basin {

namespace v1 {
class ScoreRequest;
class ScoreResponse;
}  // namespace v1

// A score under way.
struct PendingScore {
  std::shared_ptr<const EnergyModel> model;
  std::shared_ptr<ScoreJob> job;
  std::string id;          // the client's
  std::string request_id;  // ours
  absl::Time arrival;
  int64_t bytes = 0;  // of the inputs as floats
  // Of each row, whether it is outside of the model's domain; empty unless
  // log-likelihoods are wanted.
  std::vector<bool> outside;
};

// How SubmitScore() runs the job.
struct ScoreStart {
  absl::Time deadline = absl::InfiniteFuture();
  JobListener listener;
  std::string request_id;
};

// Checks the request, without model and options. InvalidArgument for what is
// wrong with it.
absl::StatusOr<ScoreSpec> DecodeScoreRequest(const v1::ScoreRequest& request,
                                             const ModelInfo& model,
                                             const RequestLimits& limits);

// `model` is what the request's "model" means, or why there is none.
absl::StatusOr<PendingScore> SubmitScore(Runtime& runtime,
                                         const v1::ScoreRequest& request,
                                         Runtime::ModelOr model,
                                         ScoreStart start);

// Fills in the response, or returns why there is none.
// REQUIRES: pending.job->Done(). Call once.
absl::Status FinishScore(Runtime& runtime, const PendingScore& pending,
                         v1::ScoreResponse& response);

}  // namespace basin

#endif  // BASIN_SERVER_SCORE_REQUEST_H_
