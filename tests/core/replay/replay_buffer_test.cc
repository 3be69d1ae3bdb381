#include "core/replay/replay_buffer.h"

#include <cmath>
#include <limits>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/model/initial_states.h"
#include "tests/core/replay/fake_files.h"
#include "tests/core/replay/replay_fixture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(ReplayBufferTest, InsertReplacesTheOldestWhenFull) {
  const auto buffer = OpenOrDie(SmallOptions(3));
  EXPECT_OK(buffer->Insert(States({1, 2})));
  EXPECT_THAT(Held(*buffer), ElementsAre(1, 2));
  EXPECT_OK(buffer->Insert(States({3, 4})));
  EXPECT_THAT(Held(*buffer), ElementsAre(4, 2, 3));
  EXPECT_OK(buffer->Insert(States({5, 6, 7, 8, 9})));
  EXPECT_THAT(Held(*buffer), UnorderedElementsAre(7, 8, 9));
  EXPECT_EQ(buffer->Stats().inserts, 9);
}

TEST(ReplayBufferTest, InsertRefusesBadStatesWhole) {
  const auto buffer = OpenOrDie(SmallOptions(3));
  EXPECT_THAT(buffer->Insert({1, 2, 3}),
              StatusIs(kInvalid, HasSubstr("a multiple of 2 floats, got 3")));
  EXPECT_THAT(buffer->Insert({1, 2, 3, kNan}),
              StatusIs(kInvalid, HasSubstr("row 1")));
  EXPECT_THAT(buffer->Insert({1, -INFINITY}),
              StatusIs(kInvalid, HasSubstr("row 0")));
  EXPECT_EQ(buffer->Stats().size, 0);
}

TEST(ReplayBufferTest, OptionsAreChecked) {
  EXPECT_THAT(ReplayBuffer::Open(SmallOptions(0)),
              StatusIs(kInvalid, HasSubstr("capacity")));
  EXPECT_THAT(ReplayBuffer::Open(SmallOptions(int64_t{1} << 25)),
              StatusIs(kInvalid, HasSubstr("capacity")));
  auto options = SmallOptions(1);
  options.dimension = 0;
  EXPECT_THAT(ReplayBuffer::Open(options),
              StatusIs(kInvalid, HasSubstr("dimension")));
  options = SmallOptions(1);
  options.policy.restart_probability = 1.5;
  EXPECT_THAT(ReplayBuffer::Open(options),
              StatusIs(kInvalid, HasSubstr("restart_probability")));
}

TEST(ReplayBufferTest, DrawChecksItsArguments) {
  const auto buffer = OpenOrDie(SmallOptions(3));
  EXPECT_THAT(buffer->Draw(0, 1, 0), StatusIs(kInvalid, HasSubstr("got 0")));
  EXPECT_THAT(buffer->Draw(int64_t{1} << 40, 1, 0),
              StatusIs(kInvalid, HasSubstr("states")));
  EXPECT_THAT(buffer->Draw(1, 1, 1.01),
              StatusIs(kInvalid, HasSubstr("restart_probability")));
  EXPECT_THAT(buffer->Draw(1, 1, std::nan("")),
              StatusIs(kInvalid, HasSubstr("restart_probability")));
}

TEST(ReplayBufferTest, AnEmptyBufferStartsFromTheInitialLaw) {
  const auto buffer = OpenOrDie(SmallOptions(3));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw draw, buffer->Draw(3, 7, 0));
  EXPECT_THAT(draw.slots, Each(ReplayDraw::kFresh));
  for (uint64_t chain = 0; chain < 3; ++chain) {
    std::vector<float> state(kDimension);
    DrawInitialState(UniformLaw{-2, -1}, 7, chain, absl::MakeSpan(state));
    EXPECT_THAT(
        state, ElementsAre(draw.states[2 * chain], draw.states[2 * chain + 1]));
  }
  EXPECT_EQ(buffer->Stats().restarts, 3);
}

