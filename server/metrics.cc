#include "server/metrics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <prometheus/gauge.h>

#include "core/base/check.h"
#include "core/sampler/transition.h"

namespace basin {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// 10 us to 100 s, three for each power of ten.
const Buckets& SecondsBuckets() {
  static const Buckets& buckets = *new Buckets{
      1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025,
      0.05, 0.1,    0.25, 0.5,  1,      2.5,  5,    10,     25,   50,   100};
  return buckets;
}

const Buckets& RowsBuckets() {
  static const Buckets& buckets =
      *new Buckets{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096};
  return buckets;
}

// Energies have no scale of their own: half powers of ten on both sides.
const Buckets& EnergyBuckets() {
  static const Buckets& buckets =
      *new Buckets{-1e4, -3e3, -1e3, -300, -100, -30, -10, -3,  -1,  -0.3, 0,
                   0.3,  1,    3,    10,   30,   100, 300, 1e3, 3e3, 1e4};
  return buckets;
}

prometheus::Family<prometheus::Counter>& AddCounters(
    prometheus::Registry& registry, const std::string& name,
    const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Histogram& AddHistogram(prometheus::Registry& registry,
                                    const std::string& name,
                                    const std::string& help,
                                    const Buckets& buckets) {
  return prometheus::BuildHistogram()
      .Name(name)
      .Help(help)
      .Register(registry)
      .Add({}, buckets);
}

}  // namespace

absl::string_view Name(RpcMethod method) {
  switch (method) {
    case RpcMethod::kSample:
      return "Sampler/Sample";
    case RpcMethod::kScore:
      return "Scorer/Score";
    case RpcMethod::kScoreStream:
      return "Scorer/ScoreStream";
    case RpcMethod::kModelsList:
      return "Models/List";
    case RpcMethod::kModelsGet:
      return "Models/Get";
    case RpcMethod::kModelsLoad:
      return "Models/Load";
    case RpcMethod::kModelsUnload:
      return "Models/Unload";
    case RpcMethod::kModelsWatch:
      return "Models/Watch";
    case RpcMethod::kReplayStats:
      return "Replay/Stats";
    case RpcMethod::kReplayDraw:
      return "Replay/Draw";
    case RpcMethod::kReplayInsert:
      return "Replay/Insert";
    case RpcMethod::kReplayClear:
      return "Replay/Clear";
    case RpcMethod::kReplaySnapshot:
      return "Replay/Snapshot";
    case RpcMethod::kStatusGet:
      break;
  }
  return "Status/Get";
}

Metrics::Metrics(const DeviceInfo& device)
    : registry_(std::make_shared<prometheus::Registry>()),
      requests_(AddCounters(*registry_, "basin_requests_total",
                            "RPCs that have ended")),
      energy_(prometheus::BuildHistogram()
                  .Name("basin_energy")
                  .Help("Energies of scored inputs")
                  .Register(*registry_)),
      queue_seconds_(AddHistogram(*registry_, "basin_queue_seconds",
                                  "From submission to the first quantum",
                                  SecondsBuckets())),
      first_result_seconds_(AddHistogram(
          *registry_, "basin_first_result_seconds",
          "From arrival to the first states or energies", SecondsBuckets())),
      quantum_seconds_(AddHistogram(*registry_, "basin_quantum_seconds",
                                    "Duration of quanta", SecondsBuckets())),
      tile_rows_(AddHistogram(*registry_, "basin_tile_rows",
                              "Rows of the tiles that quanta ran",
                              RowsBuckets())),
      wasted_chain_steps_(AddCounters(*registry_,
                                      "basin_wasted_chain_steps_total",
                                      "Chain-steps that no client will see")
                              .Add({})),
      divergences_(AddCounters(*registry_, "basin_divergences_total",
                               "Chains ended by a non-finite energy or state")
                       .Add({})),
      sample_evaluations_(AddCounters(*registry_, "basin_row_evaluations_total",
                                      "Energies and gradients computed")
                              .Add({{"kind", "sample"}})),
      score_evaluations_(AddCounters(*registry_, "basin_row_evaluations_total",
                                     "Energies and gradients computed")
                             .Add({{"kind", "score"}})) {
  auto& seconds = prometheus::BuildHistogram()
                      .Name("basin_request_seconds")
                      .Help("Duration of RPCs")
                      .Register(*registry_);
  for (int i = 0; i < kRpcMethods; ++i) {
    const std::string name(Name(static_cast<RpcMethod>(i)));
    request_seconds_[i] = &seconds.Add({{"method", name}}, SecondsBuckets());
  }
  AddTransitions();
  AddRefusals();
  prometheus::BuildGauge()
      .Name("basin_build_info")
      .Help("Always 1")
      .Register(*registry_)
      .Add({{"version", BASIN_VERSION},
            {"device", device.kind},
            {"isa", device.isa}})
      .Set(1);
}

void Metrics::AddTransitions() {
  auto& chain_steps = AddCounters(*registry_, "basin_chain_steps_total",
                                  "Transitions of single chains");
  auto& proposals = AddCounters(*registry_, "basin_proposals_total",
                                "Proposals that could be rejected");
  auto& accepts = AddCounters(*registry_, "basin_accepts_total",
                              "Proposals that were accepted");
  for (const Transition* transition : AllTransitions()) {
    const std::map<std::string, std::string> labels = {
        {"transition", std::string(transition->name())}};
    transitions_.push_back({transition->name(), &chain_steps.Add(labels),
                            &proposals.Add(labels), &accepts.Add(labels)});
  }
}

// Why the scheduler or the server refuse, and where cancelled requests were.
void Metrics::AddRefusals() {
  auto& rejected = AddCounters(*registry_, "basin_requests_rejected_total",
                               "Requests refused by admission");
  for (const std::string_view reason :
       {"rows", "bytes", "work", "calls", "draining", "other"}) {
    rejected_.push_back(
        {reason, &rejected.Add({{"reason", std::string(reason)}})});
  }
  auto& cancelled =
      AddCounters(*registry_, "basin_requests_cancelled_total",
                  "Requests that ended early, by where they were");
  for (const std::string_view where : {"queued", "running", "other"}) {
    cancelled_.push_back(
        {where, &cancelled.Add({{"where", std::string(where)}})});
  }
}

void Metrics::OnRpcEnd(RpcMethod method, absl::StatusCode code,
                       absl::Duration duration) {
  const int m = static_cast<int>(method);
  const int c = static_cast<int>(code);
  request_seconds_[m]->Observe(absl::ToDoubleSeconds(duration));
  std::atomic<prometheus::Counter*>& slot = request_counters_[m][c];
  prometheus::Counter* counter = slot.load(std::memory_order_acquire);
  if (counter == nullptr) {
    counter = &requests_.Add({{"method", std::string(Name(method))},
                              {"code", absl::StatusCodeToString(code)}});
    slot.store(counter, std::memory_order_release);
  }
  counter->Increment();
}

void Metrics::OnFirstResult(absl::Duration since_arrival) {
  first_result_seconds_.Observe(absl::ToDoubleSeconds(since_arrival));
}

prometheus::Histogram& Metrics::EnergyHistogram(const std::string& model) {
  MutexLock lock(mu_);
  prometheus::Histogram*& histogram = energies_[model];
  if (histogram == nullptr) {
    histogram = &energy_.Add({{"model", model}}, EnergyBuckets());
  }
  return *histogram;
}

void Metrics::OnEnergies(const ModelInfo& model,
                         absl::Span<const double> energies) {
  const Buckets& bounds = EnergyBuckets();
  std::vector<double> counts(bounds.size() + 1, 0);
  double sum = 0;
  for (const double energy : energies) {
    if (!std::isfinite(energy)) continue;
    const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), energy);
    counts[static_cast<size_t>(bucket - bounds.begin())] += 1;
    sum += energy;
  }
  // Clients make up compositions; labels are bounded.
  EnergyHistogram(model.version == 0 ? "(composed)" : model.name)
      .ObserveMultiple(counts, sum);
}

