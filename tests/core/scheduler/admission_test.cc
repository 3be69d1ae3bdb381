// What Submit() refuses, and that what it admits stays within the bounds.

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/scheduler/scheduler.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

class AdmissionTest : public ::testing::Test {
 protected:
  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  const std::shared_ptr<const EnergyModel> model_ =
      MakeFakeModel(*backend_, {.max_chains = 1000});
};

TEST_F(AdmissionTest, RefusesBadSampleSpecsByField) {
  using Change = void (*)(SampleSpec&);
  const std::pair<const char*, Change> kCases[] = {
      {"model", [](SampleSpec& s) { s.model = nullptr; }},
      {"priority", [](SampleSpec& s) { s.options.priority = 0; }},
      {"priority", [](SampleSpec& s) { s.options.priority = 10; }},
      {"chains", [](SampleSpec& s) { s.chains = 0; }},
      {"chains", [](SampleSpec& s) { s.chains = -1; }},
      {"chains", [](SampleSpec& s) { s.chains = 1001; }},
      {"warmup", [](SampleSpec& s) { s.warmup = -1; }},
      {"steps", [](SampleSpec& s) { s.steps = 0; }},
      {"keep_every", [](SampleSpec& s) { s.keep_every = -1; }},
      {"keep_every", [](SampleSpec& s) { s.keep_every = 8; }},
      {"chains *", [](SampleSpec& s) { s.steps = kHuge; }},
      {"chains *", [](SampleSpec& s) { s.steps = s.warmup = kHuge; }},
      {"chains *", [](SampleSpec& s) { s.steps = 500'000'000'001; }},
      {"max_pending_bytes", [](SampleSpec& s) { s.max_pending_bytes = -1; }},
      {"box",
       [](SampleSpec& s) {
         s.box = {1, 1};
       }},
      {"box",
       [](SampleSpec& s) {
         s.box = {2, 1};
       }},
      {"box", [](SampleSpec& s) { s.box.lower = std::nanf(""); }},
      {"initial:", [](SampleSpec& s) { s.initial.pop_back(); }},
      {"initial:", [](SampleSpec& s) { s.initial.clear(); }},
      {"initial:", [](SampleSpec& s) { s.chains = 1000; }},
      {"initial[2]", [](SampleSpec& s) { s.initial[2] = std::nanf(""); }},
      {"initial[3]", [](SampleSpec& s) { s.initial[3] = kInf; }},
      {"initial[0]",
       [](SampleSpec& s) {
         s.box = {5, 6};
       }},
      {"transition.ula.step_size",
       [](SampleSpec& s) { s.transition.step_size = -1; }},
      {"inverse_temperature", [](SampleSpec& s) { s.inverse_temperature = 0; }},
  };
  const auto scheduler = Scheduler::Create(*backend_, {});
  for (const auto& [field, change] : kCases) {
    SampleSpec spec = MakeSample(model_, TransitionKind::kUla, 2, 7);
    change(spec);
    EXPECT_THAT(
        scheduler->Submit(std::move(spec)),
        StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(field)));
  }
  EXPECT_EQ(scheduler->Load().jobs, 0);
}

TEST_F(AdmissionTest, RefusesBadScoreSpecsByField) {
  using Change = void (*)(ScoreSpec&);
  const std::pair<const char*, Change> kCases[] = {
      {"model", [](ScoreSpec& s) { s.model = nullptr; }},
      {"rows", [](ScoreSpec& s) { s.rows = 0; }},
      {"inputs:", [](ScoreSpec& s) { s.rows = kHuge; }},
      {"inputs:", [](ScoreSpec& s) { s.inputs.push_back(0); }},
      {"inputs[1]", [](ScoreSpec& s) { s.inputs[1] = kInf; }},
      {"on_deadline",
       [](ScoreSpec& s) {
         s.options.on_deadline = JobOptions::OnDeadline::kPartial;
       }},
  };
  const auto scheduler = Scheduler::Create(*backend_, {});
  for (const auto& [field, change] : kCases) {
    ScoreSpec spec = MakeScore(model_, 2);
    change(spec);
    EXPECT_THAT(
        scheduler->Submit(std::move(spec)),
        StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(field)));
  }
}

TEST_F(AdmissionTest, RefusesAModelOfAnotherDevice) {
  const auto elsewhere = CreateCpuBackend();
  const auto scheduler = Scheduler::Create(*elsewhere, {});
  EXPECT_THAT(scheduler->Submit(MakeScore(model_, 1)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("model")));
}

