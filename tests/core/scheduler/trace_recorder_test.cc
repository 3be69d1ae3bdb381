#include "core/scheduler/trace_recorder.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace basin::internal {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kMaxBytes = int64_t{64} << 20;

// Value of a chain's coordinate at a draw.
float At(int64_t chain, int64_t draw, int64_t i) {
  return static_cast<float>(chain * 1000 + draw * 10 + i);
}

TraceRecorder Recorded(int64_t chains, int64_t draws, int64_t dimension) {
  TraceRecorder recorder(chains, draws, dimension, kMaxBytes);
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
  EXPECT_EQ(TraceRecorder::Bytes(1000, 1000, 100, kMaxBytes), 64'000'000);
  // 64 MiB hold 16 of 16 quantities of 512 draws, 8, 1, and fewer draws.
  EXPECT_EQ(TraceRecorder::Bytes(2048, 1024, 100, kMaxBytes), 64 << 20);
  EXPECT_EQ(TraceRecorder::Bytes(4096, 4096, 100, kMaxBytes), 64 << 20);
  EXPECT_EQ(
      TraceRecorder::Bytes(int64_t{1} << 20, int64_t{1} << 40, 100, kMaxBytes),
      64 << 20);
  EXPECT_EQ(
      TraceRecorder::Bytes(int64_t{1} << 62, int64_t{1} << 62, 1, kMaxBytes),
      0);
}

TEST(TraceRecorderTest, LongTracesAreThinnedOut) {
  // Room for 8 draws of 2 chains with one quantity.
  TraceRecorder recorder(2, 1000, 5, 2 * 8 * sizeof(float));
  const std::vector<float> state(5);
  const auto record = [&](int64_t chain, int64_t from, int64_t to) {
    for (int64_t d = from; d < to; ++d) {
      recorder.Record(chain, d, static_cast<double>(1000 * chain + d + 1),
                      state.data());
    }
  };
  record(0, 0, 8);
  record(1, 0, 8);
  EXPECT_THAT(recorder.Copy(8, {1}).values,
              ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  // One chain may be ahead of the other.
  record(0, 8, 37);
  EXPECT_THAT(recorder.Copy(8, {}).chains, 0) << "every 8th is kept now";
  record(1, 8, 35);
  EXPECT_THAT(recorder.Copy(35, {}).values,
              ElementsAre(8, 16, 24, 32, 1008, 1016, 1024, 1032));
}

}  // namespace
}  // namespace basin::internal
