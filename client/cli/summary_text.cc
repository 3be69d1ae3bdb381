#include "client/cli/summary_text.h"

#include <cstdio>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "client/cli/command.h"
#include "client/cli/transition_arguments.h"

namespace basin::client {
namespace {

using Summary = v1::SampleEvent::Summary;

std::string TargetText(const v1::Target& target) {
  if (target.kind() == v1::Target::EXACT) return "exact";
  if (target.kind() == v1::Target::BIASED) {
    return absl::StrFormat("biased, order %d in the step size", target.order());
  }
  return absl::StrFormat("a recipe, effective temperature %.3g",
                         target.effective_temperature());
}

// A cell of the table of temperatures.
std::string Cell(bool there, double value) {
  return there ? absl::StrFormat("%.4g", value) : "-";
}

std::string ReplicaTable(const Summary& summary) {
  if (summary.replicas().empty()) return "";
  std::string text = absl::StrFormat(
      "%-12s %-10s %-10s %-10s %-12s %s\n", "temperatures", "beta", "step size",
      "acceptance", "mean energy", "swaps with the next");
  for (const v1::SampleEvent::Replica& replica : summary.replicas()) {
    absl::StrAppendFormat(
        &text, "%-12s %-10s %-10s %-10s %-12s %s\n", "",
        Cell(true, replica.inverse_temperature()),
        Cell(replica.step_size() != 0, replica.step_size()),
        Cell(replica.has_acceptance(), replica.acceptance()),
        Cell(replica.has_mean_energy(), replica.mean_energy()),
        Cell(replica.has_swap_rate(), replica.swap_rate()));
  }
  absl::StrAppendFormat(&text, "round trips  %d\n", summary.round_trips());
  return text;
}

std::string Diagnostics(const Summary& summary) {
  std::string text;
  if (summary.has_rhat()) {
    absl::StrAppendFormat(&text, "R-hat        %.4f", summary.rhat());
    if (summary.has_split_rhat()) {
      absl::StrAppendFormat(&text, " by ranks, %.4f split",
                            summary.split_rhat());
    }
    text += "\n";
  }
  if (summary.has_ess()) {
    absl::StrAppendFormat(&text, "ESS          %.1f", summary.ess());
    if (summary.has_ess_tail()) {
      absl::StrAppendFormat(&text, " bulk, %.1f tail", summary.ess_tail());
    }
    text += "\n";
  }
  return text;
}

std::string Rate(const Summary& summary) {
  const double seconds = summary.timings().running_seconds();
  return absl::StrFormat(
      "chain-steps  %d in %.2f s%s (queued %.3f s)\n", summary.chain_steps(),
      seconds,
      seconds > 0 ? absl::StrCat(
                        ", ",
                        HumanNumber(static_cast<double>(summary.chain_steps()) /
                                    seconds),
                        " steps/s")
                  : "",
      summary.timings().queued_seconds());
}

}  // namespace

std::string LogZText(const v1::SampleEvent::LogZ& log_z) {
  std::string text =
      absl::StrFormat("%s %.6g, in [%.6g, %.6g] with probability %g%s\n",
                      log_z.ratio() ? "ln Z / Z_0  " : "ln Z        ",
                      log_z.value(), log_z.lower(), log_z.upper(),
                      log_z.level(), log_z.from_above() ? ", from above" : "");
  absl::StrAppendFormat(&text, "weights      %.1f effective of %d\n",
                        log_z.weight_ess(), log_z.num_weights());
  if (log_z.reliable()) {
    return text + "reliable     yes: the sum is not that of a few weights\n";
  }
  absl::StrAppend(&text, "reliable     no: read it as ",
                  log_z.from_above() ? "an upper" : "a lower",
                  " bound; a warning says why, and what to try\n");
  return text;
}

std::string BracketText(const v1::SampleEvent::LogZ& forward,
                        const v1::SampleEvent::LogZ& reverse) {
  const double lower = forward.lower();
  const double upper = reverse.upper();
  std::string text = absl::StrFormat(
      "bracket      ln Z in [%.6g, %.6g], from below and from above\n", lower,
      upper);
  if (!(lower <= upper)) {
    text +=
        "             The ends are in the wrong order: the samples were not "
        "exact, or chains hardly moved.\n";
  }
  return text;
}

std::string SummaryText(const SampleResult& result) {
  const Summary& summary = result.summary;
  const v1::SampleEvent::Accepted& accepted = result.accepted;
  const std::string given = DescribeTransition(accepted.transition());
  const std::string tuned = DescribeTransition(summary.tuned());
  std::string text = absl::StrFormat("transition   %s (%s)\n", given,
                                     TargetText(accepted.target()));
  if (summary.has_tuned() && tuned != given) {
    absl::StrAppend(&text, "tuned        ", tuned,
                    result.tuned_variance.values.empty()
                        ? "\n"
                        : ", and a length for each coordinate\n");
  }
  if (summary.has_mean_energy()) {
    absl::StrAppendFormat(&text, "mean energy  %.6g of the last states\n",
                          summary.mean_energy());
  }
  if (summary.has_acceptance()) {
    absl::StrAppendFormat(&text, "acceptance   %.3f\n", summary.acceptance());
  }
  absl::StrAppend(&text, Diagnostics(summary), ReplicaTable(summary));
  if (summary.has_log_z()) text += LogZText(summary.log_z());
  if (summary.converged()) {
    absl::StrAppendFormat(
        &text, "ended early  at step %d of %d, where what was asked for held\n",
        summary.steps(), accepted.steps());
  }
  text += Rate(summary);
  absl::StrAppendFormat(&text, "seed         %d\n", accepted.seed());
  if (summary.truncated()) text += "truncated    by the deadline\n";
  return text;
}

void PrintWarnings(const Summary& summary) {
  std::fflush(stdout);  // they come after the summary
  for (const std::string& warning : summary.warnings()) {
    absl::FPrintF(stderr, "warning: %s\n", warning);
  }
}

}  // namespace basin::client
