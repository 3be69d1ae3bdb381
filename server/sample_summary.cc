#include "server/sample_summary.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <absl/strings/str_format.h>

#include "core/sampler/adaptation.h"
#include "core/sampler/log_z.h"
#include "server/proto_convert.h"
#include "server/tensor_convert.h"

#include "basin/v1/sampler.pb.h"

namespace basin {
namespace {

// Acceptance within these multiples of the transition's best needs no remark;
// below and above, steps of another size mix faster.
constexpr double kLowShare = 0.5;
constexpr double kHighShare = 1.6;

bool IsReverse(const FinishedRun& run) {
  return run.annealing.direction == AnnealingOptions::Direction::kReverse;
}

void WarnOfAcceptance(const FinishedRun& run,
                      std::vector<std::string>& warnings) {
  // A path that is gone back ends where the energy is flat.
  const double acceptance =
      IsReverse(run) ? run.result.path_acceptance : run.result.acceptance;
  const auto best = TargetAcceptance(run.transition, run.model.dimension);
  if (std::isnan(acceptance) || !best.has_value()) return;
  // Above .95 steps are wasted, whatever the best is.
  const double high = std::min(kHighShare * *best, 0.95 + 0.05 * *best);
  if (acceptance >= kLowShare * *best && acceptance <= high) return;
  const bool low = acceptance < kLowShare * *best;
  const double step = run.result.transition.step_size;
  const double better = step * (low ? std::max(0.1, acceptance / *best) : 2);
  warnings.push_back(absl::StrFormat(
      "acceptance %.2f%s is %s: a %s step_size mixes faster (about %.2f is "
      "best)%s",
      acceptance, IsReverse(run) ? " along the path" : "", low ? "low" : "high",
      low ? "smaller" : "larger", *best,
      step > 0 ? absl::StrFormat("; try %.3g, or adapt", better) : ""));
}

// A recipe's noisy descent is not meant to mix.
void WarnOfMixing(const FinishedRun& run, double rhat,
                  std::vector<std::string>& warnings) {
  constexpr double kGoodRhat = 1.01;
  const SampleResult& result = run.result;
  const bool mixed = !(rhat > kGoodRhat);
  if (mixed || result.target.kind == DeclaredTarget::Kind::kRecipe) return;
  const bool can_temper =
      result.replicas.size() < 2 &&
      !(run.transition == TransitionKind::kGibbs && run.model.has_hidden_units);
  warnings.push_back(absl::StrFormat(
      "R-hat %.4f is above %.2f: the chains have not mixed; try more steps%s, "
      "more warmup%s",
      rhat, kGoodRhat,
      result.transition.step_size > 0 ? ", another step_size" : "",
      can_temper ? ", or, if modes are far apart, tempering" : ""));
}

void WarnOfSwaps(const SampleResult& result,
                 std::vector<std::string>& warnings) {
  for (size_t k = 0; k + 1 < result.replicas.size(); ++k) {
    const double rate = result.replicas[k].swap_rate;
    if (std::isnan(rate) || rate >= 0.1) continue;
    warnings.push_back(absl::StrFormat(
        "temperatures %d and %d swap at a rate of %.2f: try more levels, or "
        "tempering.tune with a warmup",
        k, k + 1, rate));
    return;
  }
}

// The acceptance of chains that hardly moved along the path, or at its end:
// their weights are those of the states that they started from, and say
// nothing of what lies elsewhere, however alike they are.
std::optional<double> AcceptanceOfFrozen(const SampleResult& result,
                                         int64_t chains) {
  constexpr double kFrozen = 0.02;
  constexpr int64_t kEnoughProposals = 60;  // for a share of that size
  const auto frozen = [](double acceptance, int64_t proposals) {
    return acceptance < kFrozen && proposals >= kEnoughProposals;
  };
  if (frozen(result.path_acceptance, result.chain_steps)) {
    return result.path_acceptance;
  }
  if (frozen(result.acceptance, chains * result.steps)) {
    return result.acceptance;
  }
  return std::nullopt;
}

void LogZToProto(const FinishedRun& run, v1::SampleEvent::Summary& summary) {
  const SampleResult& result = run.result;
  const AnnealingOptions& annealing = run.annealing;
  const bool population = !result.island_log_z.empty();
  // Chains that were resumed bring their weights, but not what they weigh.
  if (annealing.weights == AnnealingOptions::Weights::kNone ||
      result.log_weights.empty()) {
    return;
  }
  const bool reverse = IsReverse(run);
  const LogZOptions options = {.log_z_base = annealing.log_volume};
  const LogZEstimate estimate =
      reverse
          ? EstimateLogZReverse(result.log_weights, options)
          : EstimateLogZ(population ? result.island_log_z : result.log_weights,
                         options);
  v1::SampleEvent::LogZ& out = *summary.mutable_log_z();
  out.set_value(estimate.log_z);
  out.set_lower(estimate.lower);
  out.set_upper(estimate.upper);
  out.set_level(estimate.level);
  out.set_standard_error(estimate.standard_error);
  out.set_weight_ess(estimate.weight_ess);
  out.set_num_weights(estimate.num_weights);
  const std::optional<double> frozen = AcceptanceOfFrozen(result, run.chains);
  out.set_reliable(estimate.reliable && !frozen.has_value());
  out.set_from_above(reverse);
  out.set_ratio(annealing.base == AnnealingOptions::Base::kModel);
  if (frozen.has_value()) {
    summary.add_warnings(absl::StrFormat(
        "ln Z is not reliable: at an acceptance of %.3f along the path chains "
        "hardly moved, and the weights know only where they started; try a "
        "smaller step_size or another transition",
        *frozen));
  }
  if (estimate.reliable) return;
  if (estimate.weight_ess >= kReliableWeightEss) {
    summary.add_warnings(absl::StrFormat(
        "ln Z is known to %.3g, the width of its interval: read it as %s "
        "bound; try more levels or more chains",
        estimate.upper - estimate.lower, reverse ? "an upper" : "a lower"));
    return;
  }
  summary.add_warnings(absl::StrFormat(
      "ln Z rests on %.1f of %d %s: read it as %s bound; try more levels or "
      "more chains",
      estimate.weight_ess, estimate.num_weights,
      population ? "islands" : "weights", reverse ? "an upper" : "a lower"));
}

void ReplicasToProto(const SampleResult& result,
                     v1::SampleEvent::Summary& summary) {
  if (result.replicas.size() < 2) return;
  for (const SampleResult::Replica& replica : result.replicas) {
    v1::SampleEvent::Replica& out = *summary.add_replicas();
    out.set_inverse_temperature(replica.inverse_temperature);
    out.set_step_size(replica.step_size);
    if (!std::isnan(replica.acceptance)) out.set_acceptance(replica.acceptance);
    if (!std::isnan(replica.mean_energy)) {
      out.set_mean_energy(replica.mean_energy);
    }
    if (!std::isnan(replica.swap_rate)) out.set_swap_rate(replica.swap_rate);
  }
  summary.set_round_trips(result.round_trips);
}

void DiagnosticsToProto(const Diagnostics& diagnostics,
                        v1::SampleEvent::Summary& summary) {
  if (!std::isnan(diagnostics.max_rhat)) summary.set_rhat(diagnostics.max_rhat);
  if (!std::isnan(diagnostics.max_split_rhat)) {
    summary.set_split_rhat(diagnostics.max_split_rhat);
  }
  if (!std::isnan(diagnostics.min_bulk_ess)) {
    summary.set_ess(diagnostics.min_bulk_ess);
  }
  if (!std::isnan(diagnostics.min_tail_ess)) {
    summary.set_ess_tail(diagnostics.min_tail_ess);
  }
}

}  // namespace

std::vector<std::string> SampleWarnings(const FinishedRun& run,
                                        const Diagnostics& diagnostics) {
  const SampleResult& result = run.result;
  std::vector<std::string> warnings;
  WarnOfAcceptance(run, warnings);
  WarnOfSwaps(result, warnings);
  if (result.num_diverged > 0) {
    warnings.push_back(absl::StrFormat(
        "%d of %d chains diverged to a non-finite state or energy: try a "
        "smaller step_size or a box",
        result.num_diverged, run.chains));
  }
  WarnOfMixing(run, diagnostics.max_rhat, warnings);
  if (result.truncated) {
    warnings.push_back(
        "the deadline ended the run early: the draws are fewer than asked for");
  }
  return warnings;
}

void SummaryToProto(const FinishedRun& run, v1::SampleEvent_Summary& summary) {
  const SampleResult& result = run.result;
  const Diagnostics diagnostics = Diagnose(result.traces);
  DiagnosticsToProto(diagnostics, summary);
  summary.set_chain_steps(result.chain_steps);
  summary.set_steps(result.steps);
  summary.set_converged(result.converged);
  if (!std::isnan(result.acceptance)) summary.set_acceptance(result.acceptance);
  summary.set_divergences(result.num_diverged);
  summary.mutable_diverged_chains()->Add(result.diverged_chains.begin(),
                                         result.diverged_chains.end());
  if (!std::isnan(result.mean_energy)) {
    summary.set_mean_energy(result.mean_energy);
  }
  summary.set_truncated(result.truncated);
  if (result.tuned) {
    TransitionToProto(result.transition, *summary.mutable_tuned());
  }
  if (result.tuned && !result.scale.empty()) {
    std::vector<float> variance = result.scale;
    for (float& value : variance) value *= value;
    FloatsToProto({}, run.model.state_shape.dims(), variance,
                  *summary.mutable_tuned_variance());
  }
  ReplicasToProto(result, summary);
  LogZToProto(run, summary);
  if (!result.log_weights.empty()) {
    EnergiesToProto({run.chains}, Precision::kFloat64, result.log_weights,
                    *summary.mutable_log_weights());
  }
  for (std::string& warning : SampleWarnings(run, diagnostics)) {
    summary.add_warnings(std::move(warning));
  }
}

std::vector<float> SeenStates(const SampleResult& result, int64_t chains,
                              int64_t dimension) {
  const auto replicas = static_cast<int64_t>(result.replicas.size());
  std::vector<float> seen;
  seen.reserve(chains * dimension);
  for (int64_t chain = 0; chain < chains; ++chain) {
    const auto first =
        result.last_states.begin() + chain * replicas * dimension;
    seen.insert(seen.end(), first, first + dimension);
  }
  return seen;
}

}  // namespace basin
