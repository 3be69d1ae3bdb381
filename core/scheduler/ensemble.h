#ifndef BASIN_CORE_SCHEDULER_ENSEMBLE_H_
#define BASIN_CORE_SCHEDULER_ENSEMBLE_H_

// What the chains of one request do together, between transitions: tuning,
// swaps, resampling, the decision to stop. Chains meet for it: none goes on
// until all have come to the same step. What a meeting does is a function of
// the chains' rows and of counts of steps alone, so it is the same whoever
// shared their tiles and whatever thread it runs on.

#include <cstdint>
#include <limits>
#include <vector>

#include "core/backend/chain_tile.h"
#include "core/model/model_info.h"
#include "core/sampler/transition.h"
#include "core/scheduler/job.h"

namespace basin::internal {

// The rows of a request on the host: row chain * replicas + k is replica k of
// a chain. Not thread-safe: see RowJob.
struct ChainRows {
  int64_t chains = 0;
  int64_t replicas = 1;
  int64_t dimension = 0;  // D

  std::vector<float> states;         // [rows, D]
  std::vector<double> energies;      // [rows], NaN where not known
  std::vector<float> grad_energies;  // [rows, D], or empty
  std::vector<float> momenta;        // [rows, D], or empty
  std::vector<double> log_weights;   // [rows], or empty
  std::vector<uint8_t> ended;        // [rows], 1 = diverged
  // Since the last meeting, over transitions that propose.
  std::vector<double> acceptance_sum;  // [rows], of min(1, exp(log_ratio))
  std::vector<int64_t> proposals;      // [rows]
  // After warm-up.
  std::vector<int64_t> kept_accepts;    // [rows]
  std::vector<int64_t> kept_proposals;  // [rows]

  int64_t rows() const { return chains * replicas; }
};

// Whether the chains of `spec` anneal, with weights of this kind.
bool Anneals(const SampleSpec& spec, AnnealingOptions::Weights weights);

// The rows of a checked request before its first transition; moves out of
// `spec` what becomes of them.
ChainRows MakeRows(SampleSpec& spec, const Transition& transition);

// Exchanges the states of two rows, and what is carried with them.
void SwapRows(int64_t a, int64_t b, ChainRows& rows);
// Row `to` becomes a copy of row `from` in the same.
void CopyRow(int64_t from, int64_t to, ChainRows& rows);

// What the rows of replica k move by.
struct ReplicaSettings {
  double inverse_temperature = 1;
  TransitionParams params;
  ChainCoefficients coefficients;  // of the two
};

// What a meeting may change, besides rows.
struct MovingSettings {
  std::vector<ReplicaSettings> replicas;
  std::vector<float> scale;  // [D], or empty
  bool stop = false;         // end the request here
  // Of the kept states, when they were last looked at; NaN before.
  double max_rhat = std::numeric_limits<double>::quiet_NaN();
  double min_ess = std::numeric_limits<double>::quiet_NaN();  // bulk and tail
};

// What the replicas of a checked request begin with.
MovingSettings MakeSettings(const SampleSpec& spec,
                            const Transition& transition);

// One reason to meet. Not thread-safe.
class Meeting {
 public:
  static constexpr int64_t kNever = INT64_MAX;

  virtual ~Meeting() = default;

  // The first transition count after `done`, of the request and its warm-up,
  // at which all chains must be before any goes on; kNever.
  virtual int64_t NextAfter(int64_t done) const = 0;

  // Whether Hold() reads energies, so that rows must know them.
  virtual bool needs_energies() const { return false; }

  // REQUIRES: all rows that have not ended have made `done` transitions.
  virtual void Hold(int64_t done, ChainRows& rows,
                    MovingSettings& settings) = 0;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_ENSEMBLE_H_
