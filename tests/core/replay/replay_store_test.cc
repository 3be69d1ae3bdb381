// The durable side of a replay buffer: crashes, damage, hostile files.

#include "core/replay/replay_store.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/replay/replay_format.h"
#include "tests/core/replay/fake_files.h"
#include "tests/core/replay/replay_fixture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kCapacity = 8;

ReplayBuffer::Options StoreOptions(FakeFiles& files,
                                   int64_t capacity = kCapacity) {
  auto options = SmallOptions(capacity);
  options.path = "r";
  options.files = &files;
  return options;
}

ReplayBuffer::Options StoreOptions(const std::string& path) {
  auto options = SmallOptions(kCapacity);
  options.path = path;
  return options;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

void WriteFile(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// What a test does to a buffer, and what the buffer then holds.
struct Action {
  std::function<absl::Status(ReplayBuffer&)> act;
  std::vector<float> holds;
};

Action Insert(const std::vector<float>& ids, std::vector<float> holds) {
  const int32_t label = LabelOfId(ids[0]);
  return {[=](ReplayBuffer& b) { return b.Insert(States(ids), label); },
          std::move(holds)};
}
Action Snapshot(std::vector<float> holds) {
  return {[](ReplayBuffer& buffer) { return buffer.Snapshot(); },
          std::move(holds)};
}
Action Clear() {
  return {[](ReplayBuffer& buffer) { return buffer.Clear(); }, {}};
}

// Every kind of durable operation after every other.
std::vector<Action> Story() {
  return {Insert({1}, {1}),
          Snapshot({1}),
          Insert({2, 3}, {1, 2, 3}),
          Snapshot({1, 2, 3}),
          Snapshot({1, 2, 3}),
          Clear(),
          Insert({4}, {4}),
          Insert({3'000'005, 3'000'006}, {4, 3'000'005, 3'000'006}),
          Snapshot({4, 3'000'005, 3'000'006}),
          Clear(),
          Snapshot({}),
          Insert({7, 8, 9}, {7, 8, 9}),
          Insert({3'000'010}, {7, 8, 9, 3'000'010})};
}

// How far `Story()` got on a disk: the number of acknowledged actions.
size_t Play(FakeFiles& files) {
  const std::vector<Action> story = Story();
  auto buffer = ReplayBuffer::Open(StoreOptions(files));
  if (!buffer.ok()) return 0;
  size_t done = 0;
  while (done < story.size() && story[done].act(**buffer).ok()) ++done;
  return done;
}

std::vector<float> HeldAfter(size_t actions) {
  return actions == 0 ? std::vector<float>() : Story()[actions - 1].holds;
}

// A crash before every single operation of the disk, with every fate of what
// was not synced: the buffer holds exactly what was acknowledged, with or
// without the action that was interrupted, and works on.
TEST(ReplayStoreTest, ACrashAtAnyInstantLosesNothingAcknowledged) {
  FakeFiles whole;
  ASSERT_EQ(Play(whole), Story().size());
  for (int64_t crash = 0; crash <= whole.operations(); ++crash) {
    FakeFiles files;
    files.FailFrom(crash);
    const size_t done = Play(files);
    const size_t attempted = std::min(done + 1, Story().size());
    for (const auto tail : {FakeFiles::Tail::kLost, FakeFiles::Tail::kHalf,
                            FakeFiles::Tail::kZeros, FakeFiles::Tail::kKept}) {
      for (const auto names :
           {FakeFiles::Names::kSyncedOnly, FakeFiles::Names::kAll}) {
        FakeFiles after = files.AfterCrash(tail, names);
        ASSERT_OK_AND_ASSIGN(const auto buffer,
                             ReplayBuffer::Open(StoreOptions(after)));
        EXPECT_THAT(Held(*buffer),
                    AnyOf(ElementsAreArray(HeldAfter(done)),
                          ElementsAreArray(HeldAfter(attempted))))
            << "crash before operation " << crash;
        const std::vector<float> held = Held(*buffer);
        EXPECT_OK(buffer->Insert(States({99})));
        FakeFiles again = after.AfterCrash(FakeFiles::Tail::kLost,
                                           FakeFiles::Names::kSyncedOnly);
        const auto reopened = OpenOrDie(StoreOptions(again));
        EXPECT_EQ(reopened->Stats().size, held.size() + 1);
        EXPECT_EQ(reopened->Stats().torn_slots, 0);
      }
    }
  }
}

// The same, with a second crash at every instant of the recovery.
TEST(ReplayStoreTest, ACrashDuringRecoveryLosesNothing) {
  FakeFiles whole;
  Play(whole);
  for (int64_t crash = 0; crash <= whole.operations(); ++crash) {
    FakeFiles files;
    files.FailFrom(crash);
    const size_t done = Play(files);
    const FakeFiles once =
        files.AfterCrash(FakeFiles::Tail::kHalf, FakeFiles::Names::kAll);
    for (int64_t second = 0; second < 14; ++second) {
      FakeFiles recovering = once.AfterCrash(FakeFiles::Tail::kLost,
                                             FakeFiles::Names::kSyncedOnly);
      recovering.FailFrom(second);
      ReplayBuffer::Open(StoreOptions(recovering)).IgnoreError();
      FakeFiles after = recovering.AfterCrash(FakeFiles::Tail::kHalf,
                                              FakeFiles::Names::kSyncedOnly);
      ASSERT_OK_AND_ASSIGN(const auto buffer,
                           ReplayBuffer::Open(StoreOptions(after)));
      EXPECT_THAT(Held(*buffer), AnyOf(ElementsAreArray(HeldAfter(done)),
                                       ElementsAreArray(HeldAfter(std::min(
                                           done + 1, Story().size())))))
          << "crashes before operations " << crash << " and " << second;
    }
  }
}

// One failing disk operation (full, say) refuses its own action and no more,
// and nothing of it comes back: neither when snapshots follow nor when inserts
// do, which must not be appended behind half a record.
TEST(ReplayStoreTest, AnActionThatFailsLeavesNoTrace) {
  constexpr int64_t kMoreOperationsThanThereAre = 70;
  for (int64_t failure = 0; failure < kMoreOperationsThanThereAre; ++failure) {
    for (const bool snapshots : {false, true}) {
      FakeFiles files;
      const auto buffer = OpenOrDie(StoreOptions(files));
      files.FailOnce(failure);
      std::vector<float> held;
      for (float id = 1; id <= 5; ++id) {
        if (buffer->Insert(States({id})).ok()) held.push_back(id);
        if (snapshots) buffer->Snapshot().IgnoreError();
      }
      if (held.size() < 5) {  // whatever failed has been made good by this
        ASSERT_OK(buffer->Insert(States({6})));
        held.push_back(6);
      }
      EXPECT_THAT(Held(*buffer), ElementsAreArray(held));
      FakeFiles after =
          files.AfterCrash(FakeFiles::Tail::kKept, FakeFiles::Names::kAll);
      EXPECT_THAT(Held(*OpenOrDie(StoreOptions(after))),
                  ElementsAreArray(held));
    }
  }
}

TEST(ReplayStoreTest, WriteBacksAreDurableWithTheNextSnapshot) {
  FakeFiles files;
  auto buffer = OpenOrDie(StoreOptions(files));
  EXPECT_OK(buffer->Insert(States({1})));
  auto draw = buffer->Draw(1, 1, 0);
  EXPECT_EQ(buffer->WriteBack(*draw, States({2})), 1);
  FakeFiles before =
      files.AfterCrash(FakeFiles::Tail::kLost, FakeFiles::Names::kSyncedOnly);
  EXPECT_THAT(Held(*OpenOrDie(StoreOptions(before))), ElementsAre(1));
  EXPECT_OK(buffer->Snapshot());
  FakeFiles after =
      files.AfterCrash(FakeFiles::Tail::kLost, FakeFiles::Names::kSyncedOnly);
  EXPECT_THAT(Held(*OpenOrDie(StoreOptions(after))), ElementsAre(2));
}

// Slots, order of ages and times come back as they were.
TEST(ReplayStoreTest, ARestartChangesNoDraw) {
  FakeFiles files;
  StoppedClock clock;
  auto options = StoreOptions(files, 3);
  options.clock = &clock;
  auto buffer = OpenOrDie(options);
  EXPECT_OK(buffer->Insert(States({1, 2, 3, 4})));
  clock.Advance(absl::Seconds(2));
  EXPECT_OK(buffer->Snapshot());
  const absl::Time snapshot = clock.Now();
  clock.Advance(absl::Seconds(2));
  EXPECT_OK(buffer->Insert(States({5})));
  const auto draw = buffer->Draw(20, 9, 0.1);
  const ReplayStats stats = buffer->Stats();
  const std::vector<float> held = Held(*buffer);
  buffer = OpenOrDie(options);
  EXPECT_EQ(buffer->Draw(20, 9, 0.1)->states, draw->states);
  EXPECT_EQ(Held(*buffer), held);
  EXPECT_EQ(buffer->Stats().mean_age, stats.mean_age);
  EXPECT_EQ(buffer->Stats().last_snapshot, snapshot);
  EXPECT_OK(buffer->Insert(States({6})));  // the oldest is still 3
  EXPECT_THAT(Held(*buffer), ::testing::UnorderedElementsAre(4, 5, 6));
}

TEST(ReplayStoreTest, ASmallerCapacityKeepsTheNewest) {
  FakeFiles files;
  auto buffer = OpenOrDie(StoreOptions(files, 5));
  EXPECT_OK(buffer->Insert(States({1, 2, 3, 4, 5, 6, 7})));
  EXPECT_OK(std::exchange(buffer, nullptr)->Snapshot());
  EXPECT_THAT(Held(*OpenOrDie(StoreOptions(files, 2))),
              ::testing::UnorderedElementsAre(6, 7));
  EXPECT_THAT(Held(*OpenOrDie(StoreOptions(files, 5))),
              ::testing::UnorderedElementsAre(3, 4, 5, 6, 7));
}

TEST(ReplayStoreTest, AnotherDimensionIsRefused) {
  for (const bool snapshot : {false, true}) {
    FakeFiles files;
    auto buffer = OpenOrDie(StoreOptions(files));
    EXPECT_OK(buffer->Insert(States({1})));
    if (snapshot) {
      EXPECT_OK(buffer->Snapshot());
    }
    buffer.reset();
    auto options = StoreOptions(files);
    options.dimension = 3;
    EXPECT_THAT(ReplayBuffer::Open(options),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("of 2 floats, but the model's have 3")));
  }
}

TEST(ReplayStoreTest, AStoreIsOpenOnce) {
  TempDir folder;
  auto buffer = OpenOrDie(StoreOptions(folder.File("r")));
  EXPECT_THAT(ReplayBuffer::Open(StoreOptions(folder.File("r"))),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("already open")));
  buffer.reset();
  EXPECT_OK(ReplayBuffer::Open(StoreOptions(folder.File("r"))));
}

