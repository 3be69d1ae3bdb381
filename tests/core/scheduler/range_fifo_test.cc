#include "core/scheduler/range_fifo.h"

#include <cstdint>
#include <deque>
#include <random>

#include <gtest/gtest.h>

#include "core/scheduler/run_queue.h"

namespace basin::internal {
namespace {

TEST(RangeFifoTest, JoinsARangeThatContinuesTheLast) {
  JobEntry a, b;
  RangeFifo fifo;
  fifo.Push({&a, 0, 2, 5});
  fifo.Push({&a, 2, 3, 5});
  EXPECT_EQ(fifo.size(), 1u);
  EXPECT_EQ(fifo.front().rows(), 3);
  fifo.Push({&a, 3, 4, 6});  // has done more
  fifo.Push({&b, 4, 5, 6});  // of another job
  fifo.Push({&b, 7, 8, 6});  // with a gap
  EXPECT_EQ(fifo.size(), 4u);
}

TEST(RangeFifoTest, BehavesAsADeque) {
  std::mt19937 random(7);
  JobEntry entries[3];
  RangeFifo fifo;
  std::deque<RowRange> model;
  for (int i = 0; i < 5000; ++i) {
    const int what = static_cast<int>(random() % 20);
    if (what < 11) {
      // Steps that differ each time: nothing is joined.
      const RowRange range = {&entries[random() % 3], 0, 1, i};
      fifo.Push(range);
      model.push_back(range);
    } else if (what < 19 && !model.empty()) {
      EXPECT_EQ(fifo.front().done, model.front().done);
      fifo.PopFront();
      model.pop_front();
    } else if (what == 19) {
      const JobEntry* gone = &entries[random() % 3];
      fifo.Remove(gone);
      std::erase_if(model, [&](const RowRange& r) { return r.entry == gone; });
    }
    ASSERT_EQ(fifo.size(), model.size());
  }
  while (!fifo.empty()) {
    EXPECT_EQ(fifo.front().done, model.front().done);
    fifo.PopFront();
    model.pop_front();
  }
}

}  // namespace
}  // namespace basin::internal
