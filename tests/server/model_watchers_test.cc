#include "server/model_watchers.h"

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Recorder final : public ModelWatcher {
 public:
  void OnChange(const ModelStatus& status) override {
    names_.push_back(status.name);
  }
  void OnClose(const absl::Status& why) override { closed_ = why; }

  const std::vector<std::string>& names() const { return names_; }
  const absl::Status& closed() const { return closed_; }

 private:
  std::vector<std::string> names_;
  absl::Status closed_;
};

// Counts the blocks that are out.
class CountingMemory final : public std::pmr::memory_resource {
 public:
  int blocks() const { return blocks_; }

 private:
  void* do_allocate(size_t bytes, size_t alignment) override {
    ++blocks_;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* block, size_t bytes, size_t alignment) override {
    --blocks_;
    std::pmr::new_delete_resource()->deallocate(block, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  int blocks_ = 0;
};

TEST(ModelWatchers, TellThoseAlive) {
  ModelWatchers watchers;
  const auto stays = std::make_shared<Recorder>();
  auto leaves = std::make_shared<Recorder>();
  watchers.Add(stays);
  watchers.Add(leaves);
  leaves = nullptr;
  ModelStatus status;
  status.name = "m";
  watchers.Notify(status);
  EXPECT_THAT(stays->names(), ElementsAre("m"));
}

TEST(ModelWatchers, ClosingEndsThoseThereAndThoseToCome) {
  ModelWatchers watchers;
  const auto before = std::make_shared<Recorder>();
  const auto after = std::make_shared<Recorder>();
  watchers.Add(before);
  watchers.Close(absl::UnavailableError("draining"));
  watchers.Add(after);
  EXPECT_THAT(before->closed(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("draining")));
  EXPECT_THAT(after->closed(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("draining")));
}

// Clients that watch and leave cost nothing, though no model changes.
TEST(ModelWatchers, ThoseGoneHoldNoMemory) {
  CountingMemory memory;
  {
    ModelWatchers watchers;
    for (int i = 0; i < 100; ++i) {
      watchers.Add(std::allocate_shared<Recorder>(
          std::pmr::polymorphic_allocator<Recorder>(&memory)));
    }
    EXPECT_LE(memory.blocks(), 1);
  }
  EXPECT_EQ(memory.blocks(), 0);
}

}  // namespace
}  // namespace basin::testing
