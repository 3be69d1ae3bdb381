#include "core/scheduler/trace_recorder.h"

#include <algorithm>
#include <utility>

namespace basin::internal {
namespace {

constexpr int64_t kMaxBytes = int64_t{64} << 20;
constexpr int64_t kMaxCoordinates = 15;
constexpr int64_t kMinDraws = 4;  // as Diagnose() needs

int64_t Quantities(int64_t chains, int64_t draws, int64_t dimension) {
  if (draws < kMinDraws) return 0;
  const int64_t max_values = kMaxBytes / int64_t{sizeof(float)};
  if (chains > max_values / draws) return 0;
  return std::min(max_values / (chains * draws),
                  1 + std::min(dimension, kMaxCoordinates));
}

}  // namespace

TraceRecorder::TraceRecorder(int64_t chains, int64_t draws, int64_t dimension)
    : chains_(chains),
      draws_(draws),
      dimension_(dimension),
      quantities_(Quantities(chains, draws, dimension)),
      values_(quantities_ == 0 ? 0 : chains * draws * quantities_) {}

int64_t TraceRecorder::Bytes(int64_t chains, int64_t draws, int64_t dimension) {
  const int64_t quantities = Quantities(chains, draws, dimension);
  if (quantities == 0) return 0;
  return chains * draws * quantities * int64_t{sizeof(float)};
}

void TraceRecorder::Record(int64_t chain, int64_t draw, double energy,
                           const float* state) {
  if (quantities_ == 0) return;
  float* to = values_.data() + (chain * draws_ + draw) * quantities_;
  to[0] = static_cast<float>(energy);
  const int64_t coordinates = quantities_ - 1;
  for (int64_t q = 0; q < coordinates; ++q) {
    to[1 + q] = state[q * dimension_ / coordinates];
  }
}

ChainTraces TraceRecorder::Take(int64_t draws,
                                absl::Span<const int64_t> excluded) {
  ChainTraces traces;
  const int64_t chains = chains_ - static_cast<int64_t>(excluded.size());
  if (quantities_ == 0 || draws < kMinDraws || chains == 0) return traces;
  traces.chains = chains;
  traces.draws = draws;
  traces.quantities = quantities_;
  const auto* next_excluded = excluded.begin();
  auto to = values_.begin();
  for (int64_t chain = 0; chain < chains_; ++chain) {
    if (next_excluded != excluded.end() && *next_excluded == chain) {
      ++next_excluded;
      continue;
    }
    const auto from = values_.begin() + chain * draws_ * quantities_;
    if (from != to) std::copy(from, from + draws * quantities_, to);
    to += draws * quantities_;
  }
  values_.erase(to, values_.end());
  traces.values = std::move(values_);
  return traces;
}

}  // namespace basin::internal
