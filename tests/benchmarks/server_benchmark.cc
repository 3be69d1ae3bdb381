// What clients get through gRPC, against the engine in process, and how the
// server behaves under many clients, under saturation and under overload.
// Usage: server_benchmark [SECONDS of overload, default 30]

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <absl/strings/str_cat.h>

#include "client/client.h"
#include "core/backend/backend.h"
#include "core/base/check.h"
#include "core/base/mutex.h"
#include "core/model/energy_model.h"
#include "core/scheduler/scheduler.h"
#include "tests/benchmarks/benchmark.h"
#include "tests/benchmarks/mlp_repository.h"
#include "tests/integration/server_process.h"
#include "tests/testing/temp_dir.h"

namespace basin::benchmarks {
namespace {

constexpr int kRepetitions = 5;
constexpr double kQuantumSeconds = 0.002;
constexpr int kWorkers = 2;

v1::SampleRequest Request(int64_t chains, int64_t steps) {
  v1::SampleRequest request;
  request.mutable_model()->set_name(kMlpName);
  request.set_chains(chains);
  request.set_steps(steps);
  request.set_seed(1);
  request.mutable_noise();
  return request;
}

void SampleOnce(client::Client& client, int64_t chains, int64_t steps) {
  BASIN_CHECK(client.Sample(Request(chains, steps)).ok());
}

// Calls work(i) for i in [0, count), each in its own thread.
template <typename Work>
void InParallel(int count, const Work& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

std::vector<std::unique_ptr<client::Client>> Connect(const std::string& address,
                                                     int count) {
  std::vector<std::unique_ptr<client::Client>> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(client::Client::Connect(address));
    BASIN_CHECK(clients.back()->Status().ok());
  }
  return clients;
}

// 64 chains of 1,000 steps, in process and through gRPC in turn.
void AgainstInProcess(const std::string& models, const std::string& address) {
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  auto model = EnergyModel::Load(*backend, models + "/" + kMlpName, kMlpName, 1,
                                 EnergyModel::LoadOptions());
  BASIN_CHECK(model.ok());
  const auto scheduler = Scheduler::Create(*backend, SchedulerOptions());
  const auto clients = Connect(address, 1);
  std::vector<double> ratios;
  for (int i = 0; i < kRepetitions; ++i) {
    const double engine = Seconds(
        [&] { RunSample(*scheduler, *model, {.chains = 64, .steps = 1000}); });
    const double server = Seconds([&] { SampleOnce(*clients[0], 64, 1000); });
    ratios.push_back(engine / server);
  }
  Report("grpc_over_in_process", Median(ratios));
}

// 32 clients with a chain each, against one client with 32 chains.
void ManyClients(const std::string& address) {
  const auto clients = Connect(address, 32);
  std::vector<double> ratios;
  for (int i = 0; i < kRepetitions; ++i) {
    const double one = Seconds([&] { SampleOnce(*clients[0], 32, 1000); });
    const double many = Seconds([&] {
      InParallel(32, [&](int c) { SampleOnce(*clients[c], 1, 1000); });
    });
    ratios.push_back(one / many);
  }
  Report("clients_32x1_over_1x32", Median(ratios));
}

// The 99th percentile of single-row Score while sampling has all workers.
void ScoreUnderSaturation(const std::string& address) {
  client::Cancellation stop;
  client::CallOptions options;
  options.cancellation = stop;
  const auto clients = Connect(address, 3);
  std::vector<std::thread> samplers;
  for (int i = 0; i < 2; ++i) {
    samplers.emplace_back([&, i] {
      const auto result = clients[i]->Sample(Request(256, 20'000), {}, options);
      BASIN_CHECK(absl::IsCancelled(result.status()));
    });
  }
  client::Array row{{1, kMlpInput}, std::vector<float>(kMlpInput, 0.5F)};
  const v1::Tensor tensor = client::ToTensor(row);
  v1::ModelRef model;
  model.set_name(kMlpName);
  std::vector<double> latencies;
  for (int i = 0; i < 2000; ++i) {
    latencies.push_back(Seconds(
        [&] { BASIN_CHECK(clients[2]->Score(model, tensor, {}).ok()); }));
  }
  stop.Cancel();
  for (std::thread& sampler : samplers) sampler.join();
  std::sort(latencies.begin(), latencies.end());
  const double p99 = latencies[latencies.size() * 99 / 100];
  Report("score_p99_quanta", p99 / kQuantumSeconds);
  Report("score_p50_quanta", latencies[latencies.size() / 2] / kQuantumSeconds);
}

// What clients saw while asking for ten times what is admitted.
struct Overload {
  Mutex mu;
  CondVar never;  // only waited for with a timeout
  int64_t served ABSL_GUARDED_BY(mu) = 0;
  std::vector<double> refusal_seconds ABSL_GUARDED_BY(mu);
};

// Asks for 64 x `steps` again and again, 10 ms after each refusal.
void OverloadClient(client::Client& client, int64_t steps, double seconds,
                    Overload& overload) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    absl::Status status;
    const double took =
        Seconds([&] { status = client.Sample(Request(64, steps)).status(); });
    const MutexLock lock(overload.mu);
    if (status.ok()) {
      ++overload.served;
      continue;
    }
    BASIN_CHECK(absl::IsResourceExhausted(status));
    overload.refusal_seconds.push_back(took);
    overload.never.WaitFor(overload.mu, absl::Milliseconds(10));
  }
}

// A server that admits about two of the requests at once, asked by 20.
void UnderOverload(const std::string& models, double seconds) {
  testing::ServerProcess::Options options;
  options.models = models;
  options.flags = {"--max_work=4s", absl::StrCat("--workers=", kWorkers)};
  const testing::ServerProcess server(options);
  const auto clients = Connect(server.address(), 20);
  // About a second of one worker's work.
  constexpr int64_t kSome = 500;
  const double work =
      kWorkers * Seconds([&] { SampleOnce(*clients[0], 64, kSome); });
  const auto steps =
      std::max<int64_t>(1, static_cast<int64_t>(kSome * 1.0 / work));
  const auto before = static_cast<double>(server.ResidentBytes());
  Overload overload;
  InParallel(20, [&](int c) {
    OverloadClient(*clients[c], steps, seconds, overload);
  });
  const auto after = static_cast<double>(server.ResidentBytes());
  const MutexLock lock(overload.mu);
  std::vector<double>& refusals = overload.refusal_seconds;
  std::sort(refusals.begin(), refusals.end());
  Report("overload_served", static_cast<double>(overload.served));
  Report("overload_refused", static_cast<double>(refusals.size()));
  Report("overload_refusal_ms_p50", 1e3 * Median(refusals));
  Report("overload_refusal_ms_p99", 1e3 * refusals[refusals.size() * 99 / 100]);
  Report("overload_resident_growth_mib", (after - before) / (1 << 20));
}

void Run(double overload_seconds) {
  const testing::TempDir models;
  WriteMlpRepository(models.path());
  {
    testing::ServerProcess::Options options;
    options.models = models.path();
    const testing::ServerProcess server(options);
    AgainstInProcess(models.path(), server.address());
    ManyClients(server.address());
    ScoreUnderSaturation(server.address());
  }
  UnderOverload(models.path(), overload_seconds);
}

}  // namespace
}  // namespace basin::benchmarks

int main(int argc, char** argv) {
  basin::benchmarks::Run(argc > 1 ? std::atof(argv[1]) : 30);
  return 0;
}
