#ifndef BASIN_CORE_SCHEDULER_RANGE_FIFO_H_
#define BASIN_CORE_SCHEDULER_RANGE_FIFO_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace basin::internal {

struct JobEntry;

// Neighbouring rows of one job that have all made the same number of steps.
struct RowRange {
  JobEntry* entry = nullptr;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t done = 0;  // steps

  int64_t rows() const { return end - begin; }
};

// Row ranges, first in, first out, in a ring that grows to the most ranges
// seen: a steady state allocates nothing, as std::deque would. Not
// thread-safe.
class RangeFifo {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }  // ranges
  // REQUIRES: !empty().
  RowRange& front() { return ring_[head_]; }

  // Adds `range` at the back, to the last range if it continues that one.
  void Push(const RowRange& range);
  // REQUIRES: !empty().
  void PopFront();
  // Removes the ranges of `entry`, keeping the order of the others.
  void Remove(const JobEntry* entry);

 private:
  RowRange& at(size_t i) { return ring_[(head_ + i) % ring_.size()]; }
  void Grow();

  std::vector<RowRange> ring_;
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_RANGE_FIFO_H_
