#include "server/draws_encoder.h"

#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "basin/v1/sampler.pb.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;

// Chain c of step s is at (100 s + c, 100 s + c + 0.5) with energy -s.
Frame MakeFrame(int64_t step, int64_t chains) {
  Frame frame;
  frame.step = step;
  for (int64_t chain = 0; chain < chains; ++chain) {
    const auto at = static_cast<float>(100 * step + chain);
    frame.states.push_back(at);
    frame.states.push_back(at + 0.5F);
    frame.energies.push_back(static_cast<float>(-step));
  }
  return frame;
}

DrawsEncoder::Options SmallOptions(int64_t chains, int64_t target_bytes) {
  DrawsEncoder::Options options;
  options.chains = chains;
  options.dimension = 2;
  options.state_shape = Shape({2});
  options.target_bytes = target_bytes;
  return options;
}

std::vector<float> Floats(const v1::Tensor& tensor) {
  std::vector<float> values(tensor.data().size() / sizeof(float));
  std::memcpy(values.data(), tensor.data().data(), tensor.data().size());
  return values;
}

TEST(DrawsEncoder, SeveralSmallFramesGoTogether) {
  DrawsEncoder encoder(SmallOptions(2, 100));
  EXPECT_FALSE(encoder.HasMessage());
  int64_t frames = 0;
  while (encoder.WantsFrame()) encoder.AddFrame(MakeFrame(++frames, 2));
  EXPECT_EQ(frames, 3);  // of 2 x 12 + 8 bytes
  v1::SampleEvent::Draws message;
  encoder.NextMessage(message);
  EXPECT_FALSE(encoder.HasMessage());
  EXPECT_EQ(message.first_chain(), 0);
  EXPECT_THAT(message.steps(), ElementsAre(1, 2, 3));
  EXPECT_THAT(message.states().shape(), ElementsAre(3, 2, 2));
  EXPECT_THAT(Floats(message.states()),
              ElementsAre(100, 100.5, 101, 101.5, 200, 200.5, 201, 201.5, 300,
                          300.5, 301, 301.5));
  EXPECT_THAT(Floats(message.energies()), ElementsAre(-1, -1, -2, -2, -3, -3));
}

TEST(DrawsEncoder, ALargeFrameIsCutByChains) {
  DrawsEncoder encoder(SmallOptions(5, 24));
  encoder.AddFrame(MakeFrame(1, 5));
  EXPECT_FALSE(encoder.WantsFrame());
  std::vector<int64_t> first;
  std::vector<float> states;
  while (encoder.HasMessage()) {
    v1::SampleEvent::Draws message;
    encoder.NextMessage(message);
    first.push_back(message.first_chain());
    EXPECT_EQ(message.states().shape(1), message.energies().shape(1));
    for (const float value : Floats(message.states())) states.push_back(value);
  }
  EXPECT_THAT(first, ElementsAre(0, 2, 4));
  EXPECT_EQ(states, MakeFrame(1, 5).states);
  EXPECT_TRUE(encoder.WantsFrame());
}

TEST(DrawsEncoder, ARowBeyondTheTargetIsSentAlone) {
  DrawsEncoder encoder(SmallOptions(2, 1));
  encoder.AddFrame(MakeFrame(1, 2));
  v1::SampleEvent::Draws message;
  encoder.NextMessage(message);
  EXPECT_THAT(message.states().shape(), ElementsAre(1, 1, 2));
}

TEST(DrawsEncoder, SendsWhatIsWanted) {
  DrawsEncoder::Options options = SmallOptions(2, 100);
  options.states = false;
  DrawsEncoder encoder(options);
  EXPECT_TRUE(encoder.wanted());
  encoder.AddFrame(MakeFrame(1, 2));
  v1::SampleEvent::Draws message;
  encoder.NextMessage(message);
  EXPECT_FALSE(message.has_states());
  EXPECT_TRUE(message.has_energies());
  options.energies = false;
  EXPECT_FALSE(DrawsEncoder(options).wanted());
}

TEST(EnergyTrace, IsThinnedEvenly) {
  EnergyTrace trace;
  for (int64_t step = 0; step < 2500; ++step) {
    trace.AddFrame(MakeFrame(step, 1));
  }
  ASSERT_EQ(trace.values().size(), 625U);
  for (size_t i = 0; i < trace.values().size(); ++i) {
    EXPECT_EQ(trace.values()[i], -4.0 * static_cast<double>(i));
  }
}

TEST(EnergyTrace, LeavesDivergedChainsOut) {
  EnergyTrace trace;
  Frame frame;
  frame.energies = {1, std::numeric_limits<float>::quiet_NaN(), 3,
                    std::numeric_limits<float>::infinity()};
  trace.AddFrame(frame);
  EXPECT_THAT(trace.values(), ElementsAre(2));
}

}  // namespace
}  // namespace basin::testing
