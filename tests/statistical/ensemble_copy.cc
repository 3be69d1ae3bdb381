#include "tests/statistical/ensemble_copy.h"

#include <algorithm>
#include <cmath>

#include "core/backend/tile_formulas.h"
#include "core/backend/tile_ops.h"
#include "core/base/check.h"
#include "core/base/normal.h"
#include "core/base/philox.h"
#include "core/sampler/resampling.h"
#include "core/sampler/tempering.h"
#include "core/scheduler/ensemble.h"

namespace basin::testing {

EnsembleCopy::EnsembleCopy(EnsembleFault fault, const SampleSpec& spec)
    : fault_(fault),
      spec_(spec),
      transition_(GetTransition(spec.transition.kind)),
      path_(spec),
      population_(
          internal::Anneals(spec, AnnealingOptions::Weights::kPopulation)),
      island_size_(spec.chains / spec.annealing.islands),
      buffer_(spec.model->backend()),
      log_weights_(spec.rows(), 0),
      log_z_(spec.annealing.islands, 0) {
  BASIN_CHECK(transition_.carried() == Carried::kEnergy);
  const EnergyModel& model = *spec.model;
  BASIN_CHECK(
      model.backend().Reserve(workspace_, model.workspace_bytes()).ok());
  const auto rows = static_cast<int>(spec.rows());
  function_ = model.Bind(TileSizeFor(model.tile_sizes(), rows), workspace_);
  tile_ = buffer_
              .Shape(rows, TileSizeFor(model.tile_sizes(), rows),
                     model.info().dimension, {})
              .value();
  tile_.classes = model.info().domain.classes;
  std::copy(spec.initial.begin(), spec.initial.end(), tile_.position);
  for (int row = 0; row < rows; ++row) {
    tile_.seed[row] = spec.seed;
    tile_.chain[row] = row;
    tile_.step[row] = 0;
    tile_.lower[row] = spec.box.lower;
    tile_.upper[row] = spec.box.upper;
  }
  BASIN_CHECK(function_->Energy(rows, tile_.position, tile_.energy).ok());
}

void EnsembleCopy::Run(const OnStep& on_step) {
  for (int64_t done = 0; done < spec_.warmup + spec_.steps; ++done) {
    // A population meets where the level before has ended.
    const bool weighs = path_.GainsWeight(done);
    const bool late = Has(EnsembleFault::kWeighedAfterMove);
    if (weighs && !late) Weigh(done);
    if (weighs && !late && population_ && done > 0) ResampleIslands(done);
    SetCoefficients(done);
    Move(done);
    if (weighs && late) Weigh(done);
    if (weighs && late && population_ && done > 0) ResampleIslands(done);
    if (spec_.replicas() > 1) SwapPairs(done + 1);
    if (on_step) on_step(tile_, done + 1);
  }
}

void EnsembleCopy::SetCoefficients(int64_t done) {
  int64_t level = path_.LevelAt(done);
  if (Has(EnsembleFault::kMovedAtLastLevel)) {
    level = std::max<int64_t>(level - 1, 0);
  }
  for (int row = 0; row < tile_.rows; ++row) {
    const double factor = spec_.tempering.ladder.empty()
                              ? path_.t(level)
                              : spec_.tempering.ladder[row % spec_.replicas()];
    tile_.coefficients[row] =
        transition_
            .Configure(spec_.transition, spec_.inverse_temperature * factor)
            .value();
  }
}

void EnsembleCopy::Move(int64_t done) {
  BASIN_CHECK(
      transition_.Step(*function_, spec_.model->backend().tile_ops(), tile_)
          .ok());
  std::fill_n(tile_.step, tile_.rows, static_cast<uint64_t>(done + 1));
}

void EnsembleCopy::Weigh(int64_t done) {
  for (int row = 0; row < tile_.rows; ++row)
    log_weights_[row] += Gain(done, row);
}

double EnsembleCopy::Gain(int64_t done, int64_t row) const {
  const double gain = path_.LogWeightGain(done, tile_.energy[row]);
  if (path_.LevelAt(done) + 1 < path_.levels()) return gain;
  if (Has(EnsembleFault::kOneSignFlipped)) return -gain;
  return Has(EnsembleFault::kLastLevelMissing) ? 0 : gain;
}

void EnsembleCopy::ResampleIslands(int64_t done) {
  for (size_t island = 0; island < log_z_.size(); ++island) {
    const absl::Span<const double> weights =
        absl::MakeConstSpan(log_weights_)
            .subspan(island * island_size_, island_size_);
    if (WeightEss(weights) <
        spec_.annealing.resample_below * static_cast<double>(island_size_)) {
      Resample(done, static_cast<int64_t>(island));
    }
  }
}

void EnsembleCopy::Resample(int64_t done, int64_t island) {
  const int64_t first = island * island_size_;
  std::vector<double> weights(log_weights_.begin() + first,
                              log_weights_.begin() + first + island_size_);
  if (!Has(EnsembleFault::kMeanWeightMissing)) {
    log_z_[island] += LogMeanExp(weights);
  }
  if (Has(EnsembleFault::kOffspringOfSquares)) {
    for (double& weight : weights) weight *= 2;
  }
  const PhiloxBlock draw = Philox(
      spec_.seed, DrawCounter(0, island, done,
                              static_cast<uint8_t>(DrawPurpose::kResample)));
  const Resampled resampled =
      SystematicResample(weights, OpenUnitDouble(draw.word[0], draw.word[1]))
          .value();
  std::vector<int64_t> offspring(island_size_, 0);
  const int64_t shift = Has(EnsembleFault::kOffspringShifted) ? 1 : 0;
  for (const int64_t ancestor : resampled.ancestors) {
    ++offspring[(ancestor + shift) % island_size_];
  }
  size_t free = 0;
  for (int64_t parent = 0; parent < island_size_; ++parent) {
    for (int64_t copy = 1; copy < offspring[parent]; ++copy) {
      while (offspring[free] > 0) ++free;
      CopyRow(first + parent, first + static_cast<int64_t>(free++));
    }
  }
  if (Has(EnsembleFault::kWeightsKept)) return;
  std::fill_n(log_weights_.begin() + first, island_size_, 0);
}

void EnsembleCopy::CopyRow(int64_t from, int64_t to) {
  const int64_t d = tile_.dimension;
  std::copy_n(tile_.position + from * d, d, tile_.position + to * d);
  log_weights_[to] = log_weights_[from];
  if (Has(EnsembleFault::kEnergiesNotCopied)) return;
  tile_.energy[to] = tile_.energy[from];
}

void EnsembleCopy::SwapPairs(int64_t done) {
  const std::vector<double>& ladder = spec_.tempering.ladder;
  const int64_t replicas = spec_.replicas();
  const int64_t every = spec_.tempering.swap_every;
  if (done % every != 0) return;
  const int64_t d = tile_.dimension;
  for (int64_t chain = 0; chain < spec_.chains; ++chain) {
    for (int64_t k = done / every % 2; k + 1 < replicas; k += 2) {
      const int64_t a = chain * replicas + k;
      const double hot =
          Has(EnsembleFault::kColderLevelAlone) ? 0 : ladder[k + 1];
      double ratio = SwapLogRatio(spec_.inverse_temperature * ladder[k],
                                  spec_.inverse_temperature * hot,
                                  tile_.energy[a], tile_.energy[a + 1]);
      if (Has(EnsembleFault::kSwapSignFlipped)) ratio = -ratio;
      const PhiloxBlock draw = Philox(
          spec_.seed, DrawCounter(static_cast<uint32_t>(k), chain, done,
                                  static_cast<uint8_t>(DrawPurpose::kSwap)));
      if (LogOfAcceptDraw(draw) >= ratio &&
          !Has(EnsembleFault::kAlwaysSwapped)) {
        continue;
      }
      float* const x = tile_.position + a * d;
      if (!Has(EnsembleFault::kStatesNotSwapped)) {
        std::swap_ranges(x, x + d, x + d);
      }
      if (!Has(EnsembleFault::kEnergiesNotSwapped)) {
        std::swap(tile_.energy[a], tile_.energy[a + 1]);
      }
    }
  }
}

std::vector<float> EnsembleCopy::LastStates() const {
  return {tile_.position, tile_.position + tile_.rows * tile_.dimension};
}

std::vector<double> EnsembleCopy::IslandLogZ() const {
  std::vector<double> log_z = log_z_;
  for (size_t island = 0; island < log_z.size(); ++island) {
    log_z[island] +=
        LogMeanExp(absl::MakeConstSpan(log_weights_)
                       .subspan(island * island_size_, island_size_));
  }
  return log_z;
}

}  // namespace basin::testing