TEST(ReplayStoreTest, AFolderThatIsNotThereIsNamed) {
  TempDir folder;
  EXPECT_THAT(ReplayBuffer::Open(StoreOptions(folder.File("none/r"))),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none/r")));
}

TEST(ReplayStoreTest, TheJournalStaysShort) {
  FakeFiles files;
  const auto buffer = OpenOrDie(StoreOptions(files, 4));
  constexpr size_t kRecord = sizeof(internal::JournalRecord) + 8;
  size_t longest = 0;
  for (float id = 1; id < 5000; ++id) {
    ASSERT_OK(buffer->Insert(States({id})));
    longest = std::max(longest, files.Contents("r.journal").size());
  }
  EXPECT_LE(longest, (1 << 16) + kRecord);
  EXPECT_GT(buffer->Stats().last_snapshot, absl::InfinitePast());
}

// A record is cut into pieces of a bounded size, so that reading one back
// never takes more memory.
TEST(ReplayStoreTest, LargeInsertsComeBackWhole) {
  FakeFiles files;
  const int64_t n = 3 * internal::kMaxRecordBytes / 8 + 17;
  auto buffer = OpenOrDie(StoreOptions(files, n));
  std::vector<float> ids(static_cast<size_t>(n));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<float>(i + 1);
  EXPECT_OK(buffer->Insert(States(ids)));
  const auto draw = buffer->Draw(1000, 2, 0);
  buffer = OpenOrDie(StoreOptions(files, n));
  EXPECT_EQ(buffer->Stats().size, n);
  EXPECT_EQ(buffer->Draw(1000, 2, 0)->states, draw->states);
}

// Three records in the journal on top of three slots in the snapshot.
std::string MakeStore(const TempDir& folder) {
  const std::string path = folder.File("r");
  const auto buffer = OpenOrDie(StoreOptions(path));
  EXPECT_OK(buffer->Insert(States({1, 2, 3})));
  EXPECT_OK(buffer->Snapshot());
  for (const float id : {4.0F, 5.0F, 6.0F}) {
    EXPECT_OK(buffer->Insert(States({id})));
  }
  return path;
}

TEST(ReplayStoreTest, AJournalCutAnywhereKeepsWhatIsWhole) {
  TempDir folder;
  const std::string path = MakeStore(folder);
  const std::string journal = ReadFile(path + ".journal");
  const size_t record = journal.size() / 3;
  for (size_t size = 0; size <= journal.size(); ++size) {
    WriteFile(path + ".journal", journal.substr(0, size));
    const std::string snapshot = ReadFile(path + ".snapshot");
    {
      const auto buffer = OpenOrDie(StoreOptions(path));
      std::vector<float> expected = {1, 2, 3, 4, 5, 6};
      expected.resize(3 + size / record);
      EXPECT_THAT(Held(*buffer), ElementsAreArray(expected));
      EXPECT_EQ(buffer->Stats().torn_slots, size % record == 0 ? 0 : 1);
    }
    WriteFile(path + ".snapshot", snapshot);
  }
}

// Any one byte of either file changed: an error, or only states that were
// inserted, with at most the damaged ones missing.
TEST(ReplayStoreTest, ADamagedByteNeverMakesAState) {
  TempDir folder;
  const std::string path = MakeStore(folder);
  for (const std::string& file : {path + ".journal", path + ".snapshot"}) {
    const std::string journal = ReadFile(path + ".journal");
    const std::string snapshot = ReadFile(path + ".snapshot");
    const std::string bytes = ReadFile(file);
    for (size_t at = 0; at < bytes.size(); ++at) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
      WriteFile(path + ".journal", journal);
      WriteFile(path + ".snapshot", snapshot);
      WriteFile(file, damaged);
      const auto buffer = ReplayBuffer::Open(StoreOptions(path));
      if (!buffer.ok()) {
        EXPECT_LT(at, sizeof(internal::SnapshotHeader));
        continue;
      }
      const std::vector<float> held = Held(**buffer);
      EXPECT_THAT(held, Each(AnyOf(1, 2, 3, 4, 5, 6)));
      EXPECT_GE(held.size() + (*buffer)->Stats().torn_slots, 6);
      EXPECT_GT((*buffer)->Stats().torn_slots, 0);
    }
    WriteFile(path + ".journal", journal);
    WriteFile(path + ".snapshot", snapshot);
  }
}

