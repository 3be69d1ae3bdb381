#include "tests/integration/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <grpcpp/create_channel.h>

#include "core/base/check.h"

#include "grpc/health/v1/health.grpc.pb.h"

namespace basin::testing {
namespace {

namespace health = grpc::health::v1;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Runs the program with stdout and stderr on these descriptors.
pid_t Spawn(const std::string& program,
            const std::vector<std::string>& arguments, int out, int err) {
  std::vector<std::string> all = {program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  BASIN_CHECK(pid >= 0);
  if (pid > 0) return pid;
  // The test program may end, or be killed, before it ends its servers.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execv(argv[0], argv.data());
  _exit(127);
}

int WaitFor(pid_t pid) {
  int status = 0;
  BASIN_CHECK(waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int OpenForWriting(const std::string& path) {
  const int file =
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  BASIN_CHECK(file >= 0);
  return file;
}

}  // namespace

std::string DemoModels() { return BASIN_SOURCE_DIR "/deploy/models"; }

ProcessEnd RunToEnd(const std::string& program,
                    const std::vector<std::string>& arguments) {
  const TempDir folder;
  const int out = OpenForWriting(folder.File("out"));
  const int err = OpenForWriting(folder.File("err"));
  ProcessEnd end;
  end.code = WaitFor(Spawn(program, arguments, out, err));
  close(out);
  close(err);
  end.out = ReadFile(folder.File("out"));
  end.err = ReadFile(folder.File("err"));
  return end;
}

ProcessEnd RunServerToEnd(const std::vector<std::string>& arguments) {
  return RunToEnd(BASIN_SERVER_PATH, arguments);
}

ServerProcess::ServerProcess(const Options& options)
    : state_(options.state.empty() ? folder_.File("state") : options.state),
      log_path_(folder_.File("log")) {
  std::vector<std::string> arguments = {
      absl::StrCat("--models=", options.models),
      absl::StrCat("--state=", state_), "--listen=127.0.0.1:0",
      "--metrics_listen=127.0.0.1:0"};
  arguments.insert(arguments.end(), options.flags.begin(), options.flags.end());
  int pipe_ends[2];
  BASIN_CHECK(pipe2(pipe_ends, O_CLOEXEC) == 0);
  const int log = OpenForWriting(log_path_);
  pid_ = Spawn(BASIN_SERVER_PATH, arguments, pipe_ends[1], log);
  close(log);
  close(pipe_ends[1]);
  stdout_ = pipe_ends[0];
  ReadAddresses();
  grpc::ChannelArguments channel_arguments;
  channel_arguments.SetMaxReceiveMessageSize(-1);
  channel_arguments.SetMaxSendMessageSize(-1);
  channel_arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel_ = grpc::CreateCustomChannel(
      address_, grpc::InsecureChannelCredentials(), channel_arguments);
  if (options.wait_until_serving) WaitForHealth("", true);
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
  close(stdout_);
}

// "listening on 127.0.0.1:41235, metrics on 127.0.0.1:38121"
void ServerProcess::ReadAddresses() {
  std::string line;
  char c = 0;
  while (read(stdout_, &c, 1) == 1 && c != '\n') line += c;
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  if (words.size() != 6) {
    std::fprintf(stderr, "the server did not start: %s\n", Log().c_str());
  }
  BASIN_CHECK(words.size() == 6);
  address_ = words[2].substr(0, words[2].size() - 1);
  metrics_address_ = words[5];
}

void ServerProcess::Signal(int signal) const {
  BASIN_CHECK(kill(pid_, signal) == 0);
}

int ServerProcess::Wait() {
  const int code = WaitFor(pid_);
  pid_ = -1;
  return code;
}

void ServerProcess::WaitForHealth(const std::string& service,
                                  bool serving) const {
  const auto stub = health::Health::NewStub(channel_);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  health::HealthCheckRequest request;
  request.set_service(service);
  const auto reader = stub->Watch(&context, request);
  health::HealthCheckResponse response;
  const auto wanted = serving ? health::HealthCheckResponse::SERVING
                              : health::HealthCheckResponse::NOT_SERVING;
  while (reader->Read(&response)) {
    if (response.status() == wanted) return context.TryCancel();
  }
  std::fprintf(stderr, "health of '%s' never came: %s\n", service.c_str(),
               Log().c_str());
  BASIN_CHECK(false);
}

int64_t ServerProcess::ResidentBytes() const {
  const std::string text = ReadFile(absl::StrCat("/proc/", pid_, "/statm"));
  const std::vector<std::string> words = absl::StrSplit(text, ' ');
  int64_t pages = 0;
  BASIN_CHECK(words.size() > 1 && absl::SimpleAtoi(words[1], &pages));
  return pages * sysconf(_SC_PAGESIZE);
}

std::string ServerProcess::Log() const { return ReadFile(log_path_); }

}  // namespace basin::testing
