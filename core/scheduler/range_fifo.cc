#include "core/scheduler/range_fifo.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace basin::internal {

void RangeFifo::Push(const RowRange& range) {
  if (size_ > 0) {
    RowRange& last = at(size_ - 1);
    if (last.entry == range.entry && last.end == range.begin &&
        last.done == range.done) {
      last.end = range.end;
      return;
    }
  }
  if (size_ == ring_.size()) Grow();
  ++size_;
  at(size_ - 1) = range;
}

void RangeFifo::PopFront() {
  BASIN_CHECK(size_ > 0);
  head_ = (head_ + 1) % ring_.size();
  --size_;
}

void RangeFifo::Remove(const JobEntry* entry) {
  size_t kept = 0;
  for (size_t i = 0; i < size_; ++i) {
    if (at(i).entry != entry) at(kept++) = at(i);
  }
  size_ = kept;
}

void RangeFifo::Grow() {
  std::vector<RowRange> larger(std::max<size_t>(16, ring_.size() * 2));
  for (size_t i = 0; i < size_; ++i) larger[i] = at(i);
  ring_ = std::move(larger);
  head_ = 0;
}

}  // namespace basin::internal
