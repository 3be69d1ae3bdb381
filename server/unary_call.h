#ifndef BASIN_SERVER_UNARY_CALL_H_
#define BASIN_SERVER_UNARY_CALL_H_

// The wrapper of every unary handler but Score: id, admission, status, time
// and counts.

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "server/metrics.h"
#include "server/runtime.h"

namespace basin {

using UnaryBody = absl::AnyInvocable<absl::Status()>;

// Runs a body that does not block, at once. gRPC takes the result.
grpc::ServerUnaryReactor* RunUnary(Runtime& runtime, RpcMethod method,
                                   grpc::CallbackServerContext& context,
                                   UnaryBody body);

// Runs a body that blocks on `executor`; ResourceExhausted if too many wait
// there already.
grpc::ServerUnaryReactor* RunUnaryOn(Executor& executor, Runtime& runtime,
                                     RpcMethod method,
                                     grpc::CallbackServerContext& context,
                                     UnaryBody body);

}  // namespace basin

#endif  // BASIN_SERVER_UNARY_CALL_H_
