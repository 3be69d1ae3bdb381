#ifndef BASIN_CORE_SCHEDULER_FRAME_RING_H_
#define BASIN_CORE_SCHEDULER_FRAME_RING_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include <absl/base/thread_annotations.h>

#include "core/base/mutex.h"
#include "core/scheduler/job.h"

namespace basin::internal {

// The frames of one Sample request on their way from the workers to the
// consumer: a bounded window over the sequence of all frames. Chains fill
// their own rows of the open frames in any order; a frame can be taken when
// all of its chains have; taking frames opens later ones. Rows that no chain
// fills are NaN. When all chains have been dropped one more frame comes, and
// no others: there is nothing left to say, and nobody to pace.
//
// Thread-safe. Rows are written without a lock: a row belongs to its chain
// until Post(), and a frame is not taken before.
class FrameRing {
 public:
  struct Options {
    int64_t chains = 0;
    int64_t dimension = 0;
    SampleSpec::Keep keep = SampleSpec::Keep::kStates;
    int64_t frames = 0;       // of the whole request
    int64_t first_step = 0;   // Frame::step of the first, and ...
    int64_t step_stride = 0;  // ... how much later each next one is
    int64_t max_bytes = 0;    // of the open frames; at least 2 always are
  };

  // Bytes of one frame, and how many frames are open at most.
  static int64_t FrameBytes(const Options& options);
  static int64_t Capacity(const Options& options);

  explicit FrameRing(const Options& options);

  // Frames before this one may be filled or are already taken. Only grows.
  int64_t open() const { return open_.load(std::memory_order_acquire); }
  int64_t frames() const { return options_.frames; }

  // The first of the rows that belong to `chain`, in arrays of the shape
  // Frame states. Null where the frame has none.
  // REQUIRES: frame < open(), and the chain has not posted it.
  struct Rows {
    float* states = nullptr;         // [D]
    double* energies = nullptr;      // [1]
    float* grad_energies = nullptr;  // [D]
  };
  Rows rows(int64_t frame, int64_t chain);

  // `chains` chains have filled their rows of the frames [first, last).
  // Returns true if a frame can now be taken that could not before.
  bool Post(int64_t chains, int64_t first, int64_t last);
  // One chain fills no more rows from frame `first` on. Returns as Post().
  bool Drop(int64_t first);

  // The next frame, if all of its chains have filled it. Sets `opened` if
  // chains that wait for room can go on.
  std::optional<Frame> Take(bool* opened);

  // No frame will be opened or completed any more.
  void Close();

  // Frame::step of the last frame that was taken; 0 before.
  int64_t last_taken_step() const;
  // Frames that were completed, taken ones included.
  int64_t completed() const;

 private:
  Frame MakeFrame(int64_t frame) const;
  int64_t StepOf(int64_t frame) const {
    return options_.first_step + frame * options_.step_stride;
  }
  bool FrontComplete() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int64_t& missing(int64_t frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return missing_[frame % capacity_];
  }

  const Options options_;
  const int64_t capacity_;

  std::atomic<int64_t> open_;
  // Frame f is in slot f % capacity_. Each row belongs to its chain, as the
  // class comment says, so no mutex guards them.
  std::vector<Frame> slots_;

  mutable Mutex mu_;
  // Chains that have yet to fill the slot's frame.
  std::vector<int64_t> missing_ ABSL_GUARDED_BY(mu_);
  int64_t live_chains_ ABSL_GUARDED_BY(mu_);  // not dropped
  int64_t taken_ ABSL_GUARDED_BY(mu_) = 0;    // frames
  int64_t prepared_ ABSL_GUARDED_BY(mu_);     // frames that have a slot
  int64_t filled_ ABSL_GUARDED_BY(mu_) = 0;   // frames, by dropped chains
  int64_t end_ ABSL_GUARDED_BY(mu_);          // frames that will be taken
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_FRAME_RING_H_
