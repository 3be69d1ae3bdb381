#include "core/model/repository.h"

#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/mutex.h"
#include "tests/core/model/evaluate.h"
#include "tests/testing/model_files.h"
#include "tests/testing/sanitizers.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kNotFound = absl::StatusCode::kNotFound;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// A repository in a folder of its own, with a log of its changes.
class RepositoryTest : public ::testing::Test {
 protected:
  RepositoryTest() : backend_(CreateCpuBackend()) {
    ModelRepository::Options options;
    options.folder = folder_.path();
    options.load.max_tile_rows = 4;
    options.on_change = [this](const ModelStatus& status) {
      MutexLock lock(mu_);
      changes_.push_back(absl::StrCat(status.name, "/", status.version, " ",
                                      std::string(Name(status.state)),
                                      status.serving ? " serving" : ""));
    };
    auto repository = ModelRepository::Create(*backend_, std::move(options));
    BASIN_CHECK(repository.ok());
    repository_ = *std::move(repository);
  }

  // A quadratic energy with this scale.
  void Write(const std::string& name, int64_t version, float scale = 1) {
    WriteModel(folder_.path(), name, version, GraphConfig(2),
               QuadraticOnnx(2, scale));
  }
  void WriteBroken(const std::string& name, int64_t version) {
    WriteModel(folder_.path(), name, version, GraphConfig(2), "not ONNX");
  }

  // The energy of (1, 1) by `model`: its scale.
  static float ScaleOf(const EnergyModel& model) {
    return EvaluateAll(model, 1, {1, 1}).energies[0];
  }
  float ServedScale(const std::string& name, int64_t version = 0) {
    const auto model = repository_->Find(name, version);
    return model.ok() ? ScaleOf(**model) : -1;
  }

  std::vector<std::string> Changes() {
    MutexLock lock(mu_);
    return std::move(changes_);
  }

  TempDir folder_;
  const std::unique_ptr<Backend> backend_;
  Mutex mu_;
  std::vector<std::string> changes_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<ModelRepository> repository_;
};

TEST_F(RepositoryTest, TheFolderMustExist) {
  EXPECT_THAT(
      ModelRepository::Create(
          *backend_,
          {.folder = folder_.File("none"), .load = {}, .on_change = nullptr}),
      StatusIs(kNotFound, HasSubstr("none")));
}

TEST_F(RepositoryTest, LoadAllTakesTheHighestVersionOfEachModel) {
  Write("a", 1, 1);
  Write("a", 2, 2);
  Write("a", 10, 10);
  Write("b", 3, 3);
  repository_->LoadAll();
  EXPECT_EQ(ServedScale("a"), 10);
  EXPECT_EQ(ServedScale("a", 10), 10);
  EXPECT_EQ(ServedScale("b"), 3);
  EXPECT_THAT(repository_->Find("a", 2),
              StatusIs(kNotFound, HasSubstr("version 2")));
  EXPECT_THAT(Changes(), ElementsAre("a/10 LOADING", "a/10 READY serving",
                                     "b/3 LOADING", "b/3 READY serving"));
}

TEST_F(RepositoryTest, AFailingModelDisturbsNobody) {
  Write("a", 1);
  WriteBroken("b", 1);
  Write("c", 1);
  repository_->LoadAll();
  EXPECT_OK(repository_->Find("a", 0));
  EXPECT_OK(repository_->Find("c", 0));
  EXPECT_THAT(repository_->Find("b", 0),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("model 'b' version 1 could not be loaded: ")));
  const std::vector<ModelStatus> all = repository_->List();
  ASSERT_EQ(all.size(), 3);
  EXPECT_EQ(all[1].state, ModelState::kFailed);
  EXPECT_NE(all[1].reason, "");
  EXPECT_EQ(all[1].model, nullptr);
  EXPECT_FALSE(all[1].serving);
  EXPECT_TRUE(all[2].serving);
}

TEST_F(RepositoryTest, FoldersThatAreNoModelsAreSkipped) {
  Write(".hidden", 1);
  Write("with space", 1);
  std::filesystem::create_directories(folder_.File("empty"));
  std::filesystem::create_directories(folder_.File("words/latest"));
  std::filesystem::create_directories(folder_.File("zeros/01"));
  WriteFile(folder_.File("README.md"), "text");
  repository_->LoadAll();
  EXPECT_THAT(repository_->List(), IsEmpty());
}

