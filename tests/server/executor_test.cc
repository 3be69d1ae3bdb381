#include "server/executor.h"

#include <future>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace basin::testing {
namespace {

TEST(Executor, RunsInOrderAndFinishesAtShutdown) {
  std::vector<int> order;
  Executor executor(1);
  for (int i = 0; i < 100; ++i)
    executor.Run([&order, i] { order.push_back(i); });
  executor.Shutdown();
  ASSERT_EQ(order.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  executor.Run([&order] { order.push_back(0); });
  EXPECT_EQ(order.size(), 100U);
}

TEST(Executor, RefusesBeyondItsBound) {
  std::promise<void> started;
  std::promise<void> release;
  Executor executor(1);  // the last, so that its tasks end first
  executor.Run([&] {
    started.set_value();
    release.get_future().wait();
  });
  started.get_future().wait();
  EXPECT_TRUE(executor.TryRun([] {}, 2));
  EXPECT_TRUE(executor.TryRun([] {}, 2));
  EXPECT_FALSE(executor.TryRun([] {}, 2));
  release.set_value();
}

}  // namespace
}  // namespace basin::testing
