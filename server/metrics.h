#ifndef BASIN_SERVER_METRICS_H_
#define BASIN_SERVER_METRICS_H_

// What the server counts for Prometheus. Names and meanings are in the
// documentation of the metrics endpoint; labels are bounded: methods, status
// codes, transitions, models.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/strings/string_view.h>
#include <absl/types/span.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "core/base/mutex.h"
#include "core/scheduler/scheduler.h"

namespace basin {

// Every RPC of basin.v1.
enum class RpcMethod {
  kSample,
  kScore,
  kScoreStream,
  kModelsList,
  kModelsGet,
  kModelsLoad,
  kModelsUnload,
  kModelsWatch,
  kReplayStats,
  kReplayDraw,
  kReplayInsert,
  kReplayClear,
  kReplaySnapshot,
  kStatusGet,
};
inline constexpr int kRpcMethods = 14;

// "Sampler/Sample"
absl::string_view Name(RpcMethod method);

// Counters and histograms, looked up once and kept. Thread-safe.
class Metrics : public SchedulerObserver {
 public:
  explicit Metrics(const DeviceInfo& device);

  // What these counters are read from.
  const std::shared_ptr<prometheus::Registry>& registry() const {
    return registry_;
  }

  void OnRpcEnd(RpcMethod method, absl::StatusCode code,
                absl::Duration duration);
  // From a request's arrival to the first states or energies of its answer.
  void OnFirstResult(absl::Duration since_arrival);
  // A score's answer.
  void OnEnergies(const ModelInfo& model, absl::Span<const double> energies);

  void OnQuantum(const Quantum& quantum) override;
  void OnFirstQuantum(absl::Duration queued) override;
  void OnRejected(std::string_view reason) override;
  void OnCancelled(std::string_view where, int64_t wasted) override;

 private:
  static constexpr int kCodes = 17;

  struct PerTransition {
    std::string_view name;
    prometheus::Counter* chain_steps;
    prometheus::Counter* proposals;
    prometheus::Counter* accepts;
  };

  // A child of a family with one label.
  struct Labelled {
    std::string_view value;
    prometheus::Counter* counter;
  };

  void AddTransitions();
  void AddRefusals();
  // The child of `value`, or else the last.
  static void Increment(const std::vector<Labelled>& children,
                        std::string_view value);
  prometheus::Histogram& EnergyHistogram(const std::string& model);

  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& energy_;
  prometheus::Histogram& queue_seconds_;
  prometheus::Histogram& first_result_seconds_;
  prometheus::Histogram& quantum_seconds_;
  prometheus::Histogram& tile_rows_;
  prometheus::Counter& wasted_chain_steps_;
  prometheus::Counter& divergences_;
  prometheus::Counter& sample_evaluations_;
  prometheus::Counter& score_evaluations_;
  std::array<prometheus::Histogram*, kRpcMethods> request_seconds_;
  std::vector<PerTransition> transitions_;
  std::vector<Labelled> rejected_;
  std::vector<Labelled> cancelled_;

  // Filled in at first use; adding twice gives the same child.
  std::array<std::array<std::atomic<prometheus::Counter*>, kCodes>, kRpcMethods>
      request_counters_ = {};

  Mutex mu_;
  absl::flat_hash_map<std::string, prometheus::Histogram*> energies_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace basin

#endif  // BASIN_SERVER_METRICS_H_
