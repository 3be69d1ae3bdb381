#ifndef BASIN_CLIENT_CLIENT_H_
#define BASIN_CLIENT_CLIENT_H_

// A blocking client of a Basin server, with deadlines and typed results.
//
//   auto client = basin::client::Client::Connect("localhost:8001");
//   basin::v1::SampleRequest request;
//   request.mutable_model()->set_name("mnist_ebm");
//   request.set_chains(64);
//   auto digits = client->Sample(request);
//   if (!digits.ok()) return digits.status();
//   // digits->states has shape [1, 64, 1, 28, 28].

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "client/array.h"

#include "basin/v1/common.pb.h"
#include "basin/v1/models.pb.h"
#include "basin/v1/replay.pb.h"
#include "basin/v1/sampler.pb.h"
#include "basin/v1/scorer.pb.h"
#include "basin/v1/status.pb.h"

namespace basin::client {

// Cancels calls from another thread. Thread-safe. Copies share their state.
class Cancellation {
 public:
  Cancellation();
  // Ends every call that runs with this object, and those that will, with
  // CANCELLED.
  void Cancel();

 private:
  friend class CallScope;
  struct State;
  std::shared_ptr<State> state_;
};

struct CallOptions {
  absl::Duration timeout = absl::InfiniteDuration();  // of the whole call
  Cancellation cancellation;
};

// What a Sample call returned, put together.
struct SampleResult {
  v1::SampleEvent::Accepted accepted;
  v1::SampleEvent::Summary summary;
  std::vector<int64_t> steps;  // [k], of the kept draws
  Array states;                // [k, chains, D...]; empty if not asked for
  EnergyArray energies;        // [k, chains]; empty if not asked for
  Array gradients;             // as states, if asked for

  // Taken out of the summary; empty where it has none.
  Array tuned_variance;      // [D...], for SampleRequest.metric
  EnergyArray log_weights;   // [chains]
  std::string resume_token;  // for SampleRequest.resume_token
};

struct ScoreResult {
  int64_t model_version = 0;
  EnergyArray energies;        // [n]
  Array gradients;             // [n, D...], if asked for
  EnergyArray class_energies;  // [n, K], if asked for

  EnergyArray log_likelihoods;  // [n], if asked for
  v1::LogZ log_z;               // what they subtract, with its error
};

struct ScoreOptions {
  CallOptions call;
  enum class Want { kEnergy, kEnergyAndGradient };
  Want want = Want::kEnergy;
  bool want_class_energies = false;
  bool want_log_likelihood = false;
  int priority = 0;  // 1 (first) to 9; 0 = the server's default
  // The model's other inputs, [n, ...] or [1, ...] for all rows.
  std::map<std::string, v1::Tensor> context;
  std::optional<int64_t> label;  // of classifiers
  // Called after each part with the rows scored so far. May be empty.
  std::function<void(int64_t)> on_progress;
};

// Errors carry the server's status code and message. Thread-safe.
class Client {
 public:
  struct Options {
    // Greatest message, sent or received, bytes.
    int max_message_bytes = 64 << 20;
  };

  // Never fails: a server that cannot be reached shows as UNAVAILABLE in the
  // calls. `address` is HOST:PORT.
  static std::unique_ptr<Client> Connect(const std::string& address);
  static std::unique_ptr<Client> Connect(const std::string& address,
                                         const Options& options);
  virtual ~Client() = default;

  // Waits until the server says that it serves; DeadlineExceeded if it does
  // not within `timeout`.
  virtual absl::Status WaitUntilServing(absl::Duration timeout) = 0;

  // Draws samples. `on_event` (may be empty) sees every event as it comes.
  using EventCallback = std::function<void(const v1::SampleEvent&)>;
  virtual absl::StatusOr<SampleResult> Sample(
      const v1::SampleRequest& request, const EventCallback& on_event = {},
      const CallOptions& options = {}) = 0;

  // Scores rows of any number: sent in parts over one stream. `inputs` is
  // [n, D...] of any dtype that the model takes.
  virtual absl::StatusOr<ScoreResult> Score(const v1::ModelRef& model,
                                            const v1::Tensor& inputs,
                                            const ScoreOptions& options) = 0;

  virtual absl::StatusOr<v1::ListModelsResponse> ListModels(
      const CallOptions& options = {}) = 0;
  virtual absl::StatusOr<v1::Model> GetModel(
      const std::string& name, const CallOptions& options = {}) = 0;
  virtual absl::StatusOr<v1::Model> LoadModel(
      const v1::ModelRef& model, const CallOptions& options = {}) = 0;
  virtual absl::Status UnloadModel(const v1::ModelRef& model,
                                   const CallOptions& options = {}) = 0;

  virtual absl::StatusOr<v1::ReplayStatsResponse> ReplayStats(
      const v1::ModelRef& model, const CallOptions& options = {}) = 0;
  // [n, D...].
  virtual absl::StatusOr<Array> ReplayDraw(const v1::ReplayDrawRequest& request,
                                           const CallOptions& options = {}) = 0;
  // Durable when it returns. Returns how many states were added.
  virtual absl::StatusOr<int64_t> ReplayInsert(
      const v1::ModelRef& model, const v1::Tensor& states,
      std::optional<int64_t> label, const CallOptions& options = {}) = 0;
  // Returns how many states were removed.
  virtual absl::StatusOr<int64_t> ReplayClear(
      const v1::ModelRef& model, const CallOptions& options = {}) = 0;
  virtual absl::StatusOr<int64_t> ReplaySnapshot(
      const v1::ModelRef& model, const CallOptions& options = {}) = 0;

  virtual absl::StatusOr<v1::ServerStatus> Status(
      const CallOptions& options = {}) = 0;
};

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLIENT_H_
