#ifndef BASIN_SERVER_RUNTIME_H_
#define BASIN_SERVER_RUNTIME_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "core/backend/backend.h"
#include "core/base/clock.h"
#include "core/model/repository.h"
#include "core/scheduler/scheduler.h"
#include "server/executor.h"
#include "server/metrics.h"
#include "server/model_watchers.h"
#include "server/replay_registry.h"
#include "server/rpc_call.h"
#include "server/server_options.h"

namespace basin {

namespace v1 {
class ModelRef;
}  // namespace v1

// Whether the reference is to several models together.
bool IsComposition(const v1::ModelRef& ref);

// What the services share. Built by BasinServer, which owns it; members are
// set before the first RPC, and each is thread-safe.
struct Runtime {
  ServerOptions options;
  const Clock* clock = &Clock::Real();
  absl::Time started = absl::InfinitePast();
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<ReplayRegistry> replay;
  std::unique_ptr<ModelRepository> repository;
  std::unique_ptr<Scheduler> scheduler;
  ModelWatchers watchers;
  CallTracker calls;
  // What the Replay.Draw calls hold; at most limits.max_bytes.
  std::atomic<int64_t> draw_bytes = 0;
  // Decodes and encodes for streams, so that neither workers nor gRPC's
  // threads do.
  std::unique_ptr<Executor> streams;
  // Loads models.
  std::unique_ptr<Executor> loader;
  // Compiles compositions.
  std::unique_ptr<Executor> composer;
  // Writes replay stores.
  std::unique_ptr<Executor> files;
  std::atomic<bool> draining = false;
  // Whether every model of the folder has been tried.
  std::atomic<bool> models_loaded = false;

  using ModelOr = absl::StatusOr<std::shared_ptr<const EnergyModel>>;
  // The ready model that `ref`, the request's field "model", names.
  // InvalidArgument, NotFound, Unavailable, FailedPrecondition.
  // REQUIRES: !IsComposition(ref).
  ModelOr FindModel(const v1::ModelRef& ref) const;
  // Passes the model that `ref` names or composes to `then`: at once, or on
  // `composer` if it has to be compiled first. Not if the deadline has passed
  // or `cancelled` says so when its turn comes; ResourceExhausted if too many
  // wait for theirs. `ref` must stay until then.
  struct Wait {
    absl::Time deadline = absl::InfiniteFuture();
    std::function<bool()> cancelled;
  };
  void FindOrCompose(const v1::ModelRef& ref, Wait wait,
                     std::function<void(ModelOr)> then) const;

  // When a refused request may be tried again.
  absl::Duration RetryDelay() const;
};

}  // namespace basin

#endif  // BASIN_SERVER_RUNTIME_H_
