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
    const absl::Time deadline = Deadline(context);
    if (!IsComposition(request.model())) {
      call->Submit(deadline, request);
    } else {
      runtime.composer->Run([call, deadline, &request] {
        // Without locks, so that the cache has it when Submit() asks.
        const auto composed = call->runtime_.FindModel(request.model());
        call->Submit(deadline, request);
      });
    }
    return call.get();
  }

  ScoreCall(Runtime& runtime, v1::ScoreResponse& response)
      : runtime_(runtime),
        call_(runtime, RpcMethod::kScore),
        response_(response) {}

  void OnCancel() override {
    runtime_.streams->Run([self = shared_from_this()] { self->Abandon(); });
  }
  void OnDone() override { self_.reset(); }

 private:
  void Submit(absl::Time deadline, const v1::ScoreRequest& request) {
    absl::Status status = call_.admission();
    if (status.ok()) {
      ScoreStart start;
      start.deadline = deadline;
      start.request_id = call_.id();
      start.listener = [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->Schedule();
      };
      MutexLock lock(mu_);  // the listener may come before pending_ is set
      auto pending = SubmitScore(runtime_, request, std::move(start));
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
