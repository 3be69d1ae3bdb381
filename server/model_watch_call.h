#ifndef BASIN_SERVER_MODEL_WATCH_CALL_H_
#define BASIN_SERVER_MODEL_WATCH_CALL_H_

#include <deque>
#include <memory>
#include <string>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <grpcpp/support/server_callback.h>

#include "core/base/mutex.h"
#include "server/model_watchers.h"
#include "server/runtime.h"

#include "basin/v1/models.pb.h"

namespace basin {

// One Models.Watch RPC: the states there are, then each change. A reader that
// falls too far behind is ended. Thread-safe; keeps itself alive until
// OnDone().
class ModelWatchCall final
    : public grpc::ServerWriteReactor<v1::ModelVersion>,
      public ModelWatcher,
      public std::enable_shared_from_this<ModelWatchCall> {
 public:
  // gRPC takes the result.
  static grpc::ServerWriteReactor<v1::ModelVersion>* Start(
      Runtime& runtime, const v1::WatchModelsRequest& request);

  ModelWatchCall(Runtime& runtime, std::string name);

  void OnChange(const ModelStatus& status) override;
  void OnClose(const absl::Status& why) override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // The states there are.
  void AddCurrent();
  void AddChange(const ModelStatus& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Schedule();
  void Pump();

  Runtime& runtime_;
  RpcCall call_;
  const std::string name_;
  std::shared_ptr<ModelWatchCall> self_;  // from Start() to OnDone()
  v1::ModelVersion current_;              // gRPC's while writing_

  Mutex mu_;
  std::deque<v1::ModelVersion> changes_ ABSL_GUARDED_BY(mu_);
  absl::Status end_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace basin

#endif  // BASIN_SERVER_MODEL_WATCH_CALL_H_
