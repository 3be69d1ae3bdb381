#include "server/replay_streams.h"

#include <algorithm>
#include <random>
#include <utility>

#include <absl/strings/str_cat.h>
#include <grpcpp/support/status.h>

#include "core/base/status_macros.h"
#include "server/replay_law.h"
#include "server/tensor_convert.h"

namespace basin {
namespace {

constexpr int64_t kPartBytes = int64_t{1} << 20;

}  // namespace

absl::StatusOr<ReplayOfModel> FindReplay(Runtime& runtime,
                                         const v1::ModelRef& ref) {
  ReplayOfModel result;
  if (IsComposition(ref)) {
    return absl::FailedPreconditionError(
        "model: expected a name: a composition has no replay buffer");
  }
  BASIN_ASSIGN_OR_RETURN(result.model, runtime.FindModel(ref));
  BASIN_ASSIGN_OR_RETURN(result.buffer,
                         runtime.replay->Get(result.model->info()));
  return result;
}

grpc::ServerWriteReactor<v1::ReplayDrawResponse>* ReplayDrawCall::Start(
    Runtime& runtime, const v1::ReplayDrawRequest& request) {
  auto call = std::make_shared<ReplayDrawCall>(runtime, request);
  call->self_ = call;
  runtime.streams->Run([call] {
    if (absl::Status status = call->Draw(); !status.ok()) {
      return call->Finish(call->call_.End(status));
    }
    call->SendNext();
  });
  return call.get();
}

ReplayDrawCall::ReplayDrawCall(Runtime& runtime,
                               const v1::ReplayDrawRequest& request)
    : runtime_(runtime),
      call_(runtime, RpcMethod::kReplayDraw),
      request_(request) {}

ReplayDrawCall::~ReplayDrawCall() { runtime_.draw_bytes -= reserved_bytes_; }

absl::Status ReplayDrawCall::Reserve(int64_t bytes) {
  const int64_t most = runtime_.options.limits.max_bytes;
  reserved_bytes_ = bytes;
  const int64_t all = runtime_.draw_bytes += bytes;
  if (all <= most) return absl::OkStatus();
  runtime_.metrics->OnRejected("bytes");
  return absl::ResourceExhaustedError(absl::StrCat(
      "count: expected draws of at most ", most,
      " bytes at once (max_bytes), got ", all, "; try again in 1s"));
}

absl::Status ReplayDrawCall::Draw() {
  BASIN_RETURN_IF_ERROR(call_.admission());
  BASIN_ASSIGN_OR_RETURN(const ReplayOfModel replay,
                         FindReplay(runtime_, request_.model()));
  model_ = replay.model;
  const RequestLimits& limits = runtime_.options.limits;
  const int64_t state_bytes =
      model_->info().dimension * static_cast<int64_t>(sizeof(float));
  const int64_t count = request_.count() == 0 ? 1 : request_.count();
  BASIN_RETURN_IF_ERROR(CheckRange(
      "count", count, 1, MaxChains(model_->info(), limits), "max_chains"));
  // A reader that stalls holds all that was drawn for it.
  BASIN_RETURN_IF_ERROR(
      CheckRange("count", count, 1,
                 std::max<int64_t>(limits.max_message_bytes / state_bytes, 1),
                 "states in max_message_bytes"));
  std::vector<int32_t> labels;
  if (request_.has_label()) {
    BASIN_ASSIGN_OR_RETURN(const int32_t label,
                           ReplayLabel(request_.label(), model_->info()));
    labels.assign(static_cast<size_t>(count), label);
  }
  const int32_t label = labels.empty() ? kNoReplayLabel : labels.front();
  if (!replay.buffer->HasStates(label)) {
    const std::string which =
        label == kNoReplayLabel ? "" : absl::StrCat(" for label ", label);
    return absl::FailedPreconditionError(absl::StrCat(
        "model: the replay buffer of ", model_->info().name, " is empty", which,
        "; sample with init: replay, or insert states"));
  }
  BASIN_RETURN_IF_ERROR(Reserve(count * state_bytes));
  std::random_device device;
  seed_ = request_.has_seed() ? request_.seed()
                              : uint64_t{device()} << 32 | device();
  BASIN_ASSIGN_OR_RETURN(
      ReplayDraw draw,
      replay.buffer->Draw(count, seed_, /*restart_probability=*/0, labels));
  states_ = std::move(draw.states);
  return absl::OkStatus();
}

void ReplayDrawCall::OnWriteDone(bool ok) {
  if (ok) return SendNext();
  Finish(call_.End(absl::CancelledError("the client has gone")));
}

void ReplayDrawCall::OnDone() { self_.reset(); }

void ReplayDrawCall::SendNext() {
  const auto dimension = static_cast<size_t>(model_->info().dimension);
  const size_t rows_left = (states_.size() - sent_) / dimension;
  if (rows_left == 0) return Finish(call_.End(absl::OkStatus()));
  const size_t fit = static_cast<size_t>(kPartBytes) / sizeof(float);
  const size_t rows = std::min(rows_left, std::max<size_t>(fit / dimension, 1));
  response_.set_seed(seed_);
  FloatsToProto({static_cast<int64_t>(rows)}, model_->info().state_shape.dims(),
                absl::MakeConstSpan(&states_[sent_], rows * dimension),
                *response_.mutable_states());
  sent_ += rows * dimension;
  StartWrite(&response_);
}

grpc::ServerReadReactor<v1::ReplayInsertRequest>* ReplayInsertCall::Start(
    Runtime& runtime, v1::ReplayInsertResponse& response) {
  auto call = std::make_shared<ReplayInsertCall>(runtime, response);
  call->self_ = call;
  if (!call->call_.admission().ok()) {
    call->Finish(call->call_.End(call->call_.admission()));
  } else {
    call->StartRead(&call->request_);
  }
  return call.get();
}

ReplayInsertCall::ReplayInsertCall(Runtime& runtime,
                                   v1::ReplayInsertResponse& response)
    : runtime_(runtime),
      call_(runtime, RpcMethod::kReplayInsert),
      response_(response) {}

void ReplayInsertCall::OnReadDone(bool ok) {
  if (ok) {
    runtime_.files->Run([self = shared_from_this()] { self->HandleMessage(); });
    return;
  }
  if (model_.name().empty()) {
    Finish(call_.End(absl::InvalidArgumentError(
        "states: expected at least one message with states, got none")));
    return;
  }
  Finish(call_.End(absl::OkStatus()));
}

void ReplayInsertCall::OnDone() { self_.reset(); }

void ReplayInsertCall::HandleMessage() {
  absl::Status status = Insert();
  if (status.ok()) return StartRead(&request_);
  if (response_.inserted() > 0) {
    status = absl::Status(
        status.code(),
        absl::StrCat(status.message(), "; the ", response_.inserted(),
                     " states of earlier messages are in"));
  }
  Finish(call_.End(status));
}

absl::Status ReplayInsertCall::Insert() {
  const bool first = model_.name().empty();
  BASIN_ASSIGN_OR_RETURN(
      const ReplayOfModel replay,
      FindReplay(runtime_, first ? request_.model() : model_));
  const ModelInfo& info = replay.model->info();
  model_.set_name(info.name);
  model_.set_version(info.version);
  BASIN_ASSIGN_OR_RETURN(
      const FloatRows rows,
      RowsFromProto(
          request_.states(),
          ExpectStates("states", info, runtime_.options.limits.max_rows,
                       "max_rows")));
  BASIN_RETURN_IF_ERROR(CheckInDomain("states", rows.values, info));
  int32_t label = kNoReplayLabel;
  if (request_.has_label()) {
    BASIN_ASSIGN_OR_RETURN(label, ReplayLabel(request_.label(), info));
  }
  BASIN_RETURN_IF_ERROR(replay.buffer->Insert(rows.values, label));
  response_.set_inserted(response_.inserted() + rows.rows);
  return absl::OkStatus();
}

}  // namespace basin
