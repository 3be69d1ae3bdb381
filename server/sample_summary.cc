#include "server/sample_summary.h"

#include <cmath>
#include <limits>

#include <absl/strings/str_format.h>

#include "basin/v1/sampler.pb.h"

namespace basin {
namespace {

// The shares of accepted proposals that are worth no remark, and the best.
struct AcceptanceRange {
  double low;
  double best;
  double high;
};

// Roberts and Rosenthal 1998 for MALA; Roberts, Gelman and Gilks 1997 for the
// random walk, whose best is .44 in one dimension.
AcceptanceRange GoodAcceptance(TransitionKind transition, int64_t dimension) {
  if (transition == TransitionKind::kMala) return {0.3, 0.57, 0.9};
  if (dimension == 1) return {0.2, 0.44, 0.8};
  return {0.1, 0.23, 0.6};
}

void WarnOfAcceptance(TransitionKind transition, int64_t dimension,
                      double acceptance, std::vector<std::string>& warnings) {
  if (std::isnan(acceptance)) return;
  const AcceptanceRange good = GoodAcceptance(transition, dimension);
  if (acceptance >= good.low && acceptance <= good.high) return;
  const bool low = acceptance < good.low;
  warnings.push_back(absl::StrFormat(
      "acceptance %.2f is %s: a %s step_size mixes faster (about %.2f is best)",
      acceptance, low ? "low" : "high", low ? "smaller" : "larger", good.best));
}

}  // namespace

std::vector<std::string> SampleWarnings(TransitionKind transition,
                                        int64_t chains, int64_t dimension,
                                        const SampleResult& result,
                                        const Diagnostics& diagnostics) {
  constexpr double kGoodRhat = 1.01;
  std::vector<std::string> warnings;
  WarnOfAcceptance(transition, dimension, result.acceptance, warnings);
  if (result.num_diverged > 0) {
    warnings.push_back(absl::StrFormat(
        "%d of %d chains diverged to a non-finite state or energy: try a "
        "smaller step_size or a box",
        result.num_diverged, chains));
  }
  // A recipe's noisy descent is not meant to mix.
  if (result.target.kind != DeclaredTarget::Kind::kRecipe &&
      diagnostics.max_rhat > kGoodRhat) {
    warnings.push_back(absl::StrFormat(
        "R-hat %.3f is above %.2f: the chains have not mixed; try more steps, "
        "more warmup or another step_size",
        diagnostics.max_rhat, kGoodRhat));
  }
  if (result.truncated) {
    warnings.push_back(
        "the deadline ended the run early: the draws are fewer than asked for");
  }
  return warnings;
}

void SummaryToProto(TransitionKind transition, int64_t chains,
                    int64_t dimension, const SampleResult& result,
                    v1::SampleEvent_Summary& summary) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const Diagnostics diagnostics = result.traces.values.empty()
                                      ? Diagnostics{kNaN, kNaN}
                                      : Diagnose(result.traces);
  summary.set_chain_steps(result.chain_steps);
  if (!std::isnan(result.acceptance)) summary.set_acceptance(result.acceptance);
  summary.set_divergences(result.num_diverged);
  summary.mutable_diverged_chains()->Add(result.diverged_chains.begin(),
                                         result.diverged_chains.end());
  if (!std::isnan(diagnostics.max_rhat)) summary.set_rhat(diagnostics.max_rhat);
  if (!std::isnan(diagnostics.min_ess)) summary.set_ess(diagnostics.min_ess);
  if (!std::isnan(result.mean_energy)) {
    summary.set_mean_energy(result.mean_energy);
  }
  summary.set_truncated(result.truncated);
  for (std::string& warning :
       SampleWarnings(transition, chains, dimension, result, diagnostics)) {
    summary.add_warnings(std::move(warning));
  }
}

}  // namespace basin
