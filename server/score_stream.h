#ifndef BASIN_SERVER_SCORE_STREAM_H_
#define BASIN_SERVER_SCORE_STREAM_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "core/base/mutex.h"
#include "server/runtime.h"
#include "server/score_request.h"

#include "basin/v1/scorer.pb.h"

namespace basin {

// One ScoreStream RPC: requests run at once, answers go out in order. Reads on
// only while a bounded number of requests and bytes is under way. All work is
// on Runtime::streams. Thread-safe; keeps itself alive until OnDone().
class ScoreStreamCall final
    : public grpc::ServerBidiReactor<v1::ScoreRequest, v1::ScoreResponse>,
      public std::enable_shared_from_this<ScoreStreamCall> {
 public:
  // gRPC takes the result.
  static grpc::ServerBidiReactor<v1::ScoreRequest, v1::ScoreResponse>* Start(
      Runtime& runtime, const grpc::CallbackServerContext& context);

  ScoreStreamCall(Runtime& runtime, absl::Time deadline);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // What Pump() does once it has let go of the lock.
  struct Actions {
    bool read = false;
    bool write = false;
    bool finish = false;
  };

  // The client's next message is in request_; `model` is the one it means.
  void Received(Runtime::ModelOr model);
  void Schedule();
  void Pump();
  Actions Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Submits the request that was read.
  void Accept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Encodes the first answer; returns whether there is one to send.
  bool EncodeFirst() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool MayRead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Abandon();

  Runtime& runtime_;
  RpcCall call_;
  const absl::Time deadline_;
  std::shared_ptr<ScoreStreamCall> self_;  // from Start() to OnDone()
  std::atomic<bool> scheduled_ = false;

  v1::ScoreRequest request_;    // gRPC's while reading_
  v1::ScoreResponse response_;  // gRPC's while writing_

  Mutex mu_;
  std::deque<PendingScore> pending_ ABSL_GUARDED_BY(mu_);
  int64_t pending_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t requests_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status error_ ABSL_GUARDED_BY(mu_);  // ends the stream
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool has_request_ ABSL_GUARDED_BY(mu_) = false;
  Runtime::ModelOr model_ ABSL_GUARDED_BY(mu_);  // of that request
  bool half_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace basin

#endif  // BASIN_SERVER_SCORE_STREAM_H_