TEST(ReplayStoreTest, ASnapshotCutAnywhereKeepsWhatIsWhole) {
  TempDir folder;
  const std::string path = MakeStore(folder);
  std::filesystem::remove(path + ".journal");
  const std::string snapshot = ReadFile(path + ".snapshot");
  constexpr size_t kSlot = sizeof(internal::SlotRecord) + 8;
  for (size_t size = 0; size < snapshot.size(); ++size) {
    WriteFile(path + ".snapshot", snapshot.substr(0, size));
    const auto buffer = ReplayBuffer::Open(StoreOptions(path));
    if (size < sizeof(internal::SnapshotHeader)) {
      EXPECT_THAT(buffer, StatusIs(absl::StatusCode::kDataLoss,
                                   HasSubstr(".snapshot")));
      continue;
    }
    ASSERT_OK(buffer);
    const size_t whole = (size - sizeof(internal::SnapshotHeader)) / kSlot;
    EXPECT_EQ((*buffer)->Stats().size, whole);
    EXPECT_EQ((*buffer)->Stats().torn_slots, 3 - whole);
  }
}

std::string SnapshotBytes(internal::SnapshotHeader header) {
  header.header_crc = internal::HeaderCrc(header);
  return {reinterpret_cast<const char*>(&header), sizeof(header)};
}

