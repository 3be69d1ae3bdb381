#ifndef BASIN_CORE_MODEL_COMPOSITION_CACHE_H_
#define BASIN_CORE_MODEL_COMPOSITION_CACHE_H_

#include <list>
#include <memory>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>

#include "core/base/mutex.h"
#include "core/model/energy_model.h"
#include "core/model/repository.h"

namespace basin::internal {

// Composed models by key, the least recently used ones dropped first. Keeps no
// term alive: an entry is gone once one of its terms is. Thread-safe.
class CompositionCache {
 public:
  using Model = std::shared_ptr<const EnergyModel>;
  using Terms = std::vector<Model>;

  explicit CompositionCache(const CompositionLimits& limits)
      : limits_(limits) {}

  // Null if there is none that was made of just these terms.
  Model Find(const std::string& key, const Terms& terms);
  // What alone is above the limits is not kept.
  void Add(const std::string& key, const Terms& terms, const Model& model);
  // Forgets what was made of `term`, which is no longer served, or of models
  // that are gone.
  void DropThoseOf(const EnergyModel* term);

 private:
  struct Entry {
    std::string key;
    std::vector<std::weak_ptr<const EnergyModel>> terms;
    Model model;
  };
  using Entries = std::list<Entry>;  // the most recently used first

  const CompositionLimits limits_;
  Mutex mu_;
  Entries entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_COMPOSITION_CACHE_H_
