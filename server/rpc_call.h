#ifndef BASIN_SERVER_RPC_CALL_H_
#define BASIN_SERVER_RPC_CALL_H_

#include <cstdint>
#include <string>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/time/time.h>

#include "core/base/mutex.h"
#include "server/metrics.h"

namespace grpc {
class ServerContextBase;
class Status;
}  // namespace grpc

namespace basin {

struct Runtime;

// Counts the RPCs under way. Thread-safe.
class CallTracker {
 public:
  // Returns how many there are now.
  int64_t Add();
  void Remove();
  // Blocks until there are none, or `timeout` has passed.
  void WaitForNone(absl::Duration timeout);

 private:
  Mutex mu_;
  CondVar none_;
  int64_t calls_ ABSL_GUARDED_BY(mu_) = 0;
};

// One RPC from its arrival to its end: its id, its time, what is counted and
// logged of it, and the translation of its status. Every handler has one.
// Thread-safe, but End() is called once.
class RpcCall {
 public:
  // `runtime` must outlive the call.
  RpcCall(Runtime& runtime, RpcMethod method);
  ~RpcCall();
  RpcCall(const RpcCall&) = delete;
  RpcCall& operator=(const RpcCall&) = delete;

  // ResourceExhausted if there are too many calls.
  const absl::Status& admission() const { return admission_; }

  // In logs, in answers, and at the end of every error text.
  const std::string& id() const { return id_; }
  absl::Time arrival() const { return arrival_; }

  // Counts the call and gives what gRPC is to answer.
  grpc::Status End(const absl::Status& status);

 private:
  Runtime& runtime_;
  const RpcMethod method_;
  const std::string id_;
  const absl::Time arrival_;
  absl::Status admission_;
};

// When the client gives up.
absl::Time Deadline(const grpc::ServerContextBase& context);

}  // namespace basin

#endif  // BASIN_SERVER_RPC_CALL_H_