std::string JournalBytes(internal::JournalRecord record) {
  record.header_crc = internal::HeaderCrc(record);
  return {reinterpret_cast<const char*>(&record), sizeof(record)};
}

// Checksums are right, sizes are not.
TEST(ReplayStoreTest, HostileSizesTakeNoMemory) {
  TempDir folder;
  const std::string path = folder.File("r");
  for (const int64_t count : {int64_t{-1}, int64_t{1} << 62}) {
    WriteFile(path + ".snapshot",
              SnapshotBytes({.dimension = kDimension, .count = count}));
    EXPECT_THAT(ReplayBuffer::Open(StoreOptions(path)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("damaged")));
  }
  WriteFile(path + ".snapshot",
            SnapshotBytes({.dimension = kDimension, .count = 1 << 24}));
  EXPECT_EQ(OpenOrDie(StoreOptions(path))->Stats().torn_slots, 1 << 24);
  std::filesystem::remove(path + ".snapshot");
  for (const int64_t rows :
       {int64_t{-1}, int64_t{0}, int64_t{1} << 20, int64_t{1} << 62}) {
    WriteFile(
        path + ".journal",
        JournalBytes({.sequence = 1, .dimension = kDimension, .rows = rows}));
    EXPECT_EQ(OpenOrDie(StoreOptions(path))->Stats().torn_slots, 1);
    std::filesystem::remove(path + ".snapshot");
  }
}

