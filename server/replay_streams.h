#ifndef BASIN_SERVER_REPLAY_STREAMS_H_
#define BASIN_SERVER_REPLAY_STREAMS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include <absl/status/status.h>
#include <grpcpp/support/server_callback.h>

#include "server/runtime.h"

#include "basin/v1/replay.pb.h"

namespace basin {

// The buffer of the model that `ref` names, and the model.
struct ReplayOfModel {
  std::shared_ptr<const EnergyModel> model;
  std::shared_ptr<ReplayBuffer> buffer;
};
absl::StatusOr<ReplayOfModel> FindReplay(Runtime& runtime,
                                         const v1::ModelRef& ref);

// One Replay.Draw RPC: draws all states at once, sends them in parts. Keeps
// itself alive until OnDone(). One thing happens at a time: the drawing, then
// one write after the other.
class ReplayDrawCall final
    : public grpc::ServerWriteReactor<v1::ReplayDrawResponse>,
      public std::enable_shared_from_this<ReplayDrawCall> {
 public:
  // `request` lives as long as the call. gRPC takes the result.
  static grpc::ServerWriteReactor<v1::ReplayDrawResponse>* Start(
      Runtime& runtime, const v1::ReplayDrawRequest& request);

  ReplayDrawCall(Runtime& runtime, const v1::ReplayDrawRequest& request);
  ~ReplayDrawCall() override;

  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  absl::Status Draw();
  // ResourceExhausted if all draws together would hold too much.
  absl::Status Reserve(int64_t bytes);
  // Sends the next part, or the end.
  void SendNext();

  Runtime& runtime_;
  RpcCall call_;
  const v1::ReplayDrawRequest& request_;
  std::shared_ptr<ReplayDrawCall> self_;  // from Start() to OnDone()
  std::shared_ptr<const EnergyModel> model_;
  int64_t reserved_bytes_ = 0;  // of Runtime::draw_bytes
  uint64_t seed_ = 0;
  std::vector<float> states_;  // [count, D]
  size_t sent_ = 0;            // values of them
  v1::ReplayDrawResponse response_;
};

// One Replay.Insert RPC: reads a message, makes it durable on Runtime::files,
// reads the next. Holds no buffer in between, so that a client that stalls
// does not keep an unloaded model's store. Keeps itself alive until OnDone().
class ReplayInsertCall final
    : public grpc::ServerReadReactor<v1::ReplayInsertRequest>,
      public std::enable_shared_from_this<ReplayInsertCall> {
 public:
  // gRPC takes the result.
  static grpc::ServerReadReactor<v1::ReplayInsertRequest>* Start(
      Runtime& runtime, v1::ReplayInsertResponse& response);

  ReplayInsertCall(Runtime& runtime, v1::ReplayInsertResponse& response);

  void OnReadDone(bool ok) override;
  void OnDone() override;

 private:
  void HandleMessage();
  absl::Status Insert();

  Runtime& runtime_;
  RpcCall call_;
  v1::ReplayInsertResponse& response_;
  std::shared_ptr<ReplayInsertCall> self_;  // from Start() to OnDone()
  v1::ReplayInsertRequest request_;
  v1::ModelRef model_;  // from the first message on; which version, too
};

}  // namespace basin

#endif  // BASIN_SERVER_REPLAY_STREAMS_H_
