#ifndef BASIN_CORE_MODEL_MODEL_PROBE_H_
#define BASIN_CORE_MODEL_MODEL_PROBE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/backend/backend.h"
#include "core/model/plan_set.h"

namespace basin::internal {

// What plans say of some states.
struct Evaluation {
  std::vector<float> energies;           // [n], of the plan without gradient
  std::vector<float> gradient_energies;  // [n], of the plan with gradient
  std::vector<float> gradients;          // [n, D]
};

// Evaluates plans on host states, for the checks at load. Not thread-safe.
class ModelProbe {
 public:
  // `backend` and `plans` must outlive the result.
  static absl::StatusOr<std::unique_ptr<ModelProbe>> Create(
      const Backend& backend, const TilePlans& plans, int64_t dimension);

  int rows() const { return plans_.rows; }
  int64_t dimension() const { return dimension_; }

  // Of states [n, D], evaluated rows() at a time; rows that are left over hold
  // zeros.
  absl::StatusOr<Evaluation> Evaluate(absl::Span<const float> states);

  // Seconds of one evaluation with gradient of all rows() as they are: the
  // least of a few.
  absl::StatusOr<double> MeasureSeconds();

 private:
  ModelProbe(const Backend& backend, const TilePlans& plans, int64_t dimension)
      : backend_(backend), plans_(plans), dimension_(dimension) {}

  absl::Status Allocate();
  absl::Status EvaluateTile(absl::Span<const float> states, Evaluation* result);

  float* x() { return reinterpret_cast<float*>(x_.get()); }
  float* energy() { return reinterpret_cast<float*>(energy_.get()); }
  float* gradient() { return reinterpret_cast<float*>(gradient_.get()); }

  const Backend& backend_;
  const TilePlans& plans_;
  const int64_t dimension_;
  Workspace workspace_;
  std::unique_ptr<EnergyFunction> function_;
  DeviceMemory x_;         // [rows, D]
  DeviceMemory energy_;    // [rows]
  DeviceMemory gradient_;  // [rows, D]
};

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_MODEL_PROBE_H_
