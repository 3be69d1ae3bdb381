#ifndef BASIN_TESTS_INTEGRATION_SERVER_PROCESS_H_
#define BASIN_TESTS_INTEGRATION_SERVER_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include <grpcpp/channel.h>

#include "tests/testing/temp_dir.h"

namespace basin::testing {

// How a program ended: its exit code, or minus the signal that killed it, and
// what it wrote.
struct ProcessEnd {
  int code = 0;
  std::string out;
  std::string err;
};

// Runs a program with these arguments to its end.
ProcessEnd RunToEnd(const std::string& program,
                    const std::vector<std::string>& arguments);
// The same of basin_server.
ProcessEnd RunServerToEnd(const std::vector<std::string>& arguments);

// deploy/models
std::string DemoModels();

// A running basin_server on free ports of the loopback. Ends it, with
// SIGKILL, with this object. Not thread-safe.
class ServerProcess {
 public:
  struct Options {
    std::string models = DemoModels();
    std::string state;  // "" = a folder of its own
    std::vector<std::string> flags;
    // Whether Start() returns only when health says SERVING.
    bool wait_until_serving = true;
  };

  // Aborts the test program if the server does not come up.
  explicit ServerProcess(const Options& options);
  ServerProcess() : ServerProcess(Options()) {}
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }
  const std::string& metrics_address() const { return metrics_address_; }
  const std::string& state() const { return state_; }
  pid_t pid() const { return pid_; }

  // With large message limits.
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }

  void Signal(int signal) const;
  // Blocks until it has ended; its exit code, or minus the signal.
  int Wait();

  // Blocks until grpc.health.v1's Watch of `service` says `serving`.
  void WaitForHealth(const std::string& service, bool serving) const;

  // Of its memory, bytes.
  int64_t ResidentBytes() const;
  // What it has logged so far.
  std::string Log() const;

 private:
  void ReadAddresses();

  TempDir folder_;
  std::string state_;
  std::string log_path_;
  pid_t pid_ = -1;
  int stdout_ = -1;
  std::string address_;
  std::string metrics_address_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace basin::testing

#endif  // BASIN_TESTS_INTEGRATION_SERVER_PROCESS_H_
