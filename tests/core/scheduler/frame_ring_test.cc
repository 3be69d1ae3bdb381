#include "core/scheduler/frame_ring.h"

#include <cmath>
#include <optional>

#include <gtest/gtest.h>

namespace basin::internal {
namespace {

FrameRing::Options MakeOptions(int64_t chains, int64_t frames) {
  FrameRing::Options options;
  options.chains = chains;
  options.dimension = 2;
  options.frames = frames;
  options.first_step = 5;
  options.step_stride = 5;
  return options;  // max_bytes = 0: two frames
}

TEST(FrameRingTest, AFrameComesWhenAllChainsHaveFilledIt) {
  FrameRing ring(MakeOptions(2, 10));
  bool opened = false;
  EXPECT_FALSE(ring.Post(1, 0, 2));
  EXPECT_EQ(ring.Take(&opened), std::nullopt);
  *ring.rows(0, 1).energies = 7;
  ring.rows(0, 1).states[1] = 8;
  EXPECT_TRUE(ring.Post(1, 0, 1));
  const std::optional<Frame> frame = ring.Take(&opened);
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(frame->step, 5);
  EXPECT_EQ(frame->energies[1], 7);
  EXPECT_EQ(frame->states[3], 8);
  EXPECT_TRUE(frame->grad_energies.empty());
  EXPECT_EQ(ring.Take(&opened), std::nullopt);
}

TEST(FrameRingTest, TakingOpensLaterFrames) {
  FrameRing ring(MakeOptions(1, 3));
  bool opened = false;
  EXPECT_EQ(ring.open(), 2);
  ring.Post(1, 0, 2);
  EXPECT_TRUE(ring.Take(&opened).has_value());
  EXPECT_TRUE(opened);
  EXPECT_EQ(ring.open(), 3);
  ring.Post(1, 2, 3);
  EXPECT_EQ(ring.Take(&opened)->step, 10);
  EXPECT_FALSE(opened);  // there are no more
  EXPECT_EQ(ring.Take(&opened)->step, 15);
  EXPECT_EQ(ring.Take(&opened), std::nullopt);
  EXPECT_EQ(ring.completed(), 3);
  EXPECT_EQ(ring.last_taken_step(), 15);
}

TEST(FrameRingTest, ALargeWindowOpensByHalves) {
  FrameRing::Options options = MakeOptions(1, 100);
  options.max_bytes = 8 * FrameRing::FrameBytes(options);
  FrameRing ring(options);
  EXPECT_EQ(ring.open(), 8);
  ring.Post(1, 0, 8);
  bool opened = false;
  for (int taken = 1; taken <= 4; ++taken) {
    EXPECT_TRUE(ring.Take(&opened).has_value());
    EXPECT_EQ(opened, taken == 4);
  }
  EXPECT_EQ(ring.open(), 12);
}

TEST(FrameRingTest, ADroppedChainIsNotWaitedFor) {
  FrameRing ring(MakeOptions(2, 4));
  ring.Post(2, 0, 1);
  EXPECT_FALSE(ring.Drop(1));
  bool opened = false;
  EXPECT_TRUE(ring.Take(&opened).has_value());
  EXPECT_TRUE(ring.Post(1, 1, 3));
  *ring.rows(1, 0).energies = 1;
  const std::optional<Frame> frame = ring.Take(&opened);
  EXPECT_EQ(frame->energies[0], 1);
  EXPECT_TRUE(std::isnan(frame->energies[1]));
  EXPECT_TRUE(std::isnan(frame->states[2]));
  EXPECT_TRUE(ring.Take(&opened).has_value());
  EXPECT_FALSE(ring.Take(&opened).has_value());
}

TEST(FrameRingTest, OneMoreFrameAfterAllChainsAreDropped) {
  FrameRing ring(MakeOptions(2, 1'000'000'000));
  bool opened = false;
  ring.Post(1, 0, 1);
  ring.Drop(1);
  EXPECT_TRUE(ring.Drop(0));
  EXPECT_EQ(ring.completed(), 2);
  EXPECT_TRUE(ring.Take(&opened).has_value());
  const std::optional<Frame> last = ring.Take(&opened);
  ASSERT_TRUE(last.has_value());
  EXPECT_TRUE(std::isnan(last->energies[0]));
  EXPECT_TRUE(std::isnan(last->energies[1]));
  EXPECT_EQ(ring.Take(&opened), std::nullopt);
  EXPECT_EQ(ring.completed(), 2);
}

TEST(FrameRingTest, AfterCloseOnlyWhatIsComplete) {
  FrameRing ring(MakeOptions(1, 9));
  ring.Post(1, 0, 1);
  ring.Close();
  bool opened = false;
  EXPECT_TRUE(ring.Take(&opened).has_value());
  EXPECT_FALSE(opened);
  EXPECT_FALSE(ring.Take(&opened).has_value());
}

TEST(FrameRingTest, CapacityIsBounded) {
  FrameRing::Options options = MakeOptions(1, 1'000'000);
  EXPECT_EQ(FrameRing::Capacity(options), 2);
  options.max_bytes = int64_t{1} << 60;
  EXPECT_EQ(FrameRing::Capacity(options), 1024);
  options.frames = 3;
  EXPECT_EQ(FrameRing::Capacity(options), 3);
}

}  // namespace
}  // namespace basin::internal
