#ifndef BASIN_CLIENT_CLI_PROGRESS_H_
#define BASIN_CLIENT_CLI_PROGRESS_H_

#include <cstdint>
#include <string>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "client/client.h"

#include "basin/v1/sampler.pb.h"

namespace basin::client {

// Shows how far a long call is, on stderr: a bar that redraws itself on a
// terminal, else a plain line every few seconds. Not thread-safe.
class ProgressBar {
 public:
  explicit ProgressBar(std::string unit);
  // Wipes the bar if Finish() was not called.
  ~ProgressBar();

  // `note` stands behind the bar: "energy -12.3".
  void Update(int64_t done, int64_t total, const std::string& note);
  void Finish();

 private:
  const std::string unit_;  // "steps"
  const bool terminal_;
  const absl::Time start_;
  absl::Time last_;
  bool drawn_ = false;
};

// Samples, with a bar while it runs.
absl::StatusOr<SampleResult> SampleWithBar(Client& client,
                                           const v1::SampleRequest& request,
                                           const CallOptions& options);

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLI_PROGRESS_H_
