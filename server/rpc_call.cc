#include "server/rpc_call.h"

#include <algorithm>
#include <atomic>
#include <random>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <google/protobuf/any.pb.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "server/error_details.pb.h"
#include "server/log.h"
#include "server/runtime.h"

namespace basin {
namespace {

// "3f9a2c71-12": which server process, and which of its calls.
std::string NewRequestId() {
  static const uint32_t process = std::random_device()();
  static std::atomic<uint64_t> next = 1;
  return absl::StrFormat("%08x-%d", process, next.fetch_add(1));
}

// Trailers are small; a hostile name may be repeated in the text.
std::string ErrorText(const absl::Status& status, const std::string& id) {
  constexpr size_t kMost = 2000;
  std::string text(status.message().substr(0, kMost));
  if (status.message().size() > kMost) text += "...";
  return absl::StrCat(text, " [request ", id, "]");
}

std::string RetryDetails(const std::string& text, absl::Duration delay) {
  server::RetryInfo retry;
  const int64_t seconds = absl::ToInt64Seconds(delay);
  retry.mutable_retry_delay()->set_seconds(seconds);
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(delay - absl::Seconds(seconds))));
  server::StatusDetails details;
  details.set_code(static_cast<int>(absl::StatusCode::kResourceExhausted));
  details.set_message(text);
  google::protobuf::Any& any = *details.add_details();
  any.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  any.set_value(retry.SerializeAsString());
  return details.SerializeAsString();
}

}  // namespace

int64_t CallTracker::Add() {
  MutexLock lock(mu_);
  return ++calls_;
}

void CallTracker::Remove() {
  MutexLock lock(mu_);
  if (--calls_ == 0) none_.SignalAll();
}

void CallTracker::WaitForNone(absl::Duration timeout) {
  const absl::Time end = Clock::Real().Now() + timeout;
  MutexLock lock(mu_);
  while (calls_ > 0) {
    const absl::Duration left = end - Clock::Real().Now();
    if (left <= absl::ZeroDuration()) return;
    none_.WaitFor(mu_, left);
  }
}

RpcCall::RpcCall(Runtime& runtime, RpcMethod method)
    : runtime_(runtime),
      method_(method),
      id_(NewRequestId()),
      arrival_(runtime.clock->Now()) {
  const int64_t calls = runtime_.calls.Add();
  const int64_t most = runtime_.options.max_calls;
  if (calls > most) {
    admission_ = absl::ResourceExhaustedError(
        absl::StrCat("calls: expected at most ", most,
                     " at once (max_calls), got ", calls, "; try again in 1s"));
    runtime_.metrics->OnRejected("calls");
  }
}

RpcCall::~RpcCall() { runtime_.calls.Remove(); }

grpc::Status RpcCall::End(const absl::Status& status) {
  runtime_.metrics->OnRpcEnd(method_, status.code(),
                             runtime_.clock->Now() - arrival_);
  if (status.ok()) return grpc::Status::OK;
  const std::string text = ErrorText(status, id_);
  if (status.code() == absl::StatusCode::kInternal) {
    Log(LogLevel::kError, "request failed",
        {{"method", Name(method_)}, {"error", text}});
  }
  // Both enums number the codes as the gRPC protocol does.
  const auto code = static_cast<grpc::StatusCode>(status.code());
  if (status.code() == absl::StatusCode::kResourceExhausted) {
    return grpc::Status(code, text, RetryDetails(text, runtime_.RetryDelay()));
  }
  return grpc::Status(code, text);
}

absl::Time Deadline(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) {
    return absl::InfiniteFuture();
  }
  return absl::FromChrono(deadline);
}

}  // namespace basin
