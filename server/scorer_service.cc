#include <atomic>
#include <memory>
#include <utility>

#include <grpcpp/support/status.h>

#include "core/base/mutex.h"
#include "server/runtime.h"
#include "server/score_request.h"
#include "server/score_stream.h"
#include "server/services.h"

#include "basin/v1/scorer.grpc.pb.h"

namespace basin {
namespace {

// One Score RPC. Decodes on gRPC's thread and encodes on Runtime::streams.
// Thread-safe; keeps itself alive until OnDone().
class ScoreCall final : public grpc::ServerUnaryReactor,
                        public std::enable_shared_from_this<ScoreCall> {
 public:
  static grpc::ServerUnaryReactor* Start(
      Runtime& runtime, const grpc::CallbackServerContext& context,
      const v1::ScoreRequest& request, v1::ScoreResponse& response) {
    auto call = std::make_shared<ScoreCall>(runtime, response);
    call->self_ = call;
    call->Begin(Deadline(context), request);
    return call.get();
  }

  ScoreCall(Runtime& runtime, v1::ScoreResponse& response)
      : runtime_(runtime),
        call_(runtime, RpcMethod::kScore),
        response_(response) {}

  void OnCancel() override {
    cancelled_ = true;
    runtime_.streams->Run([self = shared_from_this()] { self->Abandon(); });
  }
  void OnDone() override { self_.reset(); }

 private:
  void Begin(absl::Time deadline, const v1::ScoreRequest& request) {
    if (!call_.admission().ok()) return Finish(call_.End(call_.admission()));
    const auto self = shared_from_this();
    runtime_.FindOrCompose(
        request.model(), {deadline, [self] { return self->cancelled_.load(); }},
        [self, deadline, &request](Runtime::ModelOr model) {
          self->Submit(deadline, request, std::move(model));
        });
  }

  void Submit(absl::Time deadline, const v1::ScoreRequest& request,
              Runtime::ModelOr model) {
    absl::Status status;
    {
      ScoreStart start;
      start.deadline = deadline;
      start.request_id = call_.id();
      start.listener = [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->Schedule();
      };
      MutexLock lock(mu_);  // the listener may come before pending_ is set
      auto pending =
          SubmitScore(runtime_, request, std::move(model), std::move(start));
      status = pending.status();
      finished_ = !status.ok();
      if (status.ok()) pending_ = *std::move(pending);
    }
    if (!status.ok()) Finish(call_.End(status));
  }

  void Schedule() {
    runtime_.streams->Run([self = shared_from_this()] { self->Complete(); });
  }

  void Complete() {
    absl::Status status;
    {
      MutexLock lock(mu_);
      if (finished_ || !pending_.job->Done()) return;
      finished_ = true;
      status = FinishScore(runtime_, pending_, response_);
    }
    Finish(call_.End(status));
  }

  void Abandon() {
    MutexLock lock(mu_);
    if (pending_.job == nullptr) return;
    pending_.job->Cancel(absl::CancelledError("the client cancelled the call"));
  }

  Runtime& runtime_;
  RpcCall call_;
  v1::ScoreResponse& response_;
  std::shared_ptr<ScoreCall> self_;  // from Start() to OnDone()

  std::atomic<bool> cancelled_ = false;

  Mutex mu_;
  PendingScore pending_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

class ScorerService final : public v1::Scorer::CallbackService {
 public:
  explicit ScorerService(Runtime& runtime) : runtime_(runtime) {}

  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const v1::ScoreRequest* request,
                                  v1::ScoreResponse* response) override {
    return ScoreCall::Start(runtime_, *context, *request, *response);
  }

  grpc::ServerBidiReactor<v1::ScoreRequest, v1::ScoreResponse>* ScoreStream(
      grpc::CallbackServerContext* context) override {
    return ScoreStreamCall::Start(runtime_, *context);
  }

 private:
  Runtime& runtime_;
};

}  // namespace

std::unique_ptr<grpc::Service> CreateScorerService(Runtime& runtime) {
  return std::make_unique<ScorerService>(runtime);
}

}  // namespace basin
