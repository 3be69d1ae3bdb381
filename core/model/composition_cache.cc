#include "core/model/composition_cache.h"

#include <algorithm>

namespace basin::internal {

CompositionCache::Model CompositionCache::Find(const std::string& key,
                                               const Terms& terms) {
  const auto is_wanted = [&](const Entry& entry) {
    return entry.key == key &&
           std::equal(entry.terms.begin(), entry.terms.end(), terms.begin(),
                      terms.end(), [](const auto& known, const Model& term) {
                        return known.lock() == term;
                      });
  };
  MutexLock lock(mu_);
  const auto found = std::find_if(entries_.begin(), entries_.end(), is_wanted);
  if (found == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found);
  return found->model;
}

void CompositionCache::Add(const std::string& key, const Terms& terms,
                           const Model& model) {
  if (model->memory_bytes() > limits_.max_bytes || limits_.max_models == 0) {
    return;
  }
  Entries dropped;  // models are freed outside of the lock
  MutexLock lock(mu_);
  entries_.push_front({key, {terms.begin(), terms.end()}, model});
  size_t bytes = 0;
  size_t count = 0;
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto next = std::next(it);
    bytes += it->model->memory_bytes();
    const bool replaced = it != entries_.begin() && it->key == key;
    if (replaced || bytes > limits_.max_bytes || count == limits_.max_models) {
      bytes -= it->model->memory_bytes();
      dropped.splice(dropped.begin(), entries_, it);
    } else {
      ++count;
    }
    it = next;
  }
}

void CompositionCache::DropThoseOf(const EnergyModel* term) {
  const auto is_stale = [term](const std::weak_ptr<const EnergyModel>& known) {
    const Model held = known.lock();
    return held == nullptr || held.get() == term;
  };
  Entries dropped;  // as in Add()
  MutexLock lock(mu_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto next = std::next(it);
    if (std::any_of(it->terms.begin(), it->terms.end(), is_stale)) {
      dropped.splice(dropped.begin(), entries_, it);
    }
    it = next;
  }
}

}  // namespace basin::internal
