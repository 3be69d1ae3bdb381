#include "client/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/clock.h>

#include "client/cli/command.h"

namespace basin::client {
namespace {

constexpr int kBarWidth = 30;
constexpr absl::Duration kLineInterval = absl::Seconds(5);

std::string Bar(double share) {
  const int full = static_cast<int>(share * kBarWidth);
  return absl::StrCat("[", std::string(full, '#'),
                      std::string(kBarWidth - full, '.'), "]");
}

}  // namespace

ProgressBar::ProgressBar(std::string unit)
    : unit_(std::move(unit)),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(absl::Now()),
      last_(start_) {}

ProgressBar::~ProgressBar() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void ProgressBar::Update(int64_t done, int64_t total, const std::string& note) {
  const absl::Time now = absl::Now();
  if (!terminal_ && now - last_ < kLineInterval) return;
  last_ = now;
  const double share =
      total > 0 ? std::clamp(static_cast<double>(done) / total, 0.0, 1.0) : 0;
  const double seconds = absl::ToDoubleSeconds(now - start_);
  const std::string rate =
      seconds > 0 ? absl::StrCat(HumanNumber(done / seconds), " ", unit_, "/s")
                  : "";
  if (terminal_) {
    absl::FPrintF(stderr, "\r\x1b[K%s %3.0f%%  %s  %s", Bar(share), 100 * share,
                  rate, note);
    std::fflush(stderr);
    drawn_ = true;
  } else {
    absl::FPrintF(stderr, "%3.0f%%  %s  %s\n", 100 * share, rate, note);
  }
}

void ProgressBar::Finish() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
}

namespace {

// If it is one of progress.
void ShowSampleEvent(const v1::SampleEvent& event, ProgressBar& bar) {
  if (!event.has_progress()) return;
  const v1::SampleEvent::Progress& progress = event.progress();
  std::string note;
  if (progress.has_mean_energy()) {
    note = absl::StrFormat("energy %.4g", progress.mean_energy());
  }
  if (progress.has_acceptance()) {
    absl::StrAppendFormat(&note, "  acceptance %.3f", progress.acceptance());
  }
  if (progress.has_rhat()) {
    absl::StrAppendFormat(&note, "  R-hat %.3f", progress.rhat());
  }
  if (progress.has_ess()) {
    absl::StrAppendFormat(&note, "  ESS %.0f", progress.ess());
  }
  bar.Update(progress.chain_steps_done(), progress.chain_steps_total(), note);
}

}  // namespace

absl::StatusOr<SampleResult> SampleWithBar(Client& client,
                                           const v1::SampleRequest& request,
                                           const CallOptions& options) {
  ProgressBar bar("steps");
  auto result = client.Sample(
      request,
      [&](const v1::SampleEvent& event) { ShowSampleEvent(event, bar); },
      options);
  bar.Finish();
  return result;
}

}  // namespace basin::client
