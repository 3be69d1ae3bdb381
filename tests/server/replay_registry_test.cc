#include "server/replay_registry.h"

#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/test_models.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ModelInfo WithReplay(int64_t capacity) {
  ModelInfo model = SmallModel();
  model.replay.capacity = capacity;
  return model;
}

class ReplayRegistryTest : public ::testing::Test {
 protected:
  std::unique_ptr<ReplayRegistry> Create() {
    auto registry = ReplayRegistry::Create({folder_.path(), absl::Hours(1)});
    EXPECT_OK(registry);
    return *std::move(registry);
  }
  TempDir folder_;
};

TEST_F(ReplayRegistryTest, OneBufferForEachVersion) {
  const auto registry = Create();
  EXPECT_THAT(registry->List(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto first, registry->Get(WithReplay(10)));
  ASSERT_OK_AND_ASSIGN(const auto again, registry->Get(WithReplay(10)));
  EXPECT_EQ(first, again);
  ModelInfo other = WithReplay(10);
  other.version = 2;
  ASSERT_OK_AND_ASSIGN(const auto second, registry->Get(other));
  EXPECT_NE(first, second);
  EXPECT_THAT(registry->List(), SizeIs(2));
}

TEST_F(ReplayRegistryTest, ModelsWithoutOneAreToldSo) {
  EXPECT_THAT(Create()->Get(WithReplay(0)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("small has no replay buffer")));
}

TEST_F(ReplayRegistryTest, ClosingKeepsWhatIsThere) {
  const auto registry = Create();
  {
    ASSERT_OK_AND_ASSIGN(const auto buffer, registry->Get(WithReplay(10)));
    ASSERT_OK(buffer->Insert(std::vector<float>(12, 0.5F)));
  }
  registry->Close("small", 1);
  registry->Close("unknown", 1);
  EXPECT_THAT(registry->List(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto buffer, registry->Get(WithReplay(10)));
  EXPECT_EQ(buffer->Stats().size, 2);
}

TEST_F(ReplayRegistryTest, AStoreNeverHasTwoOwners) {
  const auto registry = Create();
  ASSERT_OK_AND_ASSIGN(auto held, registry->Get(WithReplay(10)));
  registry->Close("small", 1);
  EXPECT_THAT(registry->Get(WithReplay(10)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("try again")));
  registry->Close("small",
                  1);  // unloaded once more, with the buffer still held
  EXPECT_THAT(registry->Get(WithReplay(10)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("try again")));
  held = nullptr;
  EXPECT_OK(registry->Get(WithReplay(10)));
}

TEST_F(ReplayRegistryTest, AnotherConfigurationOpensItAnew) {
  const auto registry = Create();
  {
    ASSERT_OK_AND_ASSIGN(const auto buffer, registry->Get(WithReplay(10)));
    ASSERT_OK(buffer->Insert(std::vector<float>(30, 0.5F)));
  }
  ASSERT_OK_AND_ASSIGN(const auto smaller, registry->Get(WithReplay(3)));
  EXPECT_EQ(smaller->Stats().capacity, 3);
  EXPECT_EQ(smaller->Stats().size, 3);
}

TEST_F(ReplayRegistryTest, AFolderThatCannotBeIsAnError) {
  EXPECT_THAT(ReplayRegistry::Create({"/proc/nothing/here", absl::Hours(1)}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("/proc/nothing/here")));
}

}  // namespace
}  // namespace basin::testing
