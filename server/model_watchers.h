#ifndef BASIN_SERVER_MODEL_WATCHERS_H_
#define BASIN_SERVER_MODEL_WATCHERS_H_

#include <memory>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>

#include "core/base/mutex.h"
#include "core/model/repository.h"

namespace basin {

// Told of every change of a model version's state. Calls come from any
// thread and must be quick.
class ModelWatcher {
 public:
  virtual ~ModelWatcher() = default;
  virtual void OnChange(const ModelStatus& status) = 0;
  // No more changes will come.
  virtual void OnClose(const absl::Status& why) = 0;
};

// Passes changes on to those who watch. Thread-safe.
class ModelWatchers {
 public:
  // Kept weakly. Calls OnClose() at once after Close().
  void Add(const std::shared_ptr<ModelWatcher>& watcher);
  void Notify(const ModelStatus& status);
  // Ends all watching, now and later, with `why`.
  void Close(const absl::Status& why);

 private:
  // Those alive; drops the others.
  std::vector<std::shared_ptr<ModelWatcher>> Alive();

  Mutex mu_;
  std::vector<std::weak_ptr<ModelWatcher>> watchers_ ABSL_GUARDED_BY(mu_);
  absl::Status closed_ ABSL_GUARDED_BY(mu_);
};

}  // namespace basin

#endif  // BASIN_SERVER_MODEL_WATCHERS_H_
