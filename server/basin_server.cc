#include "server/basin_server.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <prometheus/exposer.h>

#include "core/backend/bfloat16.h"
#include "core/base/cpu_isa.h"
#include "core/base/status_macros.h"
#include "server/load_collector.h"
#include "server/log.h"
#include "server/memory_trimmer.h"
#include "server/runtime.h"
#include "server/services.h"

namespace basin {
namespace {

// Per connection; those beyond wait in the client.
constexpr int kMaxConcurrentStreams = 1024;

constexpr absl::Duration kTrimInterval = absl::Seconds(5);

// "127.0.0.1" of "127.0.0.1:8001".
std::string Host(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

void ApplyMaxIsa(const std::string& name) {
  for (const CpuIsa isa : {CpuIsa::kBaseline, CpuIsa::kV3, CpuIsa::kV4}) {
    if (name == Name(isa)) SetMaxIsa(isa);
  }
}

ModelRepository::Options RepositoryOptions(const ServerOptions& options) {
  ModelRepository::Options result;
  result.folder = options.models;
  result.load.max_file_bytes = options.max_model_file_bytes;
  result.load.max_memory_bytes =
      static_cast<size_t>(options.max_model_memory_bytes);
  return result;
}

SchedulerOptions EngineOptions(const Runtime& runtime) {
  const RequestLimits& limits = runtime.options.limits;
  SchedulerOptions options;
  options.workers = static_cast<int>(runtime.options.workers);
  options.quantum = runtime.options.quantum;
  options.max_work = limits.max_work;
  options.max_bytes = limits.max_bytes;
  options.max_rows = limits.max_rows;
  options.observer = runtime.metrics.get();
  return options;
}

class BasinServerImpl final : public BasinServer {
 public:
  ~BasinServerImpl() override { Stop(absl::ZeroDuration()); }

  absl::Status Start(const ServerOptions& options);

  const std::string& address() const override { return address_; }
  const std::string& metrics_address() const override {
    return metrics_address_;
  }
  void Drain() override { Stop(runtime_.options.drain_timeout); }

 private:
  absl::Status StartGrpc();
  absl::Status StartMetrics();
  void LoadModels();
  void OnModelChange(const ModelStatus& status);
  void SetHealth(const std::string& service, bool serving);
  void UpdateModelHealth(const std::string& name);
  void Stop(absl::Duration timeout);

  Runtime runtime_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> grpc_;
  std::shared_ptr<LoadCollector> collector_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  MemoryTrimmer trimmer_{kTrimInterval};
  std::string address_;
  std::string metrics_address_;

  Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

absl::Status BasinServerImpl::Start(const ServerOptions& options) {
  ApplyMaxIsa(options.max_isa);
  runtime_.options = options;
  runtime_.started = runtime_.clock->Now();
  runtime_.backend = CreateCpuBackend();
  runtime_.metrics = std::make_unique<Metrics>(runtime_.backend->info());
  auto replay =
      ReplayRegistry::Create({options.state, options.replay_snapshot_interval});
  if (!replay.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--state: ", replay.status().message()));
  }
  runtime_.replay = *std::move(replay);
  ModelRepository::Options repository = RepositoryOptions(options);
  repository.on_change = [this](const ModelStatus& status) {
    OnModelChange(status);
  };
  auto models =
      ModelRepository::Create(*runtime_.backend, std::move(repository));
  if (!models.ok()) {
    return absl::NotFoundError(
        absl::StrCat("--models: ", models.status().message()));
  }
  runtime_.repository = *std::move(models);
  runtime_.scheduler =
      Scheduler::Create(*runtime_.backend, EngineOptions(runtime_));
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  runtime_.streams = std::make_unique<Executor>(std::max(2, cores / 4));
  runtime_.loader = std::make_unique<Executor>(1);
  runtime_.composer = std::make_unique<Executor>(1);
  runtime_.files = std::make_unique<Executor>(1);
  BASIN_RETURN_IF_ERROR(StartMetrics());
  BASIN_RETURN_IF_ERROR(StartGrpc());
  runtime_.loader->Run([this] { LoadModels(); });
  return absl::OkStatus();
}

absl::Status BasinServerImpl::StartGrpc() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(runtime_.options.listen,
                           grpc::InsecureServerCredentials(), &port);
  // Two servers on one port would share its connections at random.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMaxConcurrentStreams);
  builder.SetMaxReceiveMessageSize(
      static_cast<int>(runtime_.options.limits.max_message_bytes));
  services_.push_back(CreateSamplerService(runtime_));
  services_.push_back(CreateScorerService(runtime_));
  services_.push_back(CreateModelsService(runtime_));
  services_.push_back(CreateReplayService(runtime_));
  services_.push_back(CreateStatusService(runtime_));
  for (const auto& service : services_) builder.RegisterService(service.get());
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr || port <= 0) {
    return absl::UnavailableError(
        absl::StrCat("--listen: cannot listen on ", runtime_.options.listen,
                     "; is another server using the port?"));
  }
  SetHealth("", false);
  address_ = absl::StrCat(Host(runtime_.options.listen), ":", port);
  return absl::OkStatus();
}

absl::Status BasinServerImpl::StartMetrics() {
  if (runtime_.options.metrics_listen.empty()) return absl::OkStatus();
  collector_ = std::make_shared<LoadCollector>(
      *runtime_.scheduler, *runtime_.repository, *runtime_.replay);
  try {
    exposer_ =
        std::make_unique<prometheus::Exposer>(runtime_.options.metrics_listen);
    exposer_->RegisterCollectable(runtime_.metrics->registry());
    exposer_->RegisterCollectable(collector_);
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat(
        "--metrics_listen: cannot listen on ", runtime_.options.metrics_listen,
        " (", error.what(), "); is another server using the port?"));
  }
  metrics_address_ = absl::StrCat(Host(runtime_.options.metrics_listen), ":",
                                  exposer_->GetListeningPorts().at(0));
  return absl::OkStatus();
}

void BasinServerImpl::LoadModels() {
  runtime_.repository->LoadAll();
  runtime_.models_loaded = true;
  if (runtime_.draining) return;
  SetHealth("", true);
  Log(LogLevel::kInfo, "models loaded, serving", {{"address", address_}});
}

void BasinServerImpl::OnModelChange(const ModelStatus& status) {
  const std::string state(Name(status.state));
  if (status.state == ModelState::kFailed) {
    Log(LogLevel::kError, "model failed",
        {{"model", status.name},
         {"version", status.version},
         {"reason", status.reason}});
  } else {
    Log(LogLevel::kInfo, "model",
        {{"model", status.name},
         {"version", status.version},
         {"state", state}});
  }
  if (status.state == ModelState::kReady && status.model != nullptr &&
      status.model->info().precision == Precision::kBFloat16) {
    const std::string note = BFloat16Note(status.model->backend().info());
    if (!note.empty()) {
      Log(LogLevel::kWarning, "bfloat16",
          {{"model", status.name}, {"note", note}});
    }
  }
  if (status.state == ModelState::kReady && status.model != nullptr &&
      status.model->info().replay.capacity > 0) {
    const auto buffer = runtime_.replay->Get(status.model->info());
    if (!buffer.ok()) {
      Log(LogLevel::kError, "replay buffer does not open",
          {{"model", status.name}, {"error", buffer.status().ToString()}});
    }
  }
  if (status.state == ModelState::kUnloaded) {
    runtime_.replay->Close(status.name, status.version);
  }
  UpdateModelHealth(status.name);
  runtime_.watchers.Notify(status);
}

void BasinServerImpl::UpdateModelHealth(const std::string& name) {
  bool ready = false;
  for (const ModelStatus& status : runtime_.repository->List()) {
    ready |= status.name == name && status.serving;
  }
  SetHealth(name, ready && !runtime_.draining);
}

void BasinServerImpl::SetHealth(const std::string& service, bool serving) {
  if (grpc_ == nullptr) return;
  grpc_->GetHealthCheckService()->SetServingStatus(service, serving);
}

void BasinServerImpl::Stop(absl::Duration timeout) {
  MutexLock lock(mu_);
  if (stopped_) return;
  stopped_ = true;
  const absl::Time end = runtime_.clock->Now() + timeout;
  runtime_.draining = true;
  if (grpc_ != nullptr) grpc_->GetHealthCheckService()->Shutdown();
  runtime_.watchers.Close(absl::UnavailableError("the server is draining"));
  if (runtime_.scheduler != nullptr) runtime_.scheduler->Drain(timeout);
  if (grpc_ != nullptr) {
    // What has run still has to be sent.
    constexpr absl::Duration kAtLeast = absl::Milliseconds(200);
    runtime_.calls.WaitForNone(std::max(end - runtime_.clock->Now(), kAtLeast));
    grpc_->Shutdown(std::chrono::system_clock::now());
    grpc_->Wait();
  }
  exposer_ = nullptr;
  for (const auto* executor : {&runtime_.loader, &runtime_.composer,
                               &runtime_.files, &runtime_.streams}) {
    if (*executor != nullptr) (*executor)->Shutdown();
  }
  if (runtime_.replay != nullptr) runtime_.replay->SnapshotChanged();
}

}  // namespace

absl::StatusOr<std::unique_ptr<BasinServer>> BasinServer::Create(
    const ServerOptions& options) {
  auto server = std::make_unique<BasinServerImpl>();
  BASIN_RETURN_IF_ERROR(server->Start(options));
  return std::unique_ptr<BasinServer>(std::move(server));
}

}  // namespace basin
