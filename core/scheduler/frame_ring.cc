#include "core/scheduler/frame_ring.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace basin::internal {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
// Tiny frames: enough to keep a consumer busy, and quick to set up.
constexpr int64_t kMaxCapacity = 1024;

}  // namespace

int64_t FrameRing::FrameBytes(const Options& options) {
  int64_t floats_per_chain = 0;
  if (options.keep != SampleSpec::Keep::kEnergies) {
    floats_per_chain += options.dimension;
  }
  if (options.keep == SampleSpec::Keep::kStatesAndGradients) {
    floats_per_chain += options.dimension;
  }
  return options.chains * (floats_per_chain * int64_t{sizeof(float)} +
                           int64_t{sizeof(double)}) +
         int64_t{sizeof(Frame)};
}

int64_t FrameRing::Capacity(const Options& options) {
  const int64_t fit = options.max_bytes / FrameBytes(options);
  return std::min(options.frames, std::clamp<int64_t>(fit, 2, kMaxCapacity));
}

FrameRing::FrameRing(const Options& options)
    : options_(options),
      capacity_(Capacity(options)),
      open_(capacity_),
      missing_(capacity_, options.chains),
      live_chains_(options.chains),
      prepared_(capacity_),
      end_(options.frames) {
  slots_.reserve(capacity_);
  for (int64_t f = 0; f < capacity_; ++f) slots_.push_back(MakeFrame(f));
}

Frame FrameRing::MakeFrame(int64_t frame) const {
  Frame made;
  made.step = StepOf(frame);
  made.energies.assign(options_.chains, kNaN);
  const int64_t values = options_.chains * options_.dimension;
  if (options_.keep != SampleSpec::Keep::kEnergies) {
    made.states.assign(values, kNaN);
  }
  if (options_.keep == SampleSpec::Keep::kStatesAndGradients) {
    made.grad_energies.assign(values, kNaN);
  }
  return made;
}

FrameRing::Rows FrameRing::rows(int64_t frame, int64_t chain) {
  Frame& slot = slots_[frame % capacity_];
  const int64_t at = chain * options_.dimension;
  Rows rows;
  rows.energies = slot.energies.data() + chain;
  if (!slot.states.empty()) rows.states = slot.states.data() + at;
  if (!slot.grad_energies.empty()) {
    rows.grad_energies = slot.grad_energies.data() + at;
  }
  return rows;
}

bool FrameRing::FrontComplete() const {
  return taken_ < std::min(prepared_, end_) &&
         missing_[taken_ % capacity_] == 0;
}

bool FrameRing::Post(int64_t chains, int64_t first, int64_t last) {
  MutexLock lock(mu_);
  const bool before = FrontComplete();
  for (int64_t f = first; f < last; ++f) missing(f) -= chains;
  return !before && FrontComplete();
}

bool FrameRing::Drop(int64_t first) {
  MutexLock lock(mu_);
  const bool before = FrontComplete();
  for (int64_t f = first; f < prepared_; ++f) --missing(f);
  filled_ = std::max(filled_, first);
  if (--live_chains_ == 0) end_ = std::min(end_, filled_ + 1);
  return !before && FrontComplete();
}

std::optional<Frame> FrameRing::Take(bool* opened) {
  *opened = false;
  MutexLock lock(mu_);
  if (!FrontComplete()) return std::nullopt;
  std::optional<Frame> frame(std::move(slots_[taken_ % capacity_]));
  ++taken_;
  if (closed_ || prepared_ >= end_) return frame;
  slots_[prepared_ % capacity_] = MakeFrame(prepared_);
  missing(prepared_) = live_chains_;
  ++prepared_;
  // Rows of a window that opened one frame at a time would go on by one step
  // at a time and make short quanta of all tiles they are in.
  const int64_t room = prepared_ - open();
  if (room >= (capacity_ + 1) / 2 || prepared_ == options_.frames) {
    open_.store(prepared_, std::memory_order_release);
    *opened = true;
  }
  return frame;
}

void FrameRing::Close() {
  MutexLock lock(mu_);
  closed_ = true;
}

int64_t FrameRing::last_taken_step() const {
  MutexLock lock(mu_);
  return taken_ == 0 ? 0 : StepOf(taken_ - 1);
}

int64_t FrameRing::completed() const {
  MutexLock lock(mu_);
  int64_t completed = taken_;
  const int64_t last = std::min(prepared_, end_);
  while (completed < last && missing_[completed % capacity_] == 0) {
    ++completed;
  }
  return completed;
}

}  // namespace basin::internal
