#include <memory>

#include "core/base/status_macros.h"
#include "server/replay_streams.h"
#include "server/runtime.h"
#include "server/services.h"
#include "server/unary_call.h"

#include "basin/v1/replay.grpc.pb.h"

namespace basin {
namespace {

void StatsToProto(const ReplayStats& stats, absl::Time now,
                  v1::ReplayStatsResponse& out) {
  out.set_capacity(stats.capacity);
  out.set_size(stats.size);
  for (const auto& [label, size] : stats.label_sizes) {
    if (label != kNoReplayLabel) (*out.mutable_label_sizes())[label] = size;
  }
  out.set_inserts(stats.inserts);
  out.set_write_backs(stats.write_backs);
  out.set_draws(stats.draws);
  out.set_restarts(stats.restarts);
  out.set_torn_slots(stats.torn_slots);
  out.set_mean_age_seconds(absl::ToDoubleSeconds(stats.mean_age));
  if (stats.last_snapshot != absl::InfinitePast()) {
    out.set_snapshot_age_seconds(
        absl::ToDoubleSeconds(now - stats.last_snapshot));
  }
  out.set_bytes(stats.bytes);
}

class ReplayService final : public v1::Replay::CallbackService {
 public:
  explicit ReplayService(Runtime& runtime) : runtime_(runtime) {}

  grpc::ServerUnaryReactor* Stats(grpc::CallbackServerContext* context,
                                  const v1::ReplayStatsRequest* request,
                                  v1::ReplayStatsResponse* response) override {
    auto body = [this, request, response]() -> absl::Status {
      BASIN_ASSIGN_OR_RETURN(const ReplayOfModel replay,
                             FindReplay(runtime_, request->model()));
      response->set_model_version(replay.model->info().version);
      StatsToProto(replay.buffer->Stats(), runtime_.clock->Now(), *response);
      return absl::OkStatus();
    };
    return RunUnaryOn(*runtime_.streams, runtime_, RpcMethod::kReplayStats,
                      *context, body);
  }

  grpc::ServerWriteReactor<v1::ReplayDrawResponse>* Draw(
      grpc::CallbackServerContext*,
      const v1::ReplayDrawRequest* request) override {
    return ReplayDrawCall::Start(runtime_, *request);
  }

  grpc::ServerReadReactor<v1::ReplayInsertRequest>* Insert(
      grpc::CallbackServerContext*,
      v1::ReplayInsertResponse* response) override {
    return ReplayInsertCall::Start(runtime_, *response);
  }

  grpc::ServerUnaryReactor* Clear(grpc::CallbackServerContext* context,
                                  const v1::ReplayClearRequest* request,
                                  v1::ReplayClearResponse* response) override {
    auto body = [this, request, response]() -> absl::Status {
      BASIN_ASSIGN_OR_RETURN(const ReplayOfModel replay,
                             FindReplay(runtime_, request->model()));
      response->set_removed(replay.buffer->Stats().size);
      return replay.buffer->Clear();
    };
    return RunUnaryOn(*runtime_.files, runtime_, RpcMethod::kReplayClear,
                      *context, body);
  }

  grpc::ServerUnaryReactor* Snapshot(
      grpc::CallbackServerContext* context,
      const v1::ReplaySnapshotRequest* request,
      v1::ReplaySnapshotResponse* response) override {
    auto body = [this, request, response]() -> absl::Status {
      BASIN_ASSIGN_OR_RETURN(const ReplayOfModel replay,
                             FindReplay(runtime_, request->model()));
      BASIN_RETURN_IF_ERROR(replay.buffer->Snapshot());
      response->set_states(replay.buffer->Stats().size);
      return absl::OkStatus();
    };
    return RunUnaryOn(*runtime_.files, runtime_, RpcMethod::kReplaySnapshot,
                      *context, body);
  }

 private:
  Runtime& runtime_;
};

}  // namespace

std::unique_ptr<grpc::Service> CreateReplayService(Runtime& runtime) {
  return std::make_unique<ReplayService>(runtime);
}

}  // namespace basin
