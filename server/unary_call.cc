#include "server/unary_call.h"

#include <memory>
#include <utility>

#include <grpcpp/support/status.h>

namespace basin {
namespace {

constexpr size_t kMaxWaiting = 256;

absl::Status RunBody(const RpcCall& call, UnaryBody& body) {
  return call.admission().ok() ? body() : call.admission();
}

}  // namespace

grpc::ServerUnaryReactor* RunUnary(Runtime& runtime, RpcMethod method,
                                   grpc::CallbackServerContext& context,
                                   UnaryBody body) {
  RpcCall call(runtime, method);
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  reactor->Finish(call.End(RunBody(call, body)));
  return reactor;
}

grpc::ServerUnaryReactor* RunUnaryOn(Executor& executor, Runtime& runtime,
                                     RpcMethod method,
                                     grpc::CallbackServerContext& context,
                                     UnaryBody body) {
  auto call = std::make_shared<RpcCall>(runtime, method);
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  auto run = [call, reactor, body = std::move(body)]() mutable {
    reactor->Finish(call->End(RunBody(*call, body)));
  };
  if (!executor.TryRun(std::move(run), kMaxWaiting)) {
    reactor->Finish(call->End(absl::ResourceExhaustedError(
        "too many such requests wait; try again in 1s")));
  }
  return reactor;
}

}  // namespace basin
