#ifndef BASIN_SERVER_BASIN_SERVER_H_
#define BASIN_SERVER_BASIN_SERVER_H_

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "server/server_options.h"

namespace basin {

// The whole server. Thread-safe.
//
//   serving -> draining -> stopped
class BasinServer {
 public:
  // Binds its ports and starts to serve; models load in the background, and
  // until they are there health says NOT_SERVING. Errors name the flag.
  static absl::StatusOr<std::unique_ptr<BasinServer>> Create(
      const ServerOptions& options);
  // As Drain(), without waiting for requests.
  virtual ~BasinServer() = default;

  // Where it listens, "127.0.0.1:41235"; metrics_address() is "" if nowhere.
  virtual const std::string& address() const = 0;
  virtual const std::string& metrics_address() const = 0;

  // Says NOT_SERVING, refuses new work, waits up to options.drain_timeout for
  // what runs, cancels the rest, snapshots the replay buffers and stops.
  // Blocks. Later calls do nothing.
  virtual void Drain() = 0;
};

}  // namespace basin

#endif  // BASIN_SERVER_BASIN_SERVER_H_
