// Tuning during warm-up, of chains that are not there: their acceptance is a
// function of the step size.

#include "core/scheduler/warmup_adaptation.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/normal.h"
#include "core/base/philox.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/core/scheduler/job_helpers.h"

namespace basin::internal {
namespace {

using ::testing::Each;
using ::testing::FloatNear;

using Acceptance = std::function<double(double step)>;

// That of HMC in many dimensions.
double Smooth(double step) { return std::erfc(step * step / std::sqrt(2.0)); }
// Of a target with edges: beyond them nothing is accepted.
double Steep(double step) { return 1 / (1 + std::pow(step / 0.3, 8)); }

class WarmupAdaptationTest : public ::testing::Test {
 protected:
  static constexpr int64_t kChains = 16;

  SampleSpec Spec(int64_t warmup) const {
    SampleSpec spec = testing::MakeSample(testing::MakeFakeModel(*backend_, {}),
                                          TransitionKind::kHmc, kChains, 1);
    spec.warmup = warmup;
    spec.transition.step_size = 0.1;
    spec.adaptation = {.step_size = true, .metric = true};
    return spec;
  }

  // The settings after the warm-up. Each chain's acceptance has noise; replica
  // k accepts as `acceptance` says of 4^-k times its step size. States lie
  // `spread` apart, of replica 1 a hundred times as far.
  MovingSettings Settings(
      SampleSpec spec, const Acceptance& acceptance,
      const std::function<double(int64_t done)>& spread = nullptr) {
    const Transition& transition = GetTransition(spec.transition.kind);
    WarmupAdaptation adaptation(spec, transition);
    MovingSettings settings = MakeSettings(spec, transition);
    ChainRows rows = MakeRows(spec, transition);
    uint64_t draws = 0;
    const auto normal = [&draws] {
      return double{
          NormalsOf(Philox(7, DrawCounter(0, 0, draws++, 0))).value[0]};
    };
    meetings_.clear();
    for (int64_t done = 0; done < spec.warmup;) {
      const int64_t next = adaptation.NextAfter(done);
      for (int64_t row = 0; row < rows.rows(); ++row) {
        const int64_t k = row % rows.replicas;
        const double metric =
            in_metric_ && !settings.scale.empty() ? settings.scale[0] : 1;
        const double mean = acceptance(settings.replicas[k].params.step_size *
                                       metric * std::pow(0.25, k));
        rows.proposals[row] += next - done;
        for (int64_t i = done; i < next; ++i) {
          rows.acceptance_sum[row] +=
              std::clamp(mean + mean * (1 - mean) * normal(), 0.0, 1.0);
        }
        const double length = (spread ? spread(next) : 1) * std::pow(100, k);
        for (int64_t i = 0; i < 3; ++i) {
          rows.states[3 * row + i] = static_cast<float>(length * normal());
        }
      }
      adaptation.Hold(next, rows, settings);
      meetings_.push_back(next);
      done = next;
    }
    EXPECT_EQ(adaptation.NextAfter(spec.warmup), Meeting::kNever);
    return settings;
  }

  double Tune(const SampleSpec& spec, const Acceptance& acceptance) {
    return Settings(spec, acceptance).replicas[0].params.step_size;
  }

  int64_t MeetingsSince(int64_t step) const {
    return meetings_.end() -
           std::upper_bound(meetings_.begin(), meetings_.end(), step);
  }

  const std::unique_ptr<Backend> backend_ = CreateCpuBackend();
  std::vector<int64_t> meetings_;
  bool in_metric_ = false;  // acceptance is of lengths of the metric
};

TEST_F(WarmupAdaptationTest, AcceptanceEndsNearTheTarget) {
  for (const Acceptance& acceptance : {Acceptance(Smooth), Acceptance(Steep)}) {
    for (const int64_t warmup : {150, 300, 500, 1000, 5000, 50000}) {
      EXPECT_NEAR(acceptance(Tune(Spec(warmup), acceptance)), 0.651, 0.06)
          << warmup;
    }
  }
}

TEST_F(WarmupAdaptationTest, ShortOnesComeClose) {
  for (const Acceptance& acceptance : {Acceptance(Smooth), Acceptance(Steep)}) {
    EXPECT_NEAR(acceptance(Tune(Spec(100), acceptance)), 0.651, 0.2);
  }
}

// The step size that is kept comes from the last 50 steps, however long the
// warm-up is; and the meetings stay few.
TEST_F(WarmupAdaptationTest, TheLastWindowMeetsAtEveryStep) {
  for (const int64_t warmup : {500, 1000, 50000}) {
    Tune(Spec(warmup), Smooth);
    EXPECT_EQ(MeetingsSince(warmup - 50), 50) << warmup;
    EXPECT_LT(meetings_.size(), 800U) << warmup;
    EXPECT_EQ(meetings_.back(), warmup);
  }
}

// The metric is that of the last window that gathers states, 150 to 249.
TEST_F(WarmupAdaptationTest, EachWindowForgetsTheOneBefore) {
  const MovingSettings settings = Settings(
      Spec(300), Smooth, [](int64_t done) { return done <= 150 ? 10 : 0.5; });
  EXPECT_THAT(settings.scale, Each(FloatNear(0.5F, 0.05F)));
}

// A new metric is another length for steps: tuning begins anew.
TEST_F(WarmupAdaptationTest, StepsAreTunedInTheLastMetric) {
  in_metric_ = true;
  for (const double last : {0.01, 100.0}) {
    const MovingSettings settings =
        Settings(Spec(1000), Smooth,
                 [last](int64_t done) { return done <= 450 ? 1 : last; });
    EXPECT_NEAR(
        Smooth(settings.replicas[0].params.step_size * settings.scale[0]),
        0.651, 0.06);
  }
}

// Each replica has a step size of its own; the metric is of the chains that
// the request sees.
TEST_F(WarmupAdaptationTest, ReplicasAreTunedApart) {
  SampleSpec spec = Spec(500);
  spec.tempering.ladder = {1, 0.25};
  spec.initial.resize(2 * spec.initial.size());
  const MovingSettings settings = Settings(spec, Smooth);
  for (const double k : {0, 1}) {
    const ReplicaSettings& replica = settings.replicas[static_cast<size_t>(k)];
    EXPECT_NEAR(Smooth(replica.params.step_size * std::pow(0.25, k)), 0.651,
                0.06);
    EXPECT_FLOAT_EQ(replica.coefficients.move,
                    static_cast<float>(replica.params.step_size));
  }
  EXPECT_THAT(settings.scale, Each(FloatNear(1, 0.1F)));
}

}  // namespace
}  // namespace basin::internal
