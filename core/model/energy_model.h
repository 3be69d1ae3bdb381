#ifndef BASIN_CORE_MODEL_ENERGY_MODEL_H_
#define BASIN_CORE_MODEL_ENERGY_MODEL_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/backend/backend.h"
#include "core/model/energy_function.h"
#include "core/tensor/shape.h"

namespace basin {

// Bounds of every coordinate; infinite = none.
struct Box {
  float lower = -std::numeric_limits<float>::infinity();
  float upper = std::numeric_limits<float>::infinity();
};

// The law of chains that start from noise.
struct UniformLaw {
  float lower = 0;
  float upper = 1;
};
struct NormalLaw {
  float mean = 0;
  float stddev = 1;
};
using InitialLaw = std::variant<UniformLaw, NormalLaw>;

// Which transition a request gets that names none, and its parameters.
enum class TransitionKind { kUla, kMala, kRandomWalk, kIgebm, kJem };
struct TransitionParams {
  TransitionKind kind = TransitionKind::kUla;
  double step_size = 0;      // see core/model/model_config.proto; 0 = not set
  double noise_std = 0;      // kIgebm, kJem
  double gradient_clip = 0;  // kIgebm; 0 = none
};

enum class ReplayWritePolicy { kInPlace, kFifo };
enum class ReplayReadPolicy { kWithReplacement, kWithoutReplacement };
struct ReplayOptions {
  int64_t capacity = 0;  // states; 0 = the model has no replay buffer
  double restart_probability = 0;
  ReplayWritePolicy write_policy = ReplayWritePolicy::kInPlace;
  ReplayReadPolicy read_policy = ReplayReadPolicy::kWithReplacement;
};

// What is known of a model version; all of it constant.
struct ModelInfo {
  std::string name;
  int64_t version = 0;
  std::string family;  // "graph", "classifier"
  std::string input_name;
  Shape state_shape;      // of one state
  int64_t dimension = 0;  // D, its elements
  double uint8_scale = 0;
  Box domain;
  InitialLaw initial;
  int64_t default_steps = 100;
  bool has_default_transition = false;
  TransitionParams default_transition;
  ReplayOptions replay;
  int64_t max_chains = 0;              // 0 = the server's limit
  int64_t parameters = 0;              // weights in the file
  std::vector<std::string> operators;  // "Conv x4", as imported
};

// A trained energy on one device, for several row counts. Immutable after
// Load(); thread-safe.
class EnergyModel {
 public:
  struct LoadOptions {
    int64_t max_file_bytes = int64_t{2} << 30;
    size_t max_memory_bytes = size_t{8} << 30;  // weights and plans
    int max_tile_rows = 0;                      // 0 = chosen by cost
  };

  // Reads `folder`/config.pbtxt and `folder`/<version>/model.onnx, compiles
  // plans, and checks the model: energies and gradients finite, gradient
  // against finite differences on a few coordinates, rows independent of
  // their neighbours and of the row count, bit for bit. `backend` must outlive
  // the model. Errors say what is wrong and where.
  static absl::StatusOr<std::shared_ptr<const EnergyModel>> Load(
      const Backend& backend, const std::string& folder,
      const std::string& name, int64_t version, const LoadOptions& options);

  virtual ~EnergyModel() = default;

  const ModelInfo& info() const { return info_; }
  const Backend& backend() const { return backend_; }

  // The row counts that plans exist for, ascending.
  virtual absl::Span<const int> tile_sizes() const = 0;
  // Device and host bytes: weights, packed weights, plans.
  virtual size_t memory_bytes() const = 0;
  // Workspace that plans of tile_sizes() need at most, bytes.
  virtual size_t workspace_bytes() const = 0;
  // Measured once at load: seconds of one energy and gradient evaluation of a
  // tile of the largest size, one worker. For admission and quanta only.
  virtual double evaluation_seconds() const = 0;

  // The model for tiles of up to `tile_rows` rows, one of tile_sizes().
  // `workspace` must outlive the result and hold workspace_bytes(). The model
  // must outlive it too.
  virtual std::unique_ptr<EnergyFunction> Bind(int tile_rows,
                                               Workspace& workspace) const = 0;

 protected:
  EnergyModel(const Backend& backend, ModelInfo info)
      : backend_(backend), info_(std::move(info)) {}

 private:
  const Backend& backend_;
  const ModelInfo info_;
};

// The smallest of `tile_sizes` (ascending, not empty) that holds `rows`, or
// the largest.
int TileSizeFor(absl::Span<const int> tile_sizes, int64_t rows);

}  // namespace basin

#endif  // BASIN_CORE_MODEL_ENERGY_MODEL_H_
