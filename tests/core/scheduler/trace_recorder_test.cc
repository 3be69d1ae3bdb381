#include "core/scheduler/trace_recorder.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace basin::internal {
namespace {

using ::testing::ElementsAre;

// Value of a chain's coordinate at a draw.
float At(int64_t chain, int64_t draw, int64_t i) {
  return static_cast<float>(chain * 1000 + draw * 10 + i);
}

TraceRecorder Recorded(int64_t chains, int64_t draws, int64_t dimension) {
  TraceRecorder recorder(chains, draws, dimension);
  std::vector<float> state(dimension);
  for (int64_t c = 0; c < chains; ++c) {
    for (int64_t d = 0; d < draws; ++d) {
      for (int64_t i = 0; i < dimension; ++i) state[i] = At(c, d, i);
      recorder.Record(c, d, -At(c, d, 0), state.data());
    }
  }
  return recorder;
}

TEST(TraceRecorderTest, EnergyAndCoordinates) {
  const ChainTraces traces = Recorded(2, 4, 2).Take(4, {});
  EXPECT_EQ(traces.chains, 2);
  EXPECT_EQ(traces.draws, 4);
  EXPECT_EQ(traces.quantities, 3);
  ASSERT_EQ(traces.values.size(), 24u);
  EXPECT_EQ(traces.values[3 * 5 + 0], -At(1, 1, 0));
  EXPECT_EQ(traces.values[3 * 5 + 2], At(1, 1, 1));
}

TEST(TraceRecorderTest, LeavesOutChainsAndLateDraws) {
  const ChainTraces traces = Recorded(3, 6, 1).Take(4, {1});
  EXPECT_EQ(traces.chains, 2);
  EXPECT_EQ(traces.draws, 4);
  std::vector<float> coordinates;
  for (size_t i = 1; i < traces.values.size(); i += 2) {
    coordinates.push_back(traces.values[i]);
  }
  EXPECT_THAT(coordinates, ElementsAre(0, 10, 20, 30, 2000, 2010, 2020, 2030));
}

TEST(TraceRecorderTest, CoordinatesAreSpreadOverTheState) {
  const ChainTraces traces = Recorded(1, 4, 150).Take(4, {});
  EXPECT_EQ(traces.quantities, 16);
  EXPECT_EQ(traces.values[1], At(0, 0, 0));
  EXPECT_EQ(traces.values[2], At(0, 0, 10));
  EXPECT_EQ(traces.values[15], At(0, 0, 140));
}

TEST(TraceRecorderTest, EmptyWithTooFewDraws) {
  EXPECT_EQ(Recorded(2, 3, 2).Take(3, {}).chains, 0);
  EXPECT_EQ(Recorded(2, 6, 2).Take(3, {}).chains, 0);
  EXPECT_EQ(Recorded(2, 6, 2).Take(6, {0, 1}).chains, 0);
}

TEST(TraceRecorderTest, Bounded) {
  EXPECT_EQ(TraceRecorder::Bytes(1000, 1000, 100), 64'000'000);
  // 64 MiB hold 8 of 16 quantities, one, none.
  EXPECT_EQ(TraceRecorder::Bytes(2048, 1024, 100), 64 << 20);
  EXPECT_EQ(TraceRecorder::Bytes(4096, 4096, 100), 64 << 20);
  EXPECT_EQ(TraceRecorder::Bytes(4096, 4097, 100), 0);
  EXPECT_EQ(TraceRecorder::Bytes(int64_t{1} << 62, int64_t{1} << 62, 1), 0);
}

}  // namespace
}  // namespace basin::internal
