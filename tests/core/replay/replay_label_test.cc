// Labels of a replay buffer's states, in memory and on the disk.

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/replay/replay_buffer.h"
#include "core/replay/replay_format.h"
#include "tests/core/replay/fake_files.h"
#include "tests/core/replay/replay_fixture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

ReplayBuffer::Options InFiles(FakeFiles& files, int64_t capacity) {
  auto options = SmallOptions(capacity);
  options.path = "r";
  options.files = &files;
  return options;
}

void WriteFile(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A slot of one label is never drawn for another, nor written to by one.
TEST(ReplayLabelTest, ASlotStaysAChainOfItsLabel) {
  auto options = SmallOptions(12);
  options.policy.read_policy = ReplayReadPolicy::kWithoutReplacement;
  const auto buffer = OpenOrDie(options);
  // Chains start afresh with ids of their labels, and come back.
  const std::vector<int32_t> labels = {kNoReplayLabel, 1, 2, 2, 1,
                                       kNoReplayLabel};
  for (int round = 0; round < 50; ++round) {
    ASSERT_OK_AND_ASSIGN(const ReplayDraw draw,
                         buffer->Draw(6, round, 0.3, labels));
    std::vector<float> ids = IdsOf(draw);
    for (size_t i = 0; i < ids.size(); ++i) {
      const float first =
          labels[i] < 0 ? 0 : 1e6F * static_cast<float>(labels[i]);
      if (ids[i] == 0) ids[i] = first + 1;
      ASSERT_EQ(LabelOfId(ids[i]), labels[i]);
    }
    EXPECT_EQ(buffer->WriteBack(draw, States(ids)), 6);
    Held(*buffer);  // checks labels
  }
  const std::map<int32_t, int64_t> sizes = buffer->Stats().label_sizes;
  EXPECT_EQ(sizes, (std::map<int32_t, int64_t>{{-1, 4}, {1, 4}, {2, 4}}));
}

TEST(ReplayLabelTest, LabelsShareTheCapacityEvenly) {
  const auto buffer = OpenOrDie(SmallOptions(4));
  EXPECT_OK(buffer->Insert(States({1, 2, 3, 4})));
  EXPECT_OK(buffer->Insert(States({1'000'001}), 1));
  EXPECT_THAT(Held(*buffer), UnorderedElementsAre(2, 3, 4, 1'000'001));
  EXPECT_OK(buffer->Insert(States({1'000'002, 1'000'003, 1'000'004}), 1));
  EXPECT_THAT(Held(*buffer), UnorderedElementsAre(3, 4, 1'000'003, 1'000'004));
  EXPECT_OK(buffer->Insert(States({2'000'001}), 2));
  EXPECT_OK(buffer->Insert(States({5})));
  EXPECT_THAT(Held(*buffer),
              UnorderedElementsAre(5, 1'000'003, 1'000'004, 2'000'001));
  EXPECT_THAT(buffer->Insert(States({1}), kMaxReplayLabels),
              StatusIs(kInvalid, HasSubstr("label: expected 0 to 1023")));
}

TEST(ReplayLabelTest, LabelsComeBack) {
  FakeFiles files;
  auto buffer = OpenOrDie(InFiles(files, 4));
  EXPECT_OK(buffer->Insert(States({1, 2, 3, 4})));
  EXPECT_OK(buffer->Insert(States({2'000'001, 2'000'002}), 2));
  EXPECT_OK(buffer->Snapshot());
  const std::vector<int32_t> labels = {2, 2, kNoReplayLabel, 2};
  const auto draw = buffer->Draw(4, 9, 0.1, labels);
  // In the journal, too; in the place of the oldest of its label.
  EXPECT_OK(buffer->Insert(States({2'000'003}), 2));
  const std::vector<float> held = Held(*buffer);
  EXPECT_THAT(held, UnorderedElementsAre(3, 4, 2'000'002, 2'000'003));
  buffer = OpenOrDie(InFiles(files, 4));
  EXPECT_EQ(Held(*buffer), held);
  EXPECT_NE(buffer->Draw(4, 9, 0.1, labels)->states, draw->states);
}

// The files of a store from before there were labels.
TEST(ReplayLabelTest, AnOldStoreHoldsStatesOfNoLabel) {
  TempDir folder;
  const std::string path = folder.File("r");
  const std::vector<float> states = States({1, 2});
  const auto bytes = [](const void* from, size_t size) {
    return std::string(static_cast<const char*>(from), size);
  };
  // Word for word what was written: kinds 1 and 2, and zeros in reserve.
  struct {
    uint64_t generation = 1;
    int64_t written_ns = 5;
    uint32_t reserved = 0;
    uint32_t crc = 0;
  } slot;
  static_assert(sizeof(slot) == sizeof(internal::SlotRecord));
  slot.crc = internal::Crc32(internal::Crc32(0, &slot, 20), states.data(), 8);
  internal::SnapshotHeader header = {.dimension = 2, .count = 1, .sequence = 1};
  header.header_crc = internal::HeaderCrc(header);
  WriteFile(path + ".snapshot", bytes(&header, sizeof(header)) +
                                    bytes(&slot, sizeof(slot)) +
                                    bytes(states.data(), 8));
  internal::JournalRecord record = {
      .kind = 1, .sequence = 2, .dimension = 2, .rows = 1};
  record.payload_crc = internal::Crc32(0, states.data() + 2, 8);
  record.header_crc = internal::HeaderCrc(record);
  WriteFile(path + ".journal",
            bytes(&record, sizeof(record)) + bytes(states.data() + 2, 8));
  auto options = SmallOptions(8);
  options.path = path;
  const auto buffer = OpenOrDie(options);
  EXPECT_EQ(buffer->Stats().torn_slots, 0);
  EXPECT_THAT(Held(*buffer), ElementsAre(1, 2));
}

}  // namespace
}  // namespace basin::testing
