#ifndef BASIN_CORE_SCHEDULER_POPULATION_H_
#define BASIN_CORE_SCHEDULER_POPULATION_H_

#include <cstdint>
#include <vector>

#include "core/scheduler/annealing_path.h"
#include "core/scheduler/ensemble.h"
#include "core/scheduler/job.h"

namespace basin::internal {

// Sequential Monte Carlo along an annealing path: at each new level the chains
// gain weight (on paths with a base just after this meeting, when its energies
// are there), and where the effective sample size of an island's weights has
// fallen too low its chains are resampled in proportion to them (systematic
// resampling) and the weights made equal. Each island's estimate of Z is
// unbiased, up to the volume of t = 0.
//
// Del Moral, Doucet and Jasra, "Sequential Monte Carlo samplers", J. R.
// Statist. Soc. B 68(3), 2006.
class Population final : public Meeting {
 public:
  // `path` must outlive this object.
  Population(const SampleSpec& spec, const AnnealingPath& path);

  int64_t NextAfter(int64_t done) const override;
  bool needs_energies() const override { return true; }
  void Hold(int64_t done, ChainRows& rows, MovingSettings& settings) override;

  // The chains' weights, comparable between islands. [chains]
  std::vector<double> LogWeights(const ChainRows& rows) const;
  // ln Z of each island, less AnnealingOptions::log_volume. [islands]
  std::vector<double> LogZ(const ChainRows& rows) const;

 private:
  void Resample(int64_t done, int64_t island, ChainRows& rows);

  const AnnealingPath& path_;
  const uint64_t seed_;
  const double resample_below_;
  const int64_t island_size_;
  std::vector<double> log_z_;  // of the weights before they were made equal
  // Over how many chains the present weights are averaged: those that had not
  // ended when they were made equal.
  std::vector<int64_t> of_size_;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_POPULATION_H_
