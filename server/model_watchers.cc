#include "server/model_watchers.h"

#include <utility>

namespace basin {

void ModelWatchers::Add(const std::shared_ptr<ModelWatcher>& watcher) {
  absl::Status closed;
  {
    MutexLock lock(mu_);
    // There may be no change for long, and what has expired keeps its memory.
    std::erase_if(watchers_, [](const auto& weak) { return weak.expired(); });
    watchers_.push_back(watcher);
    closed = closed_;
  }
  if (!closed.ok()) watcher->OnClose(closed);
}

void ModelWatchers::Notify(const ModelStatus& status) {
  for (const auto& watcher : Alive()) watcher->OnChange(status);
}

void ModelWatchers::Close(const absl::Status& why) {
  {
    MutexLock lock(mu_);
    closed_ = why;
  }
  for (const auto& watcher : Alive()) watcher->OnClose(why);
}

std::vector<std::shared_ptr<ModelWatcher>> ModelWatchers::Alive() {
  std::vector<std::shared_ptr<ModelWatcher>> alive;
  std::vector<std::weak_ptr<ModelWatcher>> kept;
  MutexLock lock(mu_);
  for (std::weak_ptr<ModelWatcher>& weak : watchers_) {
    if (auto watcher = weak.lock()) {
      alive.push_back(std::move(watcher));
      kept.push_back(std::move(weak));
    }
  }
  watchers_ = std::move(kept);
  return alive;
}

}  // namespace basin
