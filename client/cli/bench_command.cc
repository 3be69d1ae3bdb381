// basin bench sample|score: how much the server does, seen from clients.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <absl/strings/str_format.h>
#include <absl/time/clock.h>

#include "client/cli/command.h"

namespace basin::client {
namespace {

struct BenchArguments {
  std::string model;
  int clients = 1;
  double seconds = 5;
  int64_t chains = 64;
  int64_t steps = 1000;
  int64_t rows = 1;
  int priority = 0;
};

// What the clients measured together.
struct Measurement {
  int64_t requests = 0;
  int64_t units = 0;              // chain-steps or rows
  std::vector<double> latencies;  // seconds
  absl::Status status;
};

// One request of one client; returns its units.
using Request = std::function<absl::StatusOr<int64_t>(Client&)>;

// Runs `clients` clients, each on its own connection, one request after the
// other, until `seconds` have passed.
Measurement Run(const Session& session, const BenchArguments& args,
                const Request& request) {
  Measurement total;
  std::mutex mu;  // guards total
  std::atomic<bool> failed{false};
  const absl::Time end = absl::Now() + absl::Seconds(args.seconds);
  std::vector<std::thread> threads;
  for (int i = 0; i < args.clients; ++i) {
    threads.emplace_back([&] {
      const std::unique_ptr<Client> client = session.Connect();
      while (absl::Now() < end && !failed) {
        const absl::Time start = absl::Now();
        const absl::StatusOr<int64_t> units = request(*client);
        const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
        const std::lock_guard<std::mutex> lock(mu);
        if (!units.ok()) {
          failed = true;
          total.status.Update(units.status());
          return;
        }
        ++total.requests;
        total.units += *units;
        total.latencies.push_back(seconds);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return total;
}

double Percentile(std::vector<double>& sorted, double share) {
  const auto index =
      static_cast<size_t>(share * static_cast<double>(sorted.size() - 1));
  return sorted[index];
}

absl::Status Report(Measurement measurement, double seconds, const char* unit) {
  if (!measurement.status.ok()) return measurement.status;
  std::vector<double>& latencies = measurement.latencies;
  std::sort(latencies.begin(), latencies.end());
  absl::PrintF("%-14s%s\n", absl::StrCat(unit, "/s"),
               HumanNumber(measurement.units / seconds));
  absl::PrintF("requests/s    %s\n",
               HumanNumber(measurement.requests / seconds));
  absl::PrintF("latency ms    p50 %.3f  p90 %.3f  p99 %.3f  max %.3f\n",
               1e3 * Percentile(latencies, 0.5),
               1e3 * Percentile(latencies, 0.9),
               1e3 * Percentile(latencies, 0.99), 1e3 * latencies.back());
  return absl::OkStatus();
}

absl::Status BenchSample(const Session& session, const BenchArguments& args) {
  const auto ref = ParseModel(args.model);
  if (!ref.ok()) return ref.status();
  v1::SampleRequest request;
  *request.mutable_model() = *ref;
  request.set_chains(args.chains);
  request.set_steps(args.steps);
  request.set_priority(args.priority);
  request.mutable_noise();
  const absl::Time start = absl::Now();
  Measurement measurement =
      Run(session, args, [&](Client& client) -> absl::StatusOr<int64_t> {
        const auto result = client.Sample(request, {}, session.call_options());
        if (!result.ok()) return result.status();
        return result->summary.chain_steps();
      });
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  return Report(std::move(measurement), seconds, "steps");
}

absl::Status BenchScore(const Session& session, const BenchArguments& args) {
  const auto ref = ParseModel(args.model);
  if (!ref.ok()) return ref.status();
  const auto model =
      session.Connect()->GetModel(ref->name(), session.call_options());
  if (!model.ok()) return model.status();
  Array inputs;
  inputs.shape.assign(model->shape().begin(), model->shape().end());
  inputs.shape.insert(inputs.shape.begin(), args.rows);
  inputs.values.assign(NumElements(inputs.shape), 0.5F);
  const v1::Tensor tensor = ToTensor(inputs);
  ScoreOptions options;
  options.call = session.call_options();
  options.priority = args.priority;
  const absl::Time start = absl::Now();
  Measurement measurement =
      Run(session, args, [&](Client& client) -> absl::StatusOr<int64_t> {
        const auto result = client.Score(*ref, tensor, options);
        if (!result.ok()) return result.status();
        return args.rows;
      });
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  return Report(std::move(measurement), seconds, "rows");
}

}  // namespace

void AddBenchCommand(CLI::App& app, Session& session, Action& action) {
  CLI::App* bench = app.add_subcommand(
      "bench",
      "measures rates and latencies of the server as clients see them");
  bench->require_subcommand(1);
  const auto args = std::make_shared<BenchArguments>();
  const auto add = [&](const char* name, const char* help, auto run) {
    CLI::App* sub = bench->add_subcommand(name, help);
    sub->add_option("NAME", args->model, "the model, NAME or NAME:VERSION")
        ->required();
    sub->add_option("--clients", args->clients,
                    "clients at once, each on its own connection")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    sub->add_option("--seconds", args->seconds, "how long to start requests")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    sub->add_option("--priority", args->priority, "1 (first) to 9. Default: 5");
    sub->callback([&session, &action, args, run] {
      action = [&session, args, run] { return run(session, *args); };
    });
    return sub;
  };
  CLI::App* sample =
      add("sample", "clients that draw samples, one request after the other",
          &BenchSample);
  sample->add_option("--chains", args->chains, "of each request")
      ->capture_default_str();
  sample->add_option("--steps", args->steps, "of each chain")
      ->capture_default_str();
  CLI::App* score = add(
      "score", "clients that score, one request after the other", &BenchScore);
  score->add_option("--rows", args->rows, "of each request")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
}

}  // namespace basin::client
