#ifndef BASIN_CORE_SCHEDULER_SAMPLE_QUANTUM_H_
#define BASIN_CORE_SCHEDULER_SAMPLE_QUANTUM_H_

#include <cstdint>
#include <vector>

#include <absl/status/status.h>

#include "core/model/energy_function.h"
#include "core/sampler/transition.h"
#include "core/scheduler/interrupt.h"
#include "core/scheduler/path_energy.h"
#include "core/scheduler/run_queue.h"
#include "core/scheduler/sample_job.h"
#include "core/scheduler/scheduler.h"
#include "core/scheduler/tile_memory.h"

namespace basin::internal {

// Moves the chains of a tile for one quantum. Whatever it computes for one
// job's chains is the same whoever shares the tile: each evaluation writes to
// memory that other jobs' chains do not carry on, and every check of a chain
// looks at values that its own request asked for. Not thread-safe; owned by
// its worker, and used again so that it allocates nothing in a steady state.
class SampleQuantum {
 public:
  // What the tile of `work` needs.
  static ChainTileBuffer::Parts PartsOf(const Work& work);

  // What a tile evaluates.
  struct Functions {
    EnergyFunction* energy = nullptr;
    EnergyFunction* surrogate = nullptr;   // see EnergyFunction; or null
    EnergyFunction* base = nullptr;        // see PathEnergy; or null
    const Interrupt* interrupt = nullptr;  // or null, for never
  };

  // Runs `work` and stores what came of it in its jobs and in
  // work->remaining. Adds its counts to `quantum`. On an error the jobs keep
  // their states from before.
  absl::Status Run(const Functions& functions, TileMemory& memory, Work* work,
                   SchedulerObserver::Quantum* quantum);

 private:
  // Neighbouring chains of one job in the tile.
  struct Group {
    SampleJobImpl* job = nullptr;
    RowRange range;
    int row = 0;  // of the first chain
    ChainTally tally;

    int last_row() const { return row + static_cast<int>(range.rows()); }
  };
  // Where the values of the tile's present states are, device memory.
  struct Values {
    const double* energies = nullptr;      // [B]
    const float* grad_energies = nullptr;  // [B, D] or null
  };

  void Prepare(TileMemory& memory, Work* work);
  void Gather();
  void FillLimits(const Group& group, int row);
  void SetCoefficients(int64_t step);
  void Weigh(int64_t step);
  std::vector<double> EnergiesToWeigh(const Group& group);
  absl::Status FirstEnergies(EnergyFunction& energy);
  absl::Status FirstValues(EnergyFunction& energy);
  void UploadCarried();
  absl::Status Advance(EnergyFunction& energy, int64_t step);
  void CountProposals(Group& group, int64_t done);
  void AddAcceptance(const Group& group);
  void DownloadFlags(const uint8_t* from);
  void FindFinite(const float* x, const double* energies);
  void EndIfNotFinite(const Group& group, int64_t done);
  absl::Status KeepStates(EnergyFunction& energy, int64_t step);
  absl::Status Evaluate(EnergyFunction& energy, bool gradients, Values* values);
  void Store(Group& group, int64_t done, const Values& values);
  void Scatter(Work* work);
  void ScatterGroup(Group& group, Work* work);
  void Report(Group& group, Work* work);
  bool IsDue(const Group& group, int64_t step) const;
  bool carries_values() const {
    return transition_->carried() != Carried::kNothing;
  }

  // Of the quantum that runs.
  TileMemory* memory_ = nullptr;
  const Transition* transition_ = nullptr;
  int64_t dimension_ = 0;
  int64_t steps_ = 0;
  PathEnergy path_;  // used if key.has_base
  std::vector<Group> groups_;
  // By row: the steps after which the chain was not finite; kAlive.
  static constexpr int64_t kAlive = -1;
  std::vector<int64_t> ended_at_;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_SAMPLE_QUANTUM_H_
