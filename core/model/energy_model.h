#ifndef BASIN_CORE_MODEL_ENERGY_MODEL_H_
#define BASIN_CORE_MODEL_ENERGY_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/backend/backend.h"
#include "core/model/energy_function.h"
#include "core/model/model_info.h"

namespace basin {

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
  virtual std::unique_ptr<ModelFunction> Bind(int tile_rows,
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
