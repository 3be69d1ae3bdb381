#include "core/scheduler/population.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <absl/types/span.h>

#include "core/backend/tile_ops.h"
#include "core/base/check.h"
#include "core/base/normal.h"
#include "core/base/philox.h"
#include "core/sampler/resampling.h"

namespace basin::internal {

Population::Population(const SampleSpec& spec, const AnnealingPath& path)
    : path_(path),
      seed_(spec.seed),
      resample_below_(spec.annealing.resample_below),
      island_size_(spec.chains / spec.annealing.islands),
      log_z_(spec.annealing.islands, 0),
      of_size_(spec.annealing.islands, island_size_) {}

int64_t Population::NextAfter(int64_t done) const {
  const int64_t next = path_.LevelAt(done) + 1;
  return next < path_.levels() ? path_.StartOf(next) : kNever;
}

void Population::Hold(int64_t done, ChainRows& rows,
                      MovingSettings& /*settings*/) {
  for (int64_t row = 0; row < rows.chains; ++row) {
    if (rows.ended[row] != 0) {
      rows.log_weights[row] = -std::numeric_limits<double>::infinity();
    } else if (!path_.has_base()) {
      rows.log_weights[row] += path_.LogWeightGain(done, rows.energies[row]);
    }
  }
  const auto islands = static_cast<int64_t>(log_z_.size());
  for (int64_t island = 0; island < islands; ++island) {
    const absl::Span<const double> weights =
        absl::MakeConstSpan(rows.log_weights)
            .subspan(island * island_size_, island_size_);
    if (WeightEss(weights) <
        resample_below_ * static_cast<double>(island_size_)) {
      Resample(done, island, rows);
    }
  }
}

void Population::Resample(int64_t done, int64_t island, ChainRows& rows) {
  std::vector<int64_t> alive;
  std::vector<double> weights;
  for (int64_t i = 0; i < island_size_; ++i) {
    const int64_t row = island * island_size_ + i;
    if (rows.ended[row] != 0) continue;
    alive.push_back(row);
    weights.push_back(rows.log_weights[row]);
  }
  const double sum = LogSumExp(weights);
  if (!std::isfinite(sum)) return;  // nobody is left
  log_z_[island] += sum - std::log(static_cast<double>(of_size_[island]));
  of_size_[island] = static_cast<int64_t>(alive.size());
  const PhiloxBlock draw =
      Philox(seed_, DrawCounter(0, island, done,
                                static_cast<uint8_t>(DrawPurpose::kResample)));
  const absl::StatusOr<Resampled> resampled =
      SystematicResample(weights, OpenUnitDouble(draw.word[0], draw.word[1]));
  BASIN_CHECK(resampled.ok());  // the sum of the weights is positive
  std::vector<int64_t> offspring(alive.size(), 0);
  for (const int64_t ancestor : resampled->ancestors) ++offspring[ancestor];
  // Whoever has offspring stays as the first of them; the others go where
  // there are none.
  size_t free = 0;
  for (size_t parent = 0; parent < alive.size(); ++parent) {
    for (int64_t copy = 1; copy < offspring[parent]; ++copy) {
      while (offspring[free] > 0) ++free;
      CopyRow(alive[parent], alive[free++], rows);
    }
    rows.log_weights[alive[parent]] = 0;
  }
}

std::vector<double> Population::LogWeights(const ChainRows& rows) const {
  std::vector<double> weights = rows.log_weights;
  for (size_t row = 0; row < weights.size(); ++row) {
    const size_t island = row / static_cast<size_t>(island_size_);
    weights[row] +=
        log_z_[island] + std::log(static_cast<double>(island_size_) /
                                  static_cast<double>(of_size_[island]));
  }
  return weights;
}

std::vector<double> Population::LogZ(const ChainRows& rows) const {
  std::vector<double> log_z = log_z_;
  for (size_t island = 0; island < log_z.size(); ++island) {
    const double sum =
        LogSumExp(absl::MakeConstSpan(rows.log_weights)
                      .subspan(island * island_size_, island_size_));
    log_z[island] += sum - std::log(static_cast<double>(of_size_[island]));
  }
  return log_z;
}

}  // namespace basin::internal