TEST(ReplayBufferTest, DrawsDependOnSeedAndContentsOnly) {
  const auto a = OpenOrDie(SmallOptions(8));
  const auto b = OpenOrDie(SmallOptions(8));
  for (ReplayBuffer* buffer : {a.get(), b.get()}) {
    EXPECT_OK(buffer->Insert(States({1, 2, 3, 4, 5})));
  }
  EXPECT_OK(b->Draw(100, 3, 0.5));  // leaves no trace
  ASSERT_OK_AND_ASSIGN(const ReplayDraw one, a->Draw(50, 11, 0.3));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw same, b->Draw(50, 11, 0.3));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw other, b->Draw(50, 12, 0.3));
  EXPECT_EQ(one.states, same.states);
  EXPECT_EQ(one.slots, same.slots);
  EXPECT_NE(one.slots, other.slots);
}

// Chi-squared with 9 degrees of freedom: 33.7 is exceeded once in 10^4.
TEST(ReplayBufferTest, DrawsAreUniform) {
  for (const auto policy : {ReplayReadPolicy::kWithReplacement,
                            ReplayReadPolicy::kWithoutReplacement}) {
    auto options = SmallOptions(10);
    options.policy.read_policy = policy;
    const auto buffer = OpenOrDie(options);
    EXPECT_OK(buffer->Insert(States({1, 2, 3, 4, 5, 6, 7, 8, 9, 10})));
    std::vector<double> counts(10);
    constexpr int kDraws = 20'000;
    for (uint64_t seed = 0; seed < kDraws; ++seed) {
      ASSERT_OK_AND_ASSIGN(const ReplayDraw draw, buffer->Draw(3, seed, 0));
      ++counts[static_cast<size_t>(draw.slots[seed % 3])];
    }
    double chi_squared = 0;
    for (const double count : counts) {
      chi_squared += std::pow(count - kDraws / 10.0, 2) / (kDraws / 10.0);
    }
    EXPECT_LT(chi_squared, 33.7);
  }
}

TEST(ReplayBufferTest, RestartsComeWithTheirProbability) {
  auto options = SmallOptions(4);
  options.policy.restart_probability = 0.05;
  const auto buffer = OpenOrDie(options);
  EXPECT_OK(buffer->Insert(States({1, 2, 3, 4})));
  const auto restarts = [&](double probability) {
    const auto draw = buffer->Draw(100'000, 5, probability);
    return std::count(draw->slots.begin(), draw->slots.end(),
                      ReplayDraw::kFresh);
  };
  EXPECT_NEAR(restarts(-1), 5000, 5 * std::sqrt(100'000 * 0.05 * 0.95));
  EXPECT_NEAR(restarts(0.5), 50'000, 5 * std::sqrt(100'000 * 0.25));
  EXPECT_EQ(restarts(0), 0);
  EXPECT_EQ(restarts(1), 100'000);
}

TEST(ReplayBufferTest, WithoutReplacementSlotsAreDistinct) {
  auto options = SmallOptions(20);
  options.policy.read_policy = ReplayReadPolicy::kWithoutReplacement;
  const auto buffer = OpenOrDie(options);
  std::vector<float> ids(20);
  for (int i = 0; i < 20; ++i) ids[i] = static_cast<float>(i + 1);
  EXPECT_OK(buffer->Insert(States(ids)));
  for (uint64_t seed = 0; seed < 50; ++seed) {
    ASSERT_OK_AND_ASSIGN(const ReplayDraw draw, buffer->Draw(20, seed, 0));
    EXPECT_THAT(std::set<int64_t>(draw.slots.begin(), draw.slots.end()),
                ::testing::SizeIs(20));
    EXPECT_THAT(draw.slots, Each(::testing::Ge(0)));
  }
  ASSERT_OK_AND_ASSIGN(const ReplayDraw more, buffer->Draw(25, 1, 0));
  EXPECT_EQ(
      std::count(more.slots.begin(), more.slots.end(), ReplayDraw::kFresh), 5);
}

TEST(ReplayBufferTest, InPlaceASlotStaysOneChain) {
  const auto buffer = OpenOrDie(SmallOptions(3));
  EXPECT_OK(buffer->Insert(States({1, 2, 3})));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw first, buffer->Draw(1, 4, 0));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw second, buffer->Draw(1, 4, 0));
  ASSERT_EQ(first.slots, second.slots);
  EXPECT_EQ(buffer->WriteBack(first, States({10})), 1);
  EXPECT_EQ(Held(*buffer)[static_cast<size_t>(first.slots[0])], 10);
  // The slot moved on since the second draw, so its chain ends here.
  EXPECT_EQ(buffer->WriteBack(second, States({20})), 0);
  EXPECT_EQ(Held(*buffer)[static_cast<size_t>(first.slots[0])], 10);
  EXPECT_EQ(buffer->Stats().write_backs, 1);
}

TEST(ReplayBufferTest, InPlaceASlotDrawnTwiceIsWrittenOnce) {
  const auto buffer = OpenOrDie(SmallOptions(1));
  EXPECT_OK(buffer->Insert(States({1})));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw draw, buffer->Draw(3, 4, 0));
  EXPECT_EQ(buffer->WriteBack(draw, States({10, 20, 30})), 1);
  EXPECT_THAT(Held(*buffer), ElementsAre(10));
}

