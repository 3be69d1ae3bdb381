#include "server/score_request.h"

#include <optional>
#include <utility>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "server/context_request.h"
#include "server/log_likelihood.h"
#include "server/proto_convert.h"
#include "server/runtime.h"
#include "server/tensor_convert.h"

#include "basin/v1/scorer.pb.h"

namespace basin {
namespace {

// The answer of a uint8 request is four times its size.
absl::Status CheckResponseBytes(const v1::ScoreRequest& request,
                                const ScoreSpec& spec, const ModelInfo& model,
                                const RequestLimits& limits) {
  constexpr int64_t kOverhead = 1024;
  int64_t floats = 2;  // energies may be doubles
  if (request.want_log_likelihood()) floats += 2;
  if (spec.want != ScoreSpec::Want::kEnergy) floats += model.dimension;
  if (spec.want_class_energies) floats += 2 * model.classes;
  const int64_t bytes =
      spec.rows * floats * static_cast<int64_t>(sizeof(float)) + kOverhead;
  if (bytes <= limits.max_message_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "inputs: expected an answer of at most ", limits.max_message_bytes,
      " bytes (max_message_bytes), got ", spec.rows, " rows that need ", bytes,
      "; send them in several requests"));
}

}  // namespace

absl::StatusOr<ScoreSpec> DecodeScoreRequest(const v1::ScoreRequest& request,
                                             const ModelInfo& model,
                                             const RequestLimits& limits) {
  ScoreSpec spec;
  BASIN_RETURN_IF_ERROR(
      CheckPriority(request.priority(), spec.options.priority));
  if (!request.has_inputs()) {
    return absl::InvalidArgumentError("inputs: expected a tensor, got none");
  }
  BASIN_ASSIGN_OR_RETURN(
      FloatRows rows, RowsFromProto(request.inputs(),
                                    ExpectStates("inputs", model,
                                                 limits.max_rows, "max_rows")));
  spec.rows = rows.rows;
  spec.inputs = std::move(rows.values);
  spec.want = request.want_gradients() ? ScoreSpec::Want::kEnergyAndGradient
                                       : ScoreSpec::Want::kEnergy;
  spec.want_class_energies = request.want_class_energies();
  BASIN_RETURN_IF_ERROR(CheckResponseBytes(request, spec, model, limits));
  ContextFields fields = {request.context(), std::nullopt, spec.rows,
                          limits.max_message_bytes};
  if (request.has_label()) fields.label = request.label();
  BASIN_ASSIGN_OR_RETURN(spec.context, DecodeContext(fields, model));
  if (request.want_log_likelihood()) {
    BASIN_RETURN_IF_ERROR(CheckLogLikelihood(model, spec.context));
  }
  return spec;
}

absl::StatusOr<PendingScore> SubmitScore(Runtime& runtime,
                                         const v1::ScoreRequest& request,
                                         Runtime::ModelOr model,
                                         ScoreStart start) {
  PendingScore pending;
  pending.arrival = runtime.clock->Now();
  if (pending.arrival >= start.deadline) {
    return absl::DeadlineExceededError(
        "the call's deadline had passed when the request arrived");
  }
  BASIN_ASSIGN_OR_RETURN(pending.model, std::move(model));
  BASIN_ASSIGN_OR_RETURN(ScoreSpec spec,
                         DecodeScoreRequest(request, pending.model->info(),
                                            runtime.options.limits));
  pending.id = request.id();
  pending.request_id = std::move(start.request_id);
  pending.bytes = static_cast<int64_t>(
      (spec.inputs.size() + spec.context.size()) * sizeof(float));
  if (request.want_log_likelihood()) {
    pending.outside = OutsideDomain(pending.model->info(), spec.inputs);
  }
  spec.model = pending.model;
  spec.options.deadline = start.deadline;
  spec.options.listener = std::move(start.listener);
  BASIN_ASSIGN_OR_RETURN(pending.job,
                         runtime.scheduler->Submit(std::move(spec)));
  return pending;
}

absl::Status FinishScore(Runtime& runtime, const PendingScore& pending,
                         v1::ScoreResponse& response) {
  const ScoreResult result = pending.job->TakeResult();
  BASIN_RETURN_IF_ERROR(result.status);
  const ModelInfo& info = pending.model->info();
  const int64_t rows = static_cast<int64_t>(result.energies.size());
  response.set_id(pending.id);
  response.set_request_id(pending.request_id);
  response.set_model_version(info.version);
  EnergiesToProto({rows}, info.precision, result.energies,
                  *response.mutable_energies());
  if (!result.grad_energies.empty()) {
    FloatsToProto({rows}, info.state_shape.dims(), result.grad_energies,
                  *response.mutable_gradients());
  }
  if (!result.class_energies.empty()) {
    EnergiesToProto({rows, info.classes}, info.precision, result.class_energies,
                    *response.mutable_class_energies());
  }
  if (!pending.outside.empty()) {
    EnergiesToProto(
        {rows}, Precision::kFloat64,
        LogLikelihoods(*info.log_z, result.energies, pending.outside),
        *response.mutable_log_likelihoods());
    LogZToProto(*info.log_z, *response.mutable_log_z());
  }
  TimesToProto({result.queued, result.running, absl::ZeroDuration()},
               *response.mutable_timings());
  runtime.metrics->OnEnergies(info, result.energies);
  runtime.metrics->OnFirstResult(runtime.clock->Now() - pending.arrival);
  return absl::OkStatus();
}

}  // namespace basin
