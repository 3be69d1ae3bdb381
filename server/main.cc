// basin_server: serves the energy-based models of a folder over gRPC.

#include <signal.h>

#include <cstdio>
#include <memory>

#include <absl/strings/str_cat.h>

#include "server/basin_server.h"
#include "server/flags.h"
#include "server/log.h"

namespace {

// Of SIGTERM and SIGINT.
sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int Serve(const basin::ServerOptions& options) {
  // Before any thread starts, so that all of them inherit it.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  auto server = basin::BasinServer::Create(options);
  if (!server.ok()) {
    const std::string text =
        absl::StrCat("basin_server: ", server.status().message(), "\n");
    std::fputs(text.c_str(), stderr);
    return 1;
  }
  const std::string& metrics = (*server)->metrics_address();
  std::printf("listening on %s, metrics on %s\n", (*server)->address().c_str(),
              metrics.empty() ? "none" : metrics.c_str());
  std::fflush(stdout);

  int received = 0;
  sigwait(&signals, &received);
  basin::Log(basin::LogLevel::kInfo, "draining; a second signal ends at once",
             {{"signal", received}});
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  (*server)->Drain();
  basin::Log(basin::LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const basin::ParsedFlags flags = basin::ParseFlags(argc, argv);
  switch (flags.action) {
    case basin::ParsedFlags::Action::kPrint:
      std::fputs(flags.text.c_str(), stdout);
      return 0;
    case basin::ParsedFlags::Action::kFail:
      std::fputs(flags.text.c_str(), stderr);
      return 2;
    case basin::ParsedFlags::Action::kServe:
      break;
  }
  return Serve(flags.options);
}
