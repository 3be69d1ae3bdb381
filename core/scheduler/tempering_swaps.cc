#include "core/scheduler/tempering_swaps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "core/backend/tile_formulas.h"
#include "core/backend/tile_ops.h"
#include "core/base/philox.h"
#include "core/sampler/tempering.h"

namespace basin::internal {
namespace {

// The first tuning comes after this share of warm-up, each next one after half
// as much again: early swap rates are of chains that have not settled.
constexpr int64_t kFirstTuning = 16;

double RejectionOf(double log_ratio) {
  return std::isnan(log_ratio) ? 1 : -std::expm1(log_ratio);
}

}  // namespace

TemperingSwaps::TemperingSwaps(const SampleSpec& spec,
                               const Transition& transition)
    : transition_(transition),
      seed_(spec.seed),
      first_step_(spec.resume.steps),
      warmup_(spec.warmup),
      swap_every_(spec.tempering.swap_every),
      replicas_(spec.replicas()),
      tunes_(spec.tempering.tune_ladder),
      pairs_(replicas_ - 1),
      next_tuning_(std::max<int64_t>(1, warmup_ / kFirstTuning)),
      state_of_row_(spec.rows()),
      trips_(spec.rows(), Trip::kNone) {
  std::iota(state_of_row_.begin(), state_of_row_.end(), 0);
}

int64_t TemperingSwaps::NextAfter(int64_t done) const {
  const int64_t life = first_step_ + done;
  return (life / swap_every_ + 1) * swap_every_ - first_step_;
}

void TemperingSwaps::Hold(int64_t done, ChainRows& rows,
                          MovingSettings& settings) {
  if (!warm_ && done > warmup_) {
    warm_ = true;
    pairs_.assign(pairs_.size(), Pair{});
    round_trips_ = 0;
  }
  SwapPairs(done, settings, rows);
  if (tunes_ && done < warmup_ && done >= next_tuning_) {
    Tune(settings);
    next_tuning_ += (next_tuning_ + 1) / 2;
  }
}

void TemperingSwaps::SwapPairs(int64_t done, const MovingSettings& settings,
                               ChainRows& rows) {
  const auto step = static_cast<uint64_t>(first_step_ + done);
  const auto parity = static_cast<int64_t>(step / swap_every_ % 2);
  for (int64_t chain = 0; chain < rows.chains; ++chain) {
    for (int64_t k = parity; k + 1 < replicas_; k += 2) {
      const int64_t a = chain * replicas_ + k;
      if (rows.ended[a] != 0 || rows.ended[a + 1] != 0) continue;
      const double ratio =
          SwapLogRatio(settings.replicas[k].inverse_temperature,
                       settings.replicas[k + 1].inverse_temperature,
                       rows.energies[a], rows.energies[a + 1]);
      const PhiloxBlock draw =
          Philox(seed_, DrawCounter(static_cast<uint32_t>(k), chain, step,
                                    static_cast<uint8_t>(DrawPurpose::kSwap)));
      const bool swaps = LogOfAcceptDraw(draw) < ratio;
      Pair& pair = pairs_[k];
      ++pair.attempts;
      // Of a NaN too.
      pair.rejection_sum += ratio >= 0 ? 0 : RejectionOf(ratio);
      if (!swaps) continue;
      ++pair.swaps;
      SwapRows(a, a + 1, rows);
      std::swap(state_of_row_[a], state_of_row_[a + 1]);
    }
    FollowStates(chain);
  }
}

void TemperingSwaps::FollowStates(int64_t chain) {
  Trip& first = trips_[state_of_row_[chain * replicas_]];
  Trip& last = trips_[state_of_row_[(chain + 1) * replicas_ - 1]];
  if (first == Trip::kBack) ++round_trips_;
  first = Trip::kOut;
  if (last == Trip::kOut) last = Trip::kBack;
}

void TemperingSwaps::Tune(MovingSettings& settings) {
  std::vector<double> betas;
  for (const ReplicaSettings& replica : settings.replicas) {
    betas.push_back(replica.inverse_temperature);
  }
  std::vector<double> rejections;
  for (const Pair& pair : pairs_) {
    if (pair.attempts == 0) return;  // too early to tell
    rejections.push_back(pair.rejection_sum /
                         static_cast<double>(pair.attempts));
  }
  betas = TuneLadder(betas, rejections);
  for (size_t k = 0; k < betas.size(); ++k) {
    ReplicaSettings& replica = settings.replicas[k];
    const auto coefficients = transition_.Configure(replica.params, betas[k]);
    if (!coefficients.ok()) continue;  // outside what a float holds
    replica.inverse_temperature = betas[k];
    replica.coefficients = *coefficients;
  }
  pairs_.assign(pairs_.size(), Pair{});
}

std::vector<double> TemperingSwaps::SwapRates() const {
  std::vector<double> rates;
  for (const Pair& pair : pairs_) {
    rates.push_back(!warm_ || pair.attempts == 0
                        ? std::numeric_limits<double>::quiet_NaN()
                        : static_cast<double>(pair.swaps) /
                              static_cast<double>(pair.attempts));
  }
  return rates;
}

}  // namespace basin::internal
