#include <memory>

#include "server/runtime.h"
#include "server/services.h"
#include "server/unary_call.h"

#include "basin/v1/status.grpc.pb.h"

namespace basin {
namespace {

void LimitsToProto(const RequestLimits& limits, v1::Limits& out) {
  out.set_max_chains(limits.max_chains);
  out.set_max_steps(limits.max_steps);
  out.set_max_message_bytes(limits.max_message_bytes);
  out.set_max_rows(limits.max_rows);
  out.set_max_bytes(limits.max_bytes);
  out.set_max_work_seconds(absl::ToDoubleSeconds(limits.max_work));
}

void StatusToProto(const Runtime& runtime, v1::ServerStatus& out) {
  const DeviceInfo& device = runtime.backend->info();
  const SchedulerLoad load = runtime.scheduler->Load();
  out.set_version(BASIN_VERSION);
  out.set_uptime_seconds(
      absl::ToDoubleSeconds(runtime.clock->Now() - runtime.started));
  out.set_device_kind(device.kind);
  out.set_device_name(device.name);
  out.set_isa(device.isa);
  out.set_workers(load.workers);
  out.set_rows_ready(load.rows_ready);
  out.set_rows_running(load.rows_running);
  out.set_jobs(load.jobs);
  out.set_estimated_work_seconds(absl::ToDoubleSeconds(load.estimated_work));
  out.set_bytes(load.bytes);
  out.set_draining(runtime.draining);
  LimitsToProto(runtime.options.limits, *out.mutable_limits());
}

class StatusService final : public v1::Status::CallbackService {
 public:
  explicit StatusService(Runtime& runtime) : runtime_(runtime) {}

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const v1::GetStatusRequest*,
                                v1::ServerStatus* response) override {
    return RunUnary(runtime_, RpcMethod::kStatusGet, *context,
                    [this, response] {
                      StatusToProto(runtime_, *response);
                      return absl::OkStatus();
                    });
  }

 private:
  Runtime& runtime_;
};

}  // namespace

std::unique_ptr<grpc::Service> CreateStatusService(Runtime& runtime) {
  return std::make_unique<StatusService>(runtime);
}

}  // namespace basin
