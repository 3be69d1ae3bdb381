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

// What plans say of some points.
struct Evaluation {
  std::vector<double> energies;           // [n], of the plan without gradient
  std::vector<double> gradient_energies;  // [n], of the plan with gradient
  std::vector<float> gradients;           // [n, D]
  std::vector<double> class_energies;     // [n, K]
  std::vector<float> laws;                // [n, L], parameters of all blocks
};

// The sizes of one row.
struct RowSizes {
  size_t dimension = 0;  // D
  size_t context = 0;    // C
  size_t classes = 0;    // K
  size_t laws = 0;       // L

  // A point is a state and its context, D + C floats.
  size_t point() const { return dimension + context; }
};
RowSizes SizesOf(const ModelInfo& info);

// Evaluates plans on host points, for the checks at load. Not thread-safe.
class ModelProbe {
 public:
  // `backend` and `plans` must outlive the result.
  static absl::StatusOr<std::unique_ptr<ModelProbe>> Create(
      const Backend& backend, const TilePlans& plans, const RowSizes& sizes);

  int rows() const { return plans_.rows; }
  const RowSizes& sizes() const { return sizes_; }

  // Of points [n, D + C], evaluated rows() at a time; rows that are left over
  // hold zeros.
  absl::StatusOr<Evaluation> Evaluate(absl::Span<const float> points);

  // Seconds of one evaluation with gradient of all rows() as they are: the
  // least of a few.
  absl::StatusOr<double> MeasureSeconds();

 private:
  ModelProbe(const Backend& backend, const TilePlans& plans,
             const RowSizes& sizes)
      : backend_(backend), plans_(plans), sizes_(sizes) {
    sizes_.laws = LawsOf(plans);
  }
  static size_t LawsOf(const TilePlans& plans);

  absl::Status Allocate();
  absl::Status EvaluateTile(absl::Span<const float> points, Evaluation* result);
  absl::Status EvaluateLaws(int rows, Evaluation* result);
  absl::Status EvaluateLaw(int rows, const BlockLaw& law, size_t offset,
                           Evaluation* result);
  void Upload(absl::Span<const float> points);
  template <typename T>
  void Download(const DeviceMemory& from, size_t count,
                std::vector<T>* to) const;

  float* x() { return reinterpret_cast<float*>(x_.get()); }
  double* energy() { return reinterpret_cast<double*>(energy_.get()); }
  float* gradient() { return reinterpret_cast<float*>(gradient_.get()); }

  const Backend& backend_;
  const TilePlans& plans_;
  RowSizes sizes_;
  Workspace workspace_;
  std::unique_ptr<ModelFunction> function_;
  DeviceMemory x_;         // [rows, D]
  DeviceMemory energy_;    // [rows]
  DeviceMemory gradient_;  // [rows, D]
  DeviceMemory context_;   // [rows, C]
  DeviceMemory classes_;   // [rows, K], doubles
};

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_MODEL_PROBE_H_