TEST(ReplayBufferTest, AWriteBackAfterClearIsDropped) {
  const auto buffer = OpenOrDie(SmallOptions(3));
  EXPECT_OK(buffer->Insert(States({1, 2, 3})));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw draw, buffer->Draw(1, 4, 0));
  EXPECT_OK(buffer->Clear());
  EXPECT_EQ(buffer->WriteBack(draw, States({10})), 0);
  EXPECT_OK(buffer->Insert(States({4, 5, 6})));
  EXPECT_EQ(buffer->WriteBack(draw, States({10})), 0);
  EXPECT_THAT(Held(*buffer), ElementsAre(4, 5, 6));
}

TEST(ReplayBufferTest, FreshChainsTakeFreeSlotsThenTheOldest) {
  const auto buffer = OpenOrDie(SmallOptions(3));
  EXPECT_OK(buffer->Insert(States({1, 2})));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw fresh, buffer->Draw(2, 4, 1));
  EXPECT_EQ(buffer->WriteBack(fresh, States({10, 20})), 2);
  EXPECT_THAT(Held(*buffer), ElementsAre(20, 2, 10));
}

// The oldest slot is the one that the drawn chain is about to write: the
// fresh chain must take another one.
TEST(ReplayBufferTest, FreshChainsLeaveDrawnSlotsAlone) {
  const auto buffer = OpenOrDie(SmallOptions(2));
  EXPECT_OK(buffer->Insert(States({1, 2})));
  ReplayDraw draw;
  for (uint64_t seed = 0; draw.slots != std::vector<int64_t>{-1, 0}; ++seed) {
    ASSERT_OK_AND_ASSIGN(draw, buffer->Draw(2, seed, 0.5));
  }
  EXPECT_EQ(buffer->WriteBack(draw, States({10, 20})), 2);
  EXPECT_THAT(Held(*buffer), ElementsAre(20, 10));
}

TEST(ReplayBufferTest, FifoWritesEveryChainToTheOldestSlot) {
  auto options = SmallOptions(3);
  options.policy.write_policy = ReplayWritePolicy::kFifo;
  const auto buffer = OpenOrDie(options);
  EXPECT_OK(buffer->Insert(States({1, 2, 3})));
  ASSERT_OK_AND_ASSIGN(const ReplayDraw draw, buffer->Draw(2, 4, 0));
  EXPECT_EQ(buffer->WriteBack(draw, States({10, 20})), 2);
  EXPECT_THAT(Held(*buffer), ElementsAre(10, 20, 3));
}