TEST_F(AdmissionTest, WhatNeverFitsNamesTheLimit) {
  SchedulerOptions options;
  options.max_rows = 10;
  options.max_bytes = 100'000;
  options.max_work = absl::Seconds(1);
  const auto scheduler = Scheduler::Create(*backend_, options);
  const auto refusal = [](const char* limit) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(limit));
  };
  EXPECT_THAT(scheduler->Submit(MakeScore(model_, 11)), refusal("max_rows"));
  SampleSpec spec = MakeSample(model_, TransitionKind::kUla, 10, 1'000'000);
  EXPECT_THAT(scheduler->Submit(spec), refusal("max_work"));
  spec.keep_every = 1;
  EXPECT_THAT(scheduler->Submit(spec), refusal("max_bytes"));
  EXPECT_EQ(scheduler->Load().bytes, 0);
}

// Counts refusals by reason.
class Refusals final : public SchedulerObserver {
 public:
  void OnRejected(std::string_view reason) override {
    reasons.emplace_back(reason);
  }
  std::vector<std::string> reasons;  // Submit() calls it in the test's thread
};

TEST_F(AdmissionTest, TenfoldOverloadIsRefusedAndStaysBounded) {
  Gate gate;
  FakeModelOptions model_options;
  model_options.hook = [&](int) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto model = MakeFakeModel(*backend_, model_options);
  Refusals refusals;
  SchedulerOptions options;
  options.workers = 2;
  options.max_rows = 100;
  options.observer = &refusals;
  const auto scheduler = Scheduler::Create(*backend_, options);
  std::vector<Running<SampleJob>> admitted;
  for (int i = 0; i < 100; ++i) {
    const SampleSpec spec = MakeSample(model, TransitionKind::kUla, 10, 20);
    if (i < 10) {
      admitted.push_back(Start(*scheduler, spec));
      continue;
    }
    EXPECT_THAT(scheduler->Submit(spec),
                StatusIs(absl::StatusCode::kResourceExhausted,
                         AllOf(HasSubstr("max_rows"),
                               HasSubstr("retry in about 1 s"))));
  }
  EXPECT_EQ(scheduler->Load().jobs, 10);
  EXPECT_LE(scheduler->Load().rows_ready + scheduler->Load().rows_running, 100);
  EXPECT_EQ(refusals.reasons, std::vector<std::string>(90, "rows"));
  gate.Open();
  for (const auto& running : admitted) {
    EXPECT_OK(Collect(running).result.status);
  }
  // There is room again.
  EXPECT_OK(Collect(Start(*scheduler, MakeScore(model, 100))).status);
}

TEST_F(AdmissionTest, BytesAreHeldUntilTheAnswerIsGone) {
  SchedulerOptions options;
  options.max_bytes = 100'000;
  const auto scheduler = Scheduler::Create(*backend_, options);
  const ScoreSpec spec = MakeScore(model_, 4000);  // 80,000 bytes
  Running<ScoreJob> first = Start(*scheduler, spec);
  first.AwaitDone();
  EXPECT_GE(scheduler->Load().bytes, 80'000);
  EXPECT_THAT(
      scheduler->Submit(spec),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("max_bytes")));
  first.job.reset();
  // The worker that finished it may hold the job a moment longer.
  scheduler->Drain(absl::Hours(1));
  EXPECT_EQ(scheduler->Load().bytes, 0);
  EXPECT_EQ(scheduler->Load().jobs, 0);
  EXPECT_EQ(scheduler->Load().estimated_work, absl::ZeroDuration());
}

TEST_F(AdmissionTest, LoadOfAnIdleScheduler) {
  SchedulerOptions options;
  options.workers = 3;
  const auto scheduler = Scheduler::Create(*backend_, options);
  Collect(Start(*scheduler, MakeSample(model_, TransitionKind::kMala, 20, 9)));
  scheduler->Drain(absl::Hours(1));
  const SchedulerLoad load = scheduler->Load();
  EXPECT_EQ(load.workers, 3);
  EXPECT_EQ(load.rows_ready, 0);
  EXPECT_EQ(load.rows_running, 0);
  EXPECT_EQ(load.jobs, 0);
  EXPECT_EQ(load.estimated_work, absl::ZeroDuration());
  EXPECT_EQ(load.bytes, 0);
}

}  // namespace
}  // namespace basin::testing
