#include "core/scheduler/trace_recorder.h"

#include <algorithm>

namespace basin::internal {
namespace {

constexpr int64_t kMaxCoordinates = 15;
constexpr int64_t kMinDraws = 4;  // as Diagnose() needs
// Rather fewer quantities than fewer draws of each chain.
constexpr int64_t kGoodDraws = 512;

}  // namespace

TraceRecorder::Size TraceRecorder::SizeOf(int64_t chains, int64_t draws,
                                          int64_t dimension,
                                          int64_t max_bytes) {
  Size size;
  const int64_t values = max_bytes / int64_t{sizeof(float)} / chains;
  if (draws < kMinDraws || values < 2 * kMinDraws) return size;
  const int64_t good = std::min(draws, kGoodDraws);
  size.quantities = std::clamp<int64_t>(
      values / good, 1, 1 + std::min(dimension, kMaxCoordinates));
  size.draws = std::min(draws, values / size.quantities);
  // So that dropping every second one frees half.
  if (size.draws < draws) size.draws -= size.draws % 2;
  return size;
}

TraceRecorder::TraceRecorder(int64_t chains, int64_t draws, int64_t dimension,
                             int64_t max_bytes)
    : chains_(chains),
      dimension_(dimension),
      size_(SizeOf(chains, draws, dimension, max_bytes)),
      values_(chains * size_.draws * size_.quantities),
      stride_(size_.quantities == 0 ? 0 : chains, 1) {}

int64_t TraceRecorder::Bytes(int64_t chains, int64_t draws, int64_t dimension,
                             int64_t max_bytes) {
  const Size size = SizeOf(chains, draws, dimension, max_bytes);
  return chains * size.draws * size.quantities * int64_t{sizeof(float)};
}

void TraceRecorder::Record(int64_t chain, int64_t draw, double energy,
                           const float* state) {
  if (size_.quantities == 0) return;
  int64_t& stride = stride_[chain];
  if ((draw + 1) % stride != 0) return;
  if ((draw + 1) / stride > size_.draws) {
    ThinOut(chain);
    if ((draw + 1) % stride != 0) return;
  }
  float* to = At(chain, (draw + 1) / stride - 1);
  to[0] = static_cast<float>(energy);
  const int64_t coordinates = size_.quantities - 1;
  for (int64_t q = 0; q < coordinates; ++q) {
    to[1 + q] = state[q * dimension_ / coordinates];
  }
}

void TraceRecorder::ThinOut(int64_t chain) {
  for (int64_t i = 0; i < size_.draws / 2; ++i) {
    std::copy_n(At(chain, 2 * i + 1), size_.quantities, At(chain, i));
  }
  stride_[chain] *= 2;
}

ChainTraces TraceRecorder::Copy(int64_t draws,
                                absl::Span<const int64_t> excluded) const {
  ChainTraces traces;
  const int64_t chains = chains_ - static_cast<int64_t>(excluded.size());
  if (size_.quantities == 0 || chains == 0) return traces;
  // Chains that are ahead may have been thinned out more.
  const int64_t stride = *std::max_element(stride_.begin(), stride_.end());
  const int64_t kept = draws / stride;
  if (kept < kMinDraws) return traces;
  traces.chains = chains;
  traces.draws = kept;
  traces.quantities = size_.quantities;
  traces.values.reserve(chains * kept * size_.quantities);
  const auto* next_excluded = excluded.begin();
  for (int64_t chain = 0; chain < chains_; ++chain) {
    if (next_excluded != excluded.end() && *next_excluded == chain) {
      ++next_excluded;
      continue;
    }
    for (int64_t i = 1; i <= kept; ++i) {
      const float* from = At(chain, i * stride / stride_[chain] - 1);
      traces.values.insert(traces.values.end(), from, from + size_.quantities);
    }
  }
  return traces;
}

ChainTraces TraceRecorder::Take(int64_t draws,
                                absl::Span<const int64_t> excluded) {
  ChainTraces traces = Copy(draws, excluded);
  values_ = {};
  return traces;
}

}  // namespace basin::internal