void Metrics::OnQuantum(const Quantum& quantum) {
  quantum_seconds_.Observe(absl::ToDoubleSeconds(quantum.duration));
  tile_rows_.Observe(quantum.rows);
  const auto evaluations = static_cast<double>(quantum.row_evaluations);
  if (quantum.transition.empty()) {
    score_evaluations_.Increment(evaluations);
    return;
  }
  sample_evaluations_.Increment(evaluations);
  divergences_.Increment(static_cast<double>(quantum.divergences));
  for (const PerTransition& transition : transitions_) {
    if (transition.name != quantum.transition) continue;
    transition.chain_steps->Increment(static_cast<double>(quantum.chain_steps));
    transition.proposals->Increment(static_cast<double>(quantum.proposals));
    transition.accepts->Increment(static_cast<double>(quantum.accepts));
  }
}

void Metrics::OnFirstQuantum(absl::Duration queued) {
  queue_seconds_.Observe(absl::ToDoubleSeconds(queued));
}

void Metrics::OnRejected(std::string_view reason) {
  Increment(rejected_, reason);
}

void Metrics::OnCancelled(std::string_view where, int64_t wasted) {
  Increment(cancelled_, where);
  wasted_chain_steps_.Increment(static_cast<double>(wasted));
}

void Metrics::Increment(const std::vector<Labelled>& children,
                        std::string_view value) {
  for (const Labelled& child : children) {
    if (child.value == value || &child == &children.back()) {
      return child.counter->Increment();
    }
  }
}

}  // namespace basin