TEST(ReplayBufferTest, StatesThatAreNotFiniteAreNotWrittenBack) {
  for (const auto policy :
       {ReplayWritePolicy::kInPlace, ReplayWritePolicy::kFifo}) {
    auto options = SmallOptions(2);
    options.policy.write_policy = policy;
    options.policy.read_policy = ReplayReadPolicy::kWithoutReplacement;
    const auto buffer = OpenOrDie(options);
    EXPECT_OK(buffer->Insert(States({1, 2})));
    ASSERT_OK_AND_ASSIGN(const ReplayDraw draw, buffer->Draw(2, 4, 0));
    EXPECT_EQ(buffer->WriteBack(draw, {kNan, 0, INFINITY, 0}), 0);
    EXPECT_THAT(Held(*buffer), ElementsAre(1, 2));
  }
}

TEST(ReplayBufferTest, StatsTellAgesAndBytes) {
  StoppedClock clock;
  auto options = SmallOptions(2);
  options.clock = &clock;
  const auto buffer = OpenOrDie(options);
  EXPECT_EQ(buffer->Stats().mean_age, absl::ZeroDuration());
  EXPECT_OK(buffer->Insert(States({1})));
  clock.Advance(absl::Seconds(4));
  EXPECT_OK(buffer->Insert(States({2})));
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(buffer->Stats().mean_age, absl::Seconds(3));
  EXPECT_GE(buffer->Stats().bytes, 2 * kDimension * 4);
  EXPECT_OK(buffer->Insert(States({3})));  // replaces the one of 5 s
  EXPECT_EQ(buffer->Stats().mean_age, absl::Seconds(0.5));
  EXPECT_EQ(buffer->Stats().last_snapshot, absl::InfinitePast());
}

TEST(ReplayBufferTest, MemoryOnlyHasNoSnapshots) {
  const auto buffer = OpenOrDie(SmallOptions(2));
  EXPECT_THAT(buffer->Snapshot(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("memory only")));
}

// A process that is killed leaves all it wrote to the system, but names that
// were not synced; what the next one acknowledges outlives the machine.
TEST(ReplayBufferTest, AKilledSnapshotTakesNoLaterInsertWithIt) {
  for (int64_t kill = 0; kill < 20; ++kill) {
    FakeFiles files;
    ReplayBuffer::Options options = SmallOptions(8);
    options.path = "/state/model";
    options.files = &files;
    {
      const auto killed = OpenOrDie(options);
      ASSERT_OK(killed->Insert(States({1})));
      files.FailFrom(kill);
      killed->Snapshot().IgnoreError();
    }
    files.FailFrom(1'000'000);  // works again
    ASSERT_OK(OpenOrDie(options)->Insert(States({2})));
    FakeFiles after =
        files.AfterCrash(FakeFiles::Tail::kLost, FakeFiles::Names::kSyncedOnly);
    options.files = &after;
    EXPECT_THAT(Held(*OpenOrDie(options)), ElementsAre(1, 2))
        << "killed before operation " << kill;
  }
}

// Readers, writers, inserts and snapshots at once: no state is ever mixed
// from two (IdsOf() checks that), and ThreadSanitizer finds nothing.
TEST(ReplayBufferTest, ConcurrentUseKeepsStatesWhole) {
  TempDir folder;
  auto options = SmallOptions(16);
  options.path = folder.File("replay");
  const auto buffer = OpenOrDie(options);
  EXPECT_OK(buffer->Insert(States({1, 2, 3, 4})));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&buffer, thread] {
      for (uint64_t i = 0; i < 200; ++i) {
        const auto draw = buffer->Draw(8, 1000 * thread + i, 0.2);
        std::vector<float> ids = IdsOf(*draw);
        for (float& id : ids) id += 1;
        buffer->WriteBack(*draw, States(ids));
      }
    });
  }
  threads.emplace_back([&buffer] {
    for (int i = 0; i < 30; ++i) EXPECT_OK(buffer->Insert(States({5, 6, 7})));
  });
  threads.emplace_back([&buffer] {
    for (int i = 0; i < 10; ++i) {
      EXPECT_OK(buffer->Snapshot());
      EXPECT_LE(buffer->Stats().size, 16);
      if (i == 5) {
        EXPECT_OK(buffer->Clear());
      }
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(buffer->Stats().draws, 2 * 200 * 8);
  EXPECT_EQ(buffer->Stats().inserts, 4 + 90);
}

}  // namespace
}  // namespace basin::testing
