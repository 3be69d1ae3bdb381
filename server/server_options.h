#ifndef BASIN_SERVER_SERVER_OPTIONS_H_
#define BASIN_SERVER_SERVER_OPTIONS_H_

#include <cstdint>
#include <string>

#include <absl/time/time.h>

#include "server/request_limits.h"

namespace basin {

// How a server runs. The flags of basin_server fill it in; --help says more.
struct ServerOptions {
  std::string models = "models";  // the model repository
  std::string state = "state";    // replay buffers; "" = memory only
  std::string listen = "127.0.0.1:8001";
  std::string metrics_listen = "127.0.0.1:8002";
  bool insecure_listen_anywhere = false;
  int64_t workers = 0;  // 0 = one per core
  std::string max_isa;  // "" = the processor's best
  absl::Duration quantum = absl::Milliseconds(2);
  absl::Duration drain_timeout = absl::Seconds(30);
  absl::Duration replay_snapshot_interval = absl::Minutes(1);
  // What resume tokens are authenticated with: the same on all servers that
  // take each other's.
  std::string resume_key_file;  // "" = no key: tokens only detect damage
  std::string resume_key;       // its bytes
  RequestLimits limits;
  int64_t max_calls = 4096;  // under way at once
  int64_t max_model_file_bytes = int64_t{2} << 30;
  int64_t max_model_memory_bytes = int64_t{8} << 30;
};

}  // namespace basin

#endif  // BASIN_SERVER_SERVER_OPTIONS_H_
