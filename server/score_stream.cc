#include "server/score_stream.h"

#include <utility>

#include <absl/strings/str_cat.h>
#include <grpcpp/support/status.h>

namespace basin {
namespace {

// Requests of one stream under way.
constexpr size_t kMaxPipelined = 64;

}  // namespace

grpc::ServerBidiReactor<v1::ScoreRequest, v1::ScoreResponse>*
ScoreStreamCall::Start(Runtime& runtime,
                       const grpc::CallbackServerContext& context) {
  auto call = std::make_shared<ScoreStreamCall>(runtime, Deadline(context));
  call->self_ = call;
  call->Schedule();
  return call.get();
}

ScoreStreamCall::ScoreStreamCall(Runtime& runtime, absl::Time deadline)
    : runtime_(runtime),
      call_(runtime, RpcMethod::kScoreStream),
      deadline_(deadline),
      error_(call_.admission()) {}

void ScoreStreamCall::OnReadDone(bool ok) {
  if (!ok) {
    {
      MutexLock lock(mu_);
      reading_ = false;
      half_closed_ = true;
    }
    return Schedule();
  }
  const auto self = shared_from_this();
  const auto ended = [self] {
    MutexLock lock(self->mu_);
    return !self->error_.ok();
  };
  runtime_.FindOrCompose(
      request_.model(), {deadline_, ended},
      [self](Runtime::ModelOr model) { self->Received(std::move(model)); });
}

void ScoreStreamCall::Received(Runtime::ModelOr model) {
  {
    MutexLock lock(mu_);
    reading_ = false;
    has_request_ = true;
    model_ = std::move(model);
  }
  Schedule();
}

void ScoreStreamCall::OnWriteDone(bool ok) {
  {
    MutexLock lock(mu_);
    writing_ = false;
    if (!ok && error_.ok()) {
      error_ = absl::CancelledError("the client has gone");
    }
  }
  Schedule();
}

void ScoreStreamCall::OnCancel() {
  runtime_.streams->Run([self = shared_from_this()] { self->Abandon(); });
}

void ScoreStreamCall::OnDone() { self_.reset(); }

void ScoreStreamCall::Abandon() {
  {
    MutexLock lock(mu_);
    if (error_.ok()) {
      error_ = absl::CancelledError("the client cancelled the call");
    }
    for (const PendingScore& pending : pending_) pending.job->Cancel(error_);
  }
  Schedule();
}

void ScoreStreamCall::Schedule() {
  if (scheduled_.exchange(true)) return;
  runtime_.streams->Run([self = shared_from_this()] { self->Pump(); });
}

void ScoreStreamCall::Pump() {
  scheduled_ = false;
  Actions actions;
  absl::Status status;
  {
    MutexLock lock(mu_);
    if (finished_) return;
    actions = Next();
    status = error_;
  }
  if (actions.write) StartWrite(&response_);
  if (actions.read) StartRead(&request_);
  if (actions.finish) Finish(call_.End(status));
}

ScoreStreamCall::Actions ScoreStreamCall::Next() {
  Actions actions;
  if (std::exchange(has_request_, false)) Accept();
  actions.write = !writing_ && EncodeFirst();
  if (actions.write) writing_ = true;
  actions.read = MayRead();
  if (actions.read) reading_ = true;
  // An error does not wait for the client's next message.
  const bool ended = !error_.ok() || (half_closed_ && !reading_);
  actions.finish = ended && pending_.empty() && !writing_;
  finished_ = actions.finish;
  return actions;
}

void ScoreStreamCall::Accept() {
  if (!error_.ok()) return;
  ScoreStart start;
  start.deadline = deadline_;
  start.request_id = absl::StrCat(call_.id(), "/", requests_++);
  start.listener = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Schedule();
  };
  auto pending =
      SubmitScore(runtime_, request_, std::move(model_), std::move(start));
  if (!pending.ok()) {
    error_ = pending.status();
    return;
  }
  pending_bytes_ += pending->bytes;
  pending_.push_back(*std::move(pending));
}

bool ScoreStreamCall::EncodeFirst() {
  if (pending_.empty() || !pending_.front().job->Done()) return false;
  response_.Clear();
  absl::Status status = FinishScore(runtime_, pending_.front(), response_);
  pending_bytes_ -= pending_.front().bytes;
  pending_.pop_front();
  if (status.ok()) return true;
  // Nothing that comes after it can be answered in order.
  for (const PendingScore& pending : pending_) pending.job->Cancel(status);
  pending_.clear();
  pending_bytes_ = 0;
  error_ = std::move(status);
  return false;
}

bool ScoreStreamCall::MayRead() const {
  return !reading_ && !half_closed_ && error_.ok() &&
         pending_.size() < kMaxPipelined &&
         pending_bytes_ < runtime_.options.limits.max_message_bytes;
}

}  // namespace basin