TEST_F(RepositoryTest, FindSaysWhatThereIs) {
  EXPECT_THAT(repository_->Find("x", 0),
              StatusIs(kNotFound, HasSubstr("there are none")));
  Write("a", 1);
  Write("b", 1);
  repository_->LoadAll();
  EXPECT_THAT(repository_->Find("x", 0),
              StatusIs(kNotFound, HasSubstr("'x'; there are 'a', 'b'")));
}

TEST_F(RepositoryTest, NamesAreNeverPaths) {
  for (const std::string name :
       {"", ".", "..", "../a", "a/b", "/etc", "a\n", "a b", ".a"}) {
    EXPECT_THAT(repository_->Load(name, 1),
                StatusIs(kInvalid, HasSubstr("model name")))
        << name;
  }
  EXPECT_THAT(repository_->Load(std::string(1000, 'a'), 1),
              StatusIs(kInvalid, HasSubstr("model name")));
  EXPECT_THAT(repository_->Load(std::string("a\0b", 3), 1),
              StatusIs(kInvalid, HasSubstr("a\\x00")));
}

TEST_F(RepositoryTest, LoadNamesWhatIsMissing) {
  EXPECT_THAT(repository_->Load("a", 0),
              StatusIs(kNotFound, HasSubstr("no model folder")));
  Write("a", 1);
  EXPECT_THAT(repository_->Load("a", 2),
              StatusIs(kNotFound, HasSubstr("no folder for 2")));
  EXPECT_THAT(repository_->Load("a", -1),
              StatusIs(kInvalid, HasSubstr("got -1")));
  std::filesystem::create_directories(folder_.File("b"));
  EXPECT_THAT(repository_->Load("b", 0),
              StatusIs(kNotFound, HasSubstr("no folder for any version")));
  EXPECT_THAT(repository_->List(), IsEmpty());
}

TEST_F(RepositoryTest, TheHighestReadyVersionServes) {
  Write("a", 1, 1);
  Write("a", 2, 2);
  EXPECT_OK(repository_->Load("a", 2));
  EXPECT_OK(repository_->Load("a", 1));
  EXPECT_EQ(ServedScale("a"), 2);
  EXPECT_EQ(ServedScale("a", 1), 1);
  EXPECT_OK(repository_->Unload("a", 2));
  EXPECT_EQ(ServedScale("a"), 1);
  EXPECT_THAT(repository_->Find("a", 2),
              StatusIs(kNotFound, HasSubstr("version 2 is not loaded")));
  EXPECT_THAT(Changes(),
              ElementsAre("a/2 LOADING", "a/2 READY serving", "a/1 LOADING",
                          "a/1 READY", "a/2 UNLOADED"));
}

TEST_F(RepositoryTest, WhoHoldsAModelKeepsIt) {
  Write("a", 1, 7);
  EXPECT_OK(repository_->Load("a", 0));
  ASSERT_OK_AND_ASSIGN(const auto model, repository_->Find("a", 0));
  EXPECT_OK(repository_->Unload("a", 0));
  EXPECT_EQ(ScaleOf(*model), 7);
  EXPECT_EQ(model.use_count(), 1);
}

TEST_F(RepositoryTest, UnloadNamesWhatIsNotLoaded) {
  EXPECT_THAT(repository_->Unload("a", 0),
              StatusIs(kNotFound, HasSubstr("no model 'a'")));
  Write("a", 1);
  EXPECT_OK(repository_->Load("a", 1));
  EXPECT_THAT(repository_->Unload("a", 2),
              StatusIs(kNotFound, HasSubstr("version 2")));
  EXPECT_OK(repository_->Unload("a", 1));
  EXPECT_THAT(repository_->Unload("a", 0),
              StatusIs(kNotFound, HasSubstr("no loaded version")));
  EXPECT_THAT(repository_->Find("a", 0), StatusIs(kNotFound, HasSubstr("a")));
}

TEST_F(RepositoryTest, UnloadedAndFailedModelsLoadAgain) {
  WriteBroken("a", 1);
  EXPECT_THAT(repository_->Load("a", 1),
              StatusIs(kInvalid, HasSubstr("model 'a' version 1: ")));
  Write("a", 1, 3);
  EXPECT_OK(repository_->Load("a", 1));
  EXPECT_OK(repository_->Unload("a", 1));
  EXPECT_OK(repository_->Load("a", 1));
  EXPECT_EQ(ServedScale("a"), 3);
  EXPECT_THAT(Changes(), ElementsAre("a/1 LOADING", "a/1 FAILED", "a/1 LOADING",
                                     "a/1 READY serving", "a/1 UNLOADED",
                                     "a/1 LOADING", "a/1 READY serving"));
}

