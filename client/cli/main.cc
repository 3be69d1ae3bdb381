// basin: the command line of a Basin server.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>

#include "client/cli/command.h"
#include "client/cli/transition_guide.h"

namespace {

using basin::client::Action;
using basin::client::Session;

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

// Waits for Ctrl-C in a thread of its own and cancels the running call; a
// second Ctrl-C ends the program.
void CancelOnInterrupt(basin::client::Cancellation cancellation) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, cancellation]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    cancellation.Cancel();
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    sigwait(&signals, &signal);
    std::_Exit(128 + signal);
  }).detach();
}

// One line that says what to do.
std::string Describe(const absl::Status& status, const Session& session) {
  std::string text = basin::client::InOptions(std::string(status.message()));
  // gRPC's own words for a server that is not there.
  if (absl::IsUnavailable(status) &&
      (absl::StrContains(text, "failed to connect") ||
       absl::StrContains(text, "connect"))) {
    text = absl::StrCat("no server at ", session.address, " (", text,
                        "); start basin_server, or name another with --server "
                        "HOST:PORT");
  }
  if (absl::IsUnavailable(status) && text == "Socket closed") {
    text = absl::StrCat("the connection to ", session.address, " was lost");
  }
  if (absl::IsCancelled(status)) text = "cancelled";
  if (absl::IsDeadlineExceeded(status) && session.timeout_seconds > 0) {
    text = absl::StrCat("given up after ", session.timeout_seconds,
                        " seconds, the --timeout");
  }
  if (text.empty()) text = absl::StatusCodeToString(status.code());
  return absl::StrReplaceAll(text, {{"\n", "; "}});
}

// Breaks the lines of `text` where they are longer than `width`.
std::string Wrap(const std::string& text, size_t width) {
  std::string wrapped;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    size_t used = 0;
    for (const absl::string_view word : absl::StrSplit(line, ' ')) {
      if (used > 0 && used + word.size() >= width) {
        wrapped += '\n';
        used = 0;
      }
      absl::StrAppend(&wrapped, used > 0 ? " " : "", word);
      used += word.size() + 1;
    }
    wrapped += '\n';
  }
  wrapped.pop_back();
  return wrapped;
}

// Descriptions in lines that fit a terminal.
class Formatter final : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override {
    return Wrap(CLI::Formatter::make_description(app), kWidth);
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    return Wrap(option->get_description(), kWidth - get_column_width());
  }

 private:
  static constexpr size_t kWidth = 78;
};

// "model, sample or score", of the commands of `app`.
std::string CommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    names.push_back(command->get_name());
  }
  return absl::StrJoin(names, ", ");
}

// What is wrong with a command line on which CLI11 misses something: mostly a
// word before it is mistyped, or in the wrong place.
std::string MissingText(const CLI::App& app, const CLI::App& at,
                        const std::string& missing) {
  const std::vector<std::string> rest = app.remaining(true);
  const bool no_command = at.get_subcommands(nullptr).size() > 0;
  std::string text = no_command ? "a command is missing" : missing;
  if (!rest.empty() && no_command && rest[0][0] != '-') {
    text = absl::StrCat("there is no command '", rest[0], "'");
  } else if (!rest.empty()) {
    absl::StrAppend(&text, ", and '", rest[0], "' is not known here");
  }
  if (no_command) absl::StrAppend(&text, "; expected ", CommandsOf(at));
  return text;
}

// One line that says what was wrong with the command line.
std::string UsageText(const CLI::App* app, const CLI::Error& error) {
  const CLI::App* at = app;
  std::string name = "basin";
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    absl::StrAppend(&name, " ", at->get_name());
  }
  const std::string what = absl::StrReplaceAll(error.what(), {{"\n", "; "}});
  const bool missing = error.get_name() == "RequiredError";
  return absl::StrCat("basin: ", missing ? MissingText(*app, *at, what) : what,
                      " (", name, " --help explains it)\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Samples from and scores with the energy-based models of a Basin "
      "server."};
  app.formatter(std::make_shared<Formatter>());
  app.require_subcommand(1);
  app.fallthrough();
  Session session;
  app.add_option("--server", session.address, "the server, HOST:PORT")
      ->envname("BASIN_SERVER")
      ->capture_default_str();
  app.add_option("--timeout", session.timeout_seconds,
                 "seconds after which a call is given up; 0 = never")
      ->capture_default_str();
  app.set_version_flag("--version", "basin " BASIN_VERSION);
  app.failure_message(&UsageText);
  Action action;
  basin::client::AddModelCommands(app, session, action);
  basin::client::AddSampleCommand(app, session, action);
  basin::client::AddTransitionsCommand(app, action);
  basin::client::AddLogZCommand(app, session, action);
  basin::client::AddScoreCommand(app, session, action);
  basin::client::AddReplayCommand(app, session, action);
  basin::client::AddStatusCommand(app, session, action);
  basin::client::AddBenchCommand(app, session, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  CancelOnInterrupt(session.cancellation);
  const absl::Status status = action();
  if (status.ok()) return 0;
  std::fprintf(stderr, "basin: %s\n", Describe(status, session).c_str());
  return kFailed;
}
