#ifndef BASIN_CORE_MODEL_REPOSITORY_H_
#define BASIN_CORE_MODEL_REPOSITORY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "core/backend/backend.h"
#include "core/model/composition.h"
#include "core/model/energy_model.h"

namespace basin {

// The state of one model version:
//
//   kLoading -> kReady -> kUnloaded -> kLoading
//           \-> kFailed ------------/
//
// A ready version that is loaded again stays kReady, and is reported as such
// once more when the new instance takes over.
enum class ModelState { kLoading, kReady, kFailed, kUnloaded };

std::string_view Name(ModelState state);  // "LOADING", ...

struct ModelStatus {
  std::string name;
  int64_t version = 0;
  ModelState state = ModelState::kLoading;
  std::string reason;    // of kFailed
  bool serving = false;  // what version 0 means: the highest kReady version
  // Null unless kReady.
  std::shared_ptr<const EnergyModel> model;
};

// How many models that Compose() made are kept; the least recently used one
// goes first.
struct CompositionLimits {
  size_t max_models = 16;
  size_t max_bytes = size_t{1} << 30;  // of weights and plans
};

// The models of a folder: models/<name>/config.pbtxt and
// models/<name>/<version>/model.onnx. Loads one at a time; who holds a model's
// shared_ptr keeps it alive past its unloading. Thread-safe.
class ModelRepository {
 public:
  struct Options {
    std::string folder;
    EnergyModel::LoadOptions load;
    CompositionLimits compositions = {};
    // Called after every change of state, in order. May call Find() and
    // List(), but neither Load() nor Unload(): they wait for its return.
    std::function<void(const ModelStatus&)> on_change;
  };

  // NotFound if the folder does not exist. `backend` must outlive the result.
  static absl::StatusOr<std::unique_ptr<ModelRepository>> Create(
      const Backend& backend, Options options);
  virtual ~ModelRepository() = default;

  // Blocks while it loads the highest version of every model in the folder. A
  // model that fails disturbs nobody: its status says why.
  virtual void LoadAll() = 0;

  // Blocks. version 0 = the highest in the folder. Loads again if it is
  // already there; the old instance serves until the new one is ready.
  // InvalidArgument for a name that is not a plain folder name; NotFound;
  // otherwise why the model cannot be loaded.
  virtual absl::Status Load(const std::string& name, int64_t version) = 0;
  // Blocks while another model is loaded. version 0 = all. NotFound if it is
  // not loaded.
  virtual absl::Status Unload(const std::string& name, int64_t version) = 0;

  // The ready model. version 0 = the serving one. NotFound lists the names
  // there are; Unavailable while it loads; FailedPrecondition with the reason
  // if its loading failed.
  virtual absl::StatusOr<std::shared_ptr<const EnergyModel>> Find(
      const std::string& name, int64_t version) const = 0;

  // The model that `composition` describes, of the ready models it names.
  // Blocks while it is compiled and checked, unless the cache has it: that
  // holds a bounded number of compositions, and drops those whose terms are
  // loaded again or unloaded. Errors as Find() for each term; InvalidArgument
  // if terms do not fit together, saying in what; FailedPrecondition if a
  // term's files changed since it was loaded.
  virtual absl::StatusOr<std::shared_ptr<const EnergyModel>> Compose(
      const Composition& composition) = 0;

  // The same, but null where Compose() would have to compile. Does not block.
  virtual absl::StatusOr<std::shared_ptr<const EnergyModel>> FindComposed(
      const Composition& composition) = 0;

  // All versions known, by name and version.
  virtual std::vector<ModelStatus> List() const = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_MODEL_REPOSITORY_H_