TEST_F(RepositoryTest, AReloadReplacesTheModelAtOnce) {
  Write("a", 1, 1);
  EXPECT_OK(repository_->Load("a", 1));
  ASSERT_OK_AND_ASSIGN(const auto old, repository_->Find("a", 1));
  Write("a", 1, 2);
  EXPECT_OK(repository_->Load("a", 1));
  EXPECT_EQ(ServedScale("a"), 2);
  EXPECT_EQ(ScaleOf(*old), 1);
  WriteBroken("a", 1);
  EXPECT_FALSE(repository_->Load("a", 1).ok());
  EXPECT_EQ(ServedScale("a"), 2);
  EXPECT_EQ(repository_->List()[0].state, ModelState::kReady);
  EXPECT_THAT(Changes(), ElementsAre("a/1 LOADING", "a/1 READY serving",
                                     "a/1 READY serving"));
}

TEST_F(RepositoryTest, AModelThatLoadsIsUnavailable) {
  Write("a", 1);
  std::vector<absl::Status> found;
  ModelRepository::Options options;
  options.folder = folder_.path();
  ModelRepository* repository = nullptr;
  options.on_change = [&](const ModelStatus& status) {
    found.push_back(repository->Find(status.name, 0).status());
    found.push_back(repository->Find(status.name, 1).status());
  };
  ASSERT_OK_AND_ASSIGN(const auto owned,
                       ModelRepository::Create(*backend_, options));
  repository = owned.get();
  EXPECT_OK(repository->Load("a", 1));
  ASSERT_EQ(found.size(), 4);
  EXPECT_THAT(found[0], StatusIs(absl::StatusCode::kUnavailable,
                                 HasSubstr("'a' version 1 is loading")));
  EXPECT_THAT(found[1],
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("loading")));
  EXPECT_OK(found[2]);
  EXPECT_OK(found[3]);
}

// Readers never see a gap while a model is loaded again and again.
TEST_F(RepositoryTest, FindWorksThroughReloads) {
  Write("a", 1, 1);
  ASSERT_OK(repository_->Load("a", 1));
  std::atomic<bool> done = false;
  std::atomic<int> misses = 0;
  std::thread reader([&] {
    while (!done) {
      if (!repository_->Find("a", 0).ok()) ++misses;
      repository_->List();
    }
  });
  std::thread other([&] {
    Write("b", 1, 1);
    for (int i = 0; i < 5; ++i) {
      EXPECT_OK(repository_->Load("b", 1));
      EXPECT_OK(repository_->Unload("b", 1));
    }
  });
  for (int i = 0; i < 5; ++i) EXPECT_OK(repository_->Load("a", 1));
  other.join();
  done = true;
  reader.join();
  EXPECT_EQ(misses, 0);
}

// Bytes of the program in memory.
size_t ResidentBytes() {
  malloc_trim(0);  // as the server does when a model goes
  std::ifstream file("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST_F(RepositoryTest, LoadingAndUnloadingReturnsTheMemory) {
  if (kSanitizedMemory) GTEST_SKIP() << "freed memory stays in quarantine";
  Write("quadratic", 1);
  WriteBroken("broken", 1);
  WriteModel(folder_.path(), "classifier", 1,
             "family: CLASSIFIER input { shape: [64] }",
             ClassifierOnnx(64, 256));
  const auto cycle = [&](int i) {
    const std::string name = i % 2 == 0 ? "classifier" : "quadratic";
    ASSERT_OK(repository_->Load(name, 1));
    ASSERT_OK_AND_ASSIGN(const auto model, repository_->Find(name, 0));
    EvaluateAll(*model, 4, std::vector<float>(2 * model->info().dimension, 1));
    EXPECT_OK(repository_->Compose(
        {Composition::Kind::kProduct, {{.name = name}}, 1.0 + i % 8}));
    EXPECT_FALSE(repository_->Load("broken", 1).ok());
    ASSERT_OK(repository_->Unload(name, 1));
  };
  for (int i = 0; i < 20; ++i) cycle(i);
  const size_t before = ResidentBytes();
  for (int i = 0; i < 200; ++i) cycle(i);
  EXPECT_LE(ResidentBytes(), before + (1 << 20));
}

TEST(ModelStateTest, HasNames) {
  EXPECT_EQ(Name(ModelState::kLoading), "LOADING");
  EXPECT_EQ(Name(ModelState::kReady), "READY");
  EXPECT_EQ(Name(ModelState::kFailed), "FAILED");
  EXPECT_EQ(Name(ModelState::kUnloaded), "UNLOADED");
}

}  // namespace
}  // namespace basin::testing
