#include "server/load_collector.h"

#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

namespace basin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily Family(std::string name, std::string help,
                    MetricType type = MetricType::Gauge) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  return family;
}

void Add(MetricFamily& family, Labels labels, double value) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  metric.gauge.value = value;
  metric.counter.value = value;
}

MetricFamily Single(std::string name, std::string help, double value) {
  MetricFamily family = Family(std::move(name), std::move(help));
  Add(family, {}, value);
  return family;
}

Labels ModelLabels(const std::string& model, int64_t version) {
  return {{"model", model}, {"version", absl::StrCat(version)}};
}

}  // namespace

std::vector<MetricFamily> LoadCollector::Collect() const {
  std::vector<MetricFamily> families;
  const SchedulerLoad load = scheduler_.Load();
  families.push_back(Single("basin_rows_ready",
                            "Chains and inputs that wait for a worker",
                            static_cast<double>(load.rows_ready)));
  families.push_back(Single("basin_rows_running",
                            "Chains and inputs that are on a worker",
                            static_cast<double>(load.rows_running)));
  CollectModels(families);
  CollectReplay(families);
  Add(families.back(), {{"kind", "jobs"}}, static_cast<double>(load.bytes));
  return families;
}

void LoadCollector::CollectModels(std::vector<MetricFamily>& families) const {
  constexpr ModelState kStates[] = {ModelState::kLoading, ModelState::kReady,
                                    ModelState::kFailed, ModelState::kUnloaded};
  MetricFamily state =
      Family("basin_model_state", "1 for the state that the version is in");
  for (const ModelStatus& status : repository_.List()) {
    for (const ModelState candidate : kStates) {
      Labels labels = ModelLabels(status.name, status.version);
      labels.push_back({"state", std::string(Name(candidate))});
      Add(state, std::move(labels), status.state == candidate ? 1 : 0);
    }
  }
  families.push_back(std::move(state));
}

void LoadCollector::CollectReplay(std::vector<MetricFamily>& families) const {
  MetricFamily rows = Family("basin_replay_rows", "States in replay buffers");
  MetricFamily age = Family("basin_replay_age_seconds",
                            "Mean time since the states were last written");
  MetricFamily restarts =
      Family("basin_replay_restarts_total", "Replay draws that started afresh",
             MetricType::Counter);
  MetricFamily torn =
      Family("basin_replay_torn_slots_total",
             "States dropped when a store was opened", MetricType::Counter);
  double replay_bytes = 0;
  for (const ReplayRegistry::Entry& entry : replay_.List()) {
    const ReplayStats stats = entry.buffer->Stats();
    const Labels labels = ModelLabels(entry.model, entry.version);
    Add(rows, labels, static_cast<double>(stats.size));
    Add(age, labels, absl::ToDoubleSeconds(stats.mean_age));
    Add(restarts, labels, static_cast<double>(stats.restarts));
    Add(torn, labels, static_cast<double>(stats.torn_slots));
    replay_bytes += static_cast<double>(stats.bytes);
  }
  double model_bytes = 0;
  for (const ModelStatus& status : repository_.List()) {
    if (status.model == nullptr) continue;
    model_bytes += static_cast<double>(status.model->memory_bytes());
  }
  MetricFamily memory = Family("basin_memory_bytes", "Memory held, by what");
  Add(memory, {{"kind", "models"}}, model_bytes);
  Add(memory, {{"kind", "replay"}}, replay_bytes);
  for (MetricFamily* family : {&rows, &age, &restarts, &torn, &memory}) {
    families.push_back(std::move(*family));
  }
}

}  // namespace basin
