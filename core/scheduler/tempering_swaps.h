#ifndef BASIN_CORE_SCHEDULER_TEMPERING_SWAPS_H_
#define BASIN_CORE_SCHEDULER_TEMPERING_SWAPS_H_

#include <cstdint>
#include <vector>

#include "core/sampler/transition.h"
#include "core/scheduler/ensemble.h"
#include "core/scheduler/job.h"

namespace basin::internal {

// The swaps of parallel tempering: neighbouring replicas k and k + 1 of a
// chain exchange their states with probability
//
//   min(1, exp((beta_k - beta_(k+1)) (E_k - E_(k+1)))),
//
// even and odd pairs in turn (deterministic even-odd). Leaves the product of
// all replicas' laws invariant. During warm-up the ladder can be tuned to equal
// swap rates.
//
// Syed, Bouchard-Cote, Deligiannidis and Doucet, "Non-reversible parallel
// tempering", J. R. Statist. Soc. B 84(2), 2022 (arXiv 1905.02939).
class TemperingSwaps final : public Meeting {
 public:
  // Of `spec`, whose ladder is not empty. `transition` moves the replicas.
  TemperingSwaps(const SampleSpec& spec, const Transition& transition);

  int64_t NextAfter(int64_t done) const override;
  bool needs_energies() const override { return true; }
  void Hold(int64_t done, ChainRows& rows, MovingSettings& settings) override;

  // After warm-up: accepted swaps of replicas k and k + 1 over attempts; NaN
  // without any. [replicas - 1]
  std::vector<double> SwapRates() const;
  // States that have gone from the first replica to the last and back, after
  // warm-up.
  int64_t round_trips() const { return round_trips_; }

 private:
  struct Pair {
    int64_t attempts = 0;
    int64_t swaps = 0;
    double rejection_sum = 0;  // of 1 - min(1, ratio)
  };
  void SwapPairs(int64_t done, const MovingSettings& settings, ChainRows& rows);
  void FollowStates(int64_t chain);
  void Tune(MovingSettings& settings);

  const Transition& transition_;
  const uint64_t seed_;
  const int64_t first_step_;  // of the request, in the chains' life
  const int64_t warmup_;
  const int64_t swap_every_;
  const int64_t replicas_;
  const bool tunes_;
  std::vector<Pair> pairs_;  // since they were last reset
  int64_t next_tuning_ = 0;  // transitions
  bool warm_ = false;        // pairs_ count from the end of warm-up
  // Which of its chain's states a row holds, and where each state is on its
  // way through the ladder. [rows]
  enum class Trip : uint8_t {
    kNone,  // has not been at the first replica
    kOut,   // comes from there
    kBack,  // has been at the last one since
  };
  std::vector<int64_t> state_of_row_;
  std::vector<Trip> trips_;
  int64_t round_trips_ = 0;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_TEMPERING_SWAPS_H_
