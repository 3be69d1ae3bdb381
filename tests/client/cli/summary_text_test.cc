#include "client/cli/summary_text.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace basin::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(SummaryTextTest, SaysWhatIsThere) {
  SampleResult result;
  result.accepted.mutable_transition()->mutable_hmc()->set_step_size(0.1);
  result.accepted.mutable_target()->set_kind(v1::Target::EXACT);
  result.accepted.set_steps(1000);
  result.accepted.set_seed(7);
  v1::SampleEvent::Summary& summary = result.summary;
  summary.mutable_tuned()->mutable_hmc()->set_step_size(0.25);
  result.tuned_variance = {{2}, {1, 4}};
  summary.set_rhat(1.002);
  summary.set_split_rhat(1.001);
  summary.set_ess(400);
  summary.set_ess_tail(300);
  summary.set_converged(true);
  summary.set_steps(600);
  const std::string text = SummaryText(result);
  EXPECT_THAT(
      text,
      AllOf(HasSubstr("transition   hmc step_size=0.1 (exact)\n"),
            HasSubstr("tuned        hmc step_size=0.25, and a length for"),
            HasSubstr("R-hat        1.0020 by ranks, 1.0010 split\n"),
            HasSubstr("ESS          400.0 bulk, 300.0 tail\n"),
            HasSubstr("ended early  at step 600 of 1000, where"),
            HasSubstr("seed         7\n")));
  EXPECT_THAT(
      text, AllOf(Not(HasSubstr("acceptance")), Not(HasSubstr("temperatures")),
                  Not(HasSubstr("ln Z")), Not(HasSubstr("truncated"))));
}

TEST(SummaryTextTest, HasALineForEachTemperature) {
  SampleResult result;
  v1::SampleEvent::Summary& summary = result.summary;
  v1::SampleEvent::Replica& first = *summary.add_replicas();
  first.set_inverse_temperature(1);
  first.set_step_size(0.5);
  first.set_acceptance(0.6);
  first.set_mean_energy(-3);
  first.set_swap_rate(0.25);
  summary.add_replicas()->set_inverse_temperature(0.125);
  summary.set_round_trips(9);
  EXPECT_THAT(
      SummaryText(result),
      AllOf(HasSubstr("1          0.5        0.6        -3           0.25\n"),
            HasSubstr("0.125      -          -          -            -\n"),
            HasSubstr("round trips  9\n")));
}

TEST(SummaryTextTest, LnZComesWithItsIntervalAndADoubt) {
  v1::SampleEvent::LogZ log_z;
  log_z.set_value(12.5);
  log_z.set_lower(12.25);
  log_z.set_upper(13);
  log_z.set_level(0.95);
  log_z.set_weight_ess(3.5);
  log_z.set_num_weights(64);
  EXPECT_THAT(
      LogZText(log_z),
      AllOf(HasSubstr("12.5, in [12.25, 13] with probability 0.95\n"),
            HasSubstr("3.5 effective of 64\n"), HasSubstr("lower bound")));
  log_z.set_from_above(true);
  log_z.set_ratio(true);
  EXPECT_THAT(LogZText(log_z),
              AllOf(HasSubstr("ln Z / Z_0   12.5, in [12.25, 13] with "
                              "probability 0.95, from above\n"),
                    HasSubstr("no: read it as an upper bound")));
  log_z.set_reliable(true);
  EXPECT_THAT(LogZText(log_z), HasSubstr("reliable     yes"));
}

TEST(SummaryTextTest, BracketsAreOfBothDirections) {
  v1::SampleEvent::LogZ forward;
  forward.set_lower(1.5);
  forward.set_upper(1.75);
  v1::SampleEvent::LogZ reverse;
  reverse.set_lower(1.25);
  reverse.set_upper(2.5);
  EXPECT_EQ(BracketText(forward, reverse),
            "bracket      ln Z in [1.5, 2.5], from below and from above\n");
  reverse.set_upper(1.25);
  EXPECT_THAT(BracketText(forward, reverse), HasSubstr("wrong order"));
}

}  // namespace
}  // namespace basin::client
