#ifndef BASIN_SERVER_LOAD_COLLECTOR_H_
#define BASIN_SERVER_LOAD_COLLECTOR_H_

#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include "core/model/repository.h"
#include "core/scheduler/scheduler.h"
#include "server/replay_registry.h"

namespace basin {

// Gauges that are read when Prometheus asks: rows, memory, models, replay
// buffers. Thread-safe. What it reads must outlive it.
class LoadCollector : public prometheus::Collectable {
 public:
  LoadCollector(const Scheduler& scheduler, const ModelRepository& repository,
                const ReplayRegistry& replay)
      : scheduler_(scheduler), repository_(repository), replay_(replay) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  void CollectModels(std::vector<prometheus::MetricFamily>& families) const;
  void CollectReplay(std::vector<prometheus::MetricFamily>& families) const;

  const Scheduler& scheduler_;
  const ModelRepository& repository_;
  const ReplayRegistry& replay_;
};

}  // namespace basin

#endif  // BASIN_SERVER_LOAD_COLLECTOR_H_