TEST(ReplayStoreTest, FilesOfSomethingElseAreRefusedOrDropped) {
  TempDir folder;
  const std::string path = folder.File("r");
  std::string garbage(1000, '\0');
  for (size_t i = 0; i < garbage.size(); ++i) {
    garbage[i] = static_cast<char>(i * 37 + i / 7);
  }
  WriteFile(path + ".journal", garbage);
  EXPECT_THAT(Held(*OpenOrDie(StoreOptions(path))), IsEmpty());
  WriteFile(path + ".snapshot", garbage);
  EXPECT_THAT(ReplayBuffer::Open(StoreOptions(path)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("remove it")));
}

// Inserts one state after the other, with snapshots in between, and writes
// each id to `pipe` once it is acknowledged.
[[noreturn]] void InsertForEver(const std::string& path, float first_id,
                                int pipe) {
  const auto buffer = OpenOrDie(StoreOptions(path));
  for (float id = first_id;; ++id) {
    if (!buffer->Insert(States({id})).ok()) _exit(1);
    if (write(pipe, &id, sizeof(id)) != sizeof(id)) _exit(1);
    if (static_cast<int>(id) % 3 == 0 && !buffer->Snapshot().ok()) _exit(1);
  }
}

// Lets a child insert until `count` acknowledgements, kills it, and returns
// the last id that it acknowledged.
float KillAfter(const std::string& path, float first_id, int count) {
  int pipe_ends[2];
  BASIN_CHECK(pipe(pipe_ends) == 0);
  const pid_t child = fork();
  BASIN_CHECK(child >= 0);
  if (child == 0) InsertForEver(path, first_id, pipe_ends[1]);
  close(pipe_ends[1]);
  float last = first_id - 1;
  float id = 0;
  for (int i = 0; i < count; ++i) {
    if (read(pipe_ends[0], &id, sizeof(id)) == sizeof(id)) last = id;
  }
  kill(child, SIGKILL);
  while (read(pipe_ends[0], &id, sizeof(id)) == sizeof(id)) last = id;
  int status = 0;
  BASIN_CHECK(waitpid(child, &status, 0) == child);
  EXPECT_TRUE(WIFSIGNALED(status));
  close(pipe_ends[0]);
  return last;
}

TEST(ReplayStoreTest, KillingTheProcessLosesNothingAcknowledged) {
  TempDir folder;
  const std::string path = folder.File("r");
  float last = 0;
  for (int round = 0; round < 40; ++round) {
    last = KillAfter(path, last + 1, 1 + round % 11);
    const auto buffer = OpenOrDie(StoreOptions(path));
    const std::vector<float> held = Held(*buffer);
    EXPECT_THAT(held, Contains(last));
    // The last ids in a row; one more may be there unacknowledged.
    const float newest = *std::max_element(held.begin(), held.end());
    EXPECT_LE(newest, last + 1);
    for (size_t i = 0; i < held.size(); ++i) {
      EXPECT_THAT(held, Contains(newest - static_cast<float>(i)));
    }
    EXPECT_EQ(held.size(), std::min<size_t>(kCapacity, newest));
    last = newest;
  }
}

}  // namespace
}  // namespace basin::testing
