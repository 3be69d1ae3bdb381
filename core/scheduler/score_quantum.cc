#include "core/scheduler/score_quantum.h"

#include <algorithm>

#include "core/base/status_macros.h"
#include "core/scheduler/score_job.h"

namespace basin::internal {
namespace {

ScoreJobImpl::Rows RowsOf(const Segment& segment) {
  return static_cast<ScoreJobImpl*>(segment.job)->RowsFrom(segment.range.begin);
}

}  // namespace

absl::Status RunScoreQuantum(ModelFunction& energy, TileMemory& memory,
                             Work* work, SchedulerObserver::Quantum* quantum) {
  const int64_t dimension = work->models.model->info().dimension;
  const size_t row_bytes = dimension * sizeof(float);
  const Backend& backend = memory.backend();
  const ChainTile& tile = memory.tile();
  for (const Segment& segment : work->segments) {
    backend.CopyToDevice(tile.position + segment.row * dimension,
                         RowsOf(segment).inputs,
                         segment.range.rows() * row_bytes);
  }
  const bool gradient = work->key.kind == WorkKind::kEnergyAndGradient;
  if (gradient) {
    BASIN_RETURN_IF_ERROR(energy.DecidingEnergyAndGradient(
        work->rows, tile.position, tile.energy, tile.grad_energy));
  } else {
    BASIN_RETURN_IF_ERROR(
        energy.Energy(work->rows, tile.position, tile.energy));
  }
  const bool classes = std::any_of(
      work->segments.begin(), work->segments.end(), [](const Segment& segment) {
        return RowsOf(segment).class_energies != nullptr;
      });
  if (classes) {
    BASIN_RETURN_IF_ERROR(energy.ClassEnergies(work->rows, tile.position,
                                               memory.class_energies()));
    quantum->row_evaluations += work->rows;
  }
  for (const Segment& segment : work->segments) {
    const ScoreJobImpl::Rows to = RowsOf(segment);
    const int64_t rows = segment.range.rows();
    backend.CopyToHost(to.energies, tile.energy + segment.row,
                       rows * sizeof(double));
    if (to.class_energies != nullptr) {
      const int64_t k = work->models.model->info().classes;
      backend.CopyToHost(to.class_energies,
                         memory.class_energies() + segment.row * k,
                         rows * k * sizeof(double));
    }
    if (!gradient) continue;
    backend.CopyToHost(to.grad_energies,
                       tile.grad_energy + segment.row * dimension,
                       rows * row_bytes);
  }
  quantum->row_evaluations += work->rows;
  return absl::OkStatus();
}

}  // namespace basin::internal
