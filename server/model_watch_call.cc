#include "server/model_watch_call.h"

#include <utility>

#include <grpcpp/support/status.h>

#include "server/proto_convert.h"

namespace basin {
namespace {

constexpr size_t kMaxBehind = 1000;

}  // namespace

grpc::ServerWriteReactor<v1::ModelVersion>* ModelWatchCall::Start(
    Runtime& runtime, const v1::WatchModelsRequest& request) {
  auto call = std::make_shared<ModelWatchCall>(runtime, request.name());
  call->self_ = call;
  // Watches first, so that no change falls between.
  runtime.watchers.Add(call);
  call->AddCurrent();
  call->Schedule();
  return call.get();
}

ModelWatchCall::ModelWatchCall(Runtime& runtime, std::string name)
    : runtime_(runtime),
      call_(runtime, RpcMethod::kModelsWatch),
      name_(std::move(name)),
      end_(call_.admission()) {}

void ModelWatchCall::AddCurrent() {
  // Locked while it asks, so that a later change comes after what it replaces;
  // one that is reported meanwhile may be sent twice.
  MutexLock lock(mu_);
  for (const ModelStatus& status : runtime_.repository->List()) {
    AddChange(status);
  }
}

void ModelWatchCall::OnChange(const ModelStatus& status) {
  {
    MutexLock lock(mu_);
    AddChange(status);
  }
  Schedule();
}

void ModelWatchCall::AddChange(const ModelStatus& status) {
  if (!name_.empty() && status.name != name_) return;
  if (changes_.size() >= kMaxBehind) {
    end_ = absl::ResourceExhaustedError(
        "the reader is too slow for the changes; watch again");
  } else {
    ModelVersionToProto(status, changes_.emplace_back());
  }
}

void ModelWatchCall::OnClose(const absl::Status& why) {
  {
    MutexLock lock(mu_);
    if (end_.ok()) end_ = why;
  }
  Schedule();
}

void ModelWatchCall::OnWriteDone(bool ok) {
  {
    MutexLock lock(mu_);
    writing_ = false;
    if (!ok && end_.ok()) end_ = absl::CancelledError("the client has gone");
  }
  Schedule();
}

void ModelWatchCall::OnCancel() {
  OnClose(absl::CancelledError("the client cancelled the call"));
}

void ModelWatchCall::OnDone() { self_.reset(); }

void ModelWatchCall::Schedule() {
  runtime_.streams->Run([self = shared_from_this()] { self->Pump(); });
}

void ModelWatchCall::Pump() {
  absl::Status end;
  {
    MutexLock lock(mu_);
    if (writing_ || finished_) return;
    end = end_;
    if (!end.ok()) {
      finished_ = true;
    } else if (changes_.empty()) {
      return;
    } else {
      current_ = std::move(changes_.front());
      changes_.pop_front();
      writing_ = true;
    }
  }
  if (end.ok()) return StartWrite(&current_);
  Finish(call_.End(end));
}

}  // namespace basin
