#ifndef BASIN_TESTS_STATISTICAL_ENSEMBLE_COPY_H_
#define BASIN_TESTS_STATISTICAL_ENSEMBLE_COPY_H_

// A plain copy of what the scheduler does with chains that act together, in
// one tile and without pauses, to plant faults in: the weights of annealing
// paths from a uniform law, the resampling of a population, and the swaps of
// parallel tempering.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/backend/chain_tile_buffer.h"
#include "core/model/energy_model.h"
#include "core/sampler/transition.h"
#include "core/scheduler/annealing_path.h"
#include "core/scheduler/job.h"

namespace basin::testing {

enum class EnsembleFault {
  kNone,  // the copy itself: must pass
  // Of weights.
  kWeighedAfterMove,  // at the state that the new level has moved
  kMovedAtLastLevel,  // by the transition of the level before
  kOneSignFlipped,    // of the increment of the last level
  kLastLevelMissing,  // its increment
  // Of resampling.
  kWeightsKept,         // not made equal
  kMeanWeightMissing,   // not in ln Z
  kOffspringOfSquares,  // by the squared weights
  kOffspringShifted,    // of the next chain
  kEnergiesNotCopied,   // states alone are
  // Of swaps.
  kSwapSignFlipped,     // of the difference of energies
  kAlwaysSwapped,       // whatever the ratio
  kEnergiesNotSwapped,  // states alone are
  kStatesNotSwapped,    // energies alone are
  kColderLevelAlone,    // beta_k for beta_k - beta_(k+1)
};

class EnsembleCopy {
 public:
  // REQUIRES: a transition that carries energies alone; no base, no resumption
  // and no tuning; as many rows as a tile of the model has.
  EnsembleCopy(EnsembleFault fault, const SampleSpec& spec);

  // All transitions of the request; calls `on_step` after each, which may be
  // empty, with the tile and how many are done.
  using OnStep = std::function<void(const ChainTile& tile, int64_t done)>;
  void Run(const OnStep& on_step);

  // As in SampleResult, after Run().
  std::vector<float> LastStates() const;
  const std::vector<double>& log_weights() const { return log_weights_; }
  std::vector<double> IslandLogZ() const;

 private:
  bool Has(EnsembleFault fault) const { return fault_ == fault; }
  void SetCoefficients(int64_t done);
  void Move(int64_t done);
  // Chains enter a level.
  void Weigh(int64_t done);
  double Gain(int64_t done, int64_t row) const;
  void ResampleIslands(int64_t done);
  void Resample(int64_t done, int64_t island);
  void CopyRow(int64_t from, int64_t to);
  void SwapPairs(int64_t done);

  const EnsembleFault fault_;
  const SampleSpec& spec_;
  const Transition& transition_;
  const internal::AnnealingPath path_;
  const bool population_;
  const int64_t island_size_;
  Workspace workspace_;
  ChainTileBuffer buffer_;
  ChainTile tile_;
  std::unique_ptr<ModelFunction> function_;
  std::vector<double> log_weights_;  // [rows]
  std::vector<double> log_z_;        // [islands]
};

}  // namespace basin::testing

#endif  // BASIN_TESTS_STATISTICAL_ENSEMBLE_COPY_H_
