#include "client/client.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <utility>

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include "basin/v1/models.grpc.pb.h"
#include "basin/v1/replay.grpc.pb.h"
#include "basin/v1/sampler.grpc.pb.h"
#include "basin/v1/scorer.grpc.pb.h"
#include "basin/v1/status.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace basin::client {

// What Cancellation::Cancel() reaches: the contexts of the running calls.
struct Cancellation::State {
  std::mutex mu;
  bool cancelled = false;                   // guarded by mu
  std::set<grpc::ClientContext*> contexts;  // guarded by mu
};

Cancellation::Cancellation() : state_(std::make_shared<State>()) {}

void Cancellation::Cancel() {
  const std::lock_guard<std::mutex> lock(state_->mu);
  state_->cancelled = true;
  for (grpc::ClientContext* context : state_->contexts) context->TryCancel();
}

// One call: its context, reachable by its Cancellation while it runs.
class CallScope {
 public:
  explicit CallScope(const CallOptions& options)
      : state_(options.cancellation.state_) {
    if (options.timeout != absl::InfiniteDuration()) {
      context_.set_deadline(std::chrono::system_clock::now() +
                            absl::ToChronoMicroseconds(options.timeout));
    }
    const std::lock_guard<std::mutex> lock(state_->mu);
    state_->contexts.insert(&context_);
    if (state_->cancelled) context_.TryCancel();
  }
  ~CallScope() {
    const std::lock_guard<std::mutex> lock(state_->mu);
    state_->contexts.erase(&context_);
  }
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

  grpc::ClientContext* context() { return &context_; }

 private:
  const std::shared_ptr<Cancellation::State> state_;
  grpc::ClientContext context_;
};

namespace {

// Bytes of the parts that large inputs travel in.
constexpr int64_t kPartBytes = int64_t{1} << 20;

absl::Status ToStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> CallUnary(
    Stub& stub,
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    const Request& request, const CallOptions& options) {
  CallScope call(options);
  Response response;
  const absl::Status status =
      ToStatus((stub.*method)(call.context(), request, &response));
  if (!status.ok()) return status;
  return response;
}

// The rows [first, first + count) of `tensor`.
v1::Tensor RowsOf(const v1::Tensor& tensor, int64_t first, int64_t count) {
  const size_t row_bytes =
      tensor.data().size() / std::max<int64_t>(tensor.shape(0), 1);
  v1::Tensor rows;
  rows.set_dtype(tensor.dtype());
  *rows.mutable_shape() = tensor.shape();
  rows.set_shape(0, count);
  rows.set_data(tensor.data().substr(first * row_bytes, count * row_bytes));
  return rows;
}

// The rows of a part of about kPartBytes.
int64_t PartRows(const v1::Tensor& tensor) {
  if (tensor.shape_size() == 0 || tensor.shape(0) <= 1) return 1;
  const int64_t row_bytes =
      std::max<int64_t>(tensor.data().size() / tensor.shape(0), 1);
  return std::max<int64_t>(kPartBytes / row_bytes, 1);
}

// Cuts [n, D...] into parts.
std::vector<v1::Tensor> Parts(const v1::Tensor& tensor) {
  if (tensor.shape_size() == 0 || tensor.shape(0) <= 1) return {tensor};
  const int64_t rows = tensor.shape(0);
  const int64_t part = PartRows(tensor);
  std::vector<v1::Tensor> parts;
  for (int64_t first = 0; first < rows; first += part) {
    parts.push_back(RowsOf(tensor, first, std::min(part, rows - first)));
  }
  return parts;
}

// What all parts of a Score call say, and the context rows of the part whose
// first row is `first`.
v1::ScoreRequest PartRequest(const v1::ModelRef& model, const v1::Tensor& part,
                             int64_t first, const ScoreOptions& options) {
  v1::ScoreRequest request;
  *request.mutable_model() = model;
  *request.mutable_inputs() = part;
  request.set_want_gradients(options.want ==
                             ScoreOptions::Want::kEnergyAndGradient);
  request.set_want_class_energies(options.want_class_energies);
  request.set_want_log_likelihood(options.want_log_likelihood);
  request.set_priority(options.priority);
  if (options.label.has_value()) request.set_label(*options.label);
  for (const auto& [name, tensor] : options.context) {
    v1::Tensor& rows = (*request.mutable_context())[name];
    const bool one_for_all = tensor.shape_size() == 0 || tensor.shape(0) <= 1;
    rows = one_for_all ? tensor : RowsOf(tensor, first, part.shape(0));
  }
  return request;
}

// Appends the rows of `tensor` to `array`, an Array or EnergyArray.
absl::StatusOr<Array> ToArray(const v1::Tensor& tensor, const Array&) {
  return FromTensor(tensor);
}
absl::StatusOr<EnergyArray> ToArray(const v1::Tensor& tensor,
                                    const EnergyArray&) {
  return EnergiesFromTensor(tensor);
}
template <typename AnyArray>
absl::Status AppendRows(const v1::Tensor& tensor, AnyArray& array) {
  auto rows = ToArray(tensor, array);
  if (!rows.ok()) return rows.status();
  if (array.shape.empty()) {
    array = *std::move(rows);
    return absl::OkStatus();
  }
  array.shape[0] += rows->shape[0];
  array.values.insert(array.values.end(), rows->values.begin(),
                      rows->values.end());
  return absl::OkStatus();
}

// Puts the draws of a Sample stream together. Draws come in order of steps,
// and within a step in order of chains.
class DrawCollector {
 public:
  absl::Status Add(const v1::SampleEvent::Draws& draws) {
    if (draws.first_chain() == 0) {
      steps_.insert(steps_.end(), draws.steps().begin(), draws.steps().end());
    }
    // A resumed request does not know how many chains there are.
    for (const v1::Tensor* tensor : {&draws.states(), &draws.energies()}) {
      if (tensor->shape_size() < 2) continue;
      chains_ = std::max(chains_, draws.first_chain() + tensor->shape(1));
    }
    const absl::Status parts[] = {Append(draws.states(), states_),
                                  Append(draws.energies(), energies_),
                                  Append(draws.gradients(), gradients_)};
    for (const absl::Status& status : parts) {
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  void MoveTo(SampleResult& result) {
    const auto k = static_cast<int64_t>(steps_.size());
    result.steps = std::move(steps_);
    for (auto* shape : {&states_.shape, &energies_.shape, &gradients_.shape}) {
      if (shape->empty()) continue;
      (*shape)[0] = k;
      (*shape)[1] = chains_;
    }
    result.states = std::move(states_);
    result.energies = std::move(energies_);
    result.gradients = std::move(gradients_);
  }

 private:
  template <typename AnyArray>
  static absl::Status Append(const v1::Tensor& tensor, AnyArray& array) {
    if (tensor.data().empty()) return absl::OkStatus();
    return AppendRows(tensor, array);
  }

  int64_t chains_ = 0;
  std::vector<int64_t> steps_;
  Array states_;
  EnergyArray energies_;
  Array gradients_;
};

// Moves what is large out of the summary.
absl::Status TakeFromSummary(SampleResult& result) {
  v1::SampleEvent::Summary& summary = result.summary;
  absl::Status status;
  if (summary.has_tuned_variance()) {
    status.Update(AppendRows(summary.tuned_variance(), result.tuned_variance));
    summary.clear_tuned_variance();
  }
  if (summary.has_log_weights()) {
    status.Update(AppendRows(summary.log_weights(), result.log_weights));
    summary.clear_log_weights();
  }
  result.resume_token = std::move(*summary.mutable_resume_token());
  summary.clear_resume_token();
  return status;
}

class GrpcClient final : public Client {
 public:
  explicit GrpcClient(std::shared_ptr<grpc::Channel> channel)
      : channel_(std::move(channel)),
        health_(grpc::health::v1::Health::NewStub(channel_)),
        models_(v1::Models::NewStub(channel_)),
        replay_(v1::Replay::NewStub(channel_)),
        sampler_(v1::Sampler::NewStub(channel_)),
        scorer_(v1::Scorer::NewStub(channel_)),
        status_(v1::Status::NewStub(channel_)) {}

  absl::Status WaitUntilServing(absl::Duration timeout) override;
  absl::StatusOr<SampleResult> Sample(const v1::SampleRequest& request,
                                      const EventCallback& on_event,
                                      const CallOptions& options) override;
  absl::StatusOr<ScoreResult> Score(const v1::ModelRef& model,
                                    const v1::Tensor& inputs,
                                    const ScoreOptions& options) override;
  absl::StatusOr<Array> ReplayDraw(const v1::ReplayDrawRequest& request,
                                   const CallOptions& options) override;
  absl::StatusOr<int64_t> ReplayInsert(const v1::ModelRef& model,
                                       const v1::Tensor& states,
                                       std::optional<int64_t> label,
                                       const CallOptions& options) override;

  absl::StatusOr<v1::ListModelsResponse> ListModels(
      const CallOptions& options) override {
    return CallUnary(*models_, &v1::Models::Stub::List, v1::ListModelsRequest(),
                     options);
  }
  absl::StatusOr<v1::Model> GetModel(const std::string& name,
                                     const CallOptions& options) override {
    v1::GetModelRequest request;
    request.set_name(name);
    return CallUnary(*models_, &v1::Models::Stub::Get, request, options);
  }
  absl::StatusOr<v1::Model> LoadModel(const v1::ModelRef& model,
                                      const CallOptions& options) override {
    v1::LoadModelRequest request;
    *request.mutable_model() = model;
    auto response =
        CallUnary(*models_, &v1::Models::Stub::Load, request, options);
    if (!response.ok()) return response.status();
    return response->model();
  }
  absl::Status UnloadModel(const v1::ModelRef& model,
                           const CallOptions& options) override {
    v1::UnloadModelRequest request;
    *request.mutable_model() = model;
    return CallUnary(*models_, &v1::Models::Stub::Unload, request, options)
        .status();
  }
  absl::StatusOr<v1::ReplayStatsResponse> ReplayStats(
      const v1::ModelRef& model, const CallOptions& options) override {
    v1::ReplayStatsRequest request;
    *request.mutable_model() = model;
    return CallUnary(*replay_, &v1::Replay::Stub::Stats, request, options);
  }
  absl::StatusOr<int64_t> ReplayClear(const v1::ModelRef& model,
                                      const CallOptions& options) override {
    v1::ReplayClearRequest request;
    *request.mutable_model() = model;
    auto response =
        CallUnary(*replay_, &v1::Replay::Stub::Clear, request, options);
    if (!response.ok()) return response.status();
    return response->removed();
  }
  absl::StatusOr<int64_t> ReplaySnapshot(const v1::ModelRef& model,
                                         const CallOptions& options) override {
    v1::ReplaySnapshotRequest request;
    *request.mutable_model() = model;
    auto response =
        CallUnary(*replay_, &v1::Replay::Stub::Snapshot, request, options);
    if (!response.ok()) return response.status();
    return response->states();
  }
  absl::StatusOr<v1::ServerStatus> Status(const CallOptions& options) override {
    return CallUnary(*status_, &v1::Status::Stub::Get, v1::GetStatusRequest(),
                     options);
  }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<grpc::health::v1::Health::Stub> health_;
  const std::unique_ptr<v1::Models::Stub> models_;
  const std::unique_ptr<v1::Replay::Stub> replay_;
  const std::unique_ptr<v1::Sampler::Stub> sampler_;
  const std::unique_ptr<v1::Scorer::Stub> scorer_;
  const std::unique_ptr<v1::Status::Stub> status_;
};

absl::Status GrpcClient::WaitUntilServing(absl::Duration timeout) {
  CallOptions options;
  options.timeout = timeout;
  CallScope call(options);
  call.context()->set_wait_for_ready(true);
  const auto reader =
      health_->Watch(call.context(), grpc::health::v1::HealthCheckRequest());
  grpc::health::v1::HealthCheckResponse response;
  bool serving = false;
  while (!serving && reader->Read(&response)) {
    serving =
        response.status() == grpc::health::v1::HealthCheckResponse::SERVING;
  }
  call.context()->TryCancel();
  const grpc::Status status = reader->Finish();
  return serving ? absl::OkStatus() : ToStatus(status);
}

absl::StatusOr<SampleResult> GrpcClient::Sample(
    const v1::SampleRequest& request, const EventCallback& on_event,
    const CallOptions& options) {
  CallScope call(options);
  const auto reader = sampler_->Sample(call.context(), request);
  SampleResult result;
  DrawCollector collector;
  absl::Status malformed;
  for (v1::SampleEvent event; malformed.ok() && reader->Read(&event);) {
    if (event.has_accepted()) result.accepted = event.accepted();
    if (event.has_draws()) malformed = collector.Add(event.draws());
    if (on_event) on_event(event);
    if (event.has_summary())
      result.summary = std::move(*event.mutable_summary());
  }
  if (!malformed.ok()) {
    call.context()->TryCancel();
    reader->Finish().ok();
    return malformed;
  }
  const absl::Status status = ToStatus(reader->Finish());
  if (!status.ok()) return status;
  collector.MoveTo(result);
  malformed = TakeFromSummary(result);
  if (!malformed.ok()) return malformed;
  return result;
}

absl::StatusOr<ScoreResult> GrpcClient::Score(const v1::ModelRef& model,
                                              const v1::Tensor& inputs,
                                              const ScoreOptions& options) {
  const int64_t rows = inputs.shape_size() > 0 ? inputs.shape(0) : 0;
  for (const auto& [name, tensor] : options.context) {
    const int64_t given = tensor.shape_size() > 0 ? tensor.shape(0) : 1;
    if (given == 1 || given == rows) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("context.", name, ": expected 1 row or ", rows,
                     ", one for each input, got ", given));
  }
  CallScope call(options.call);
  const auto stream = scorer_->ScoreStream(call.context());
  const std::vector<v1::Tensor> parts = Parts(inputs);
  ScoreResult result;
  absl::Status malformed;
  const auto read_one = [&] {
    v1::ScoreResponse response;
    if (!stream->Read(&response)) return false;
    result.model_version = response.model_version();
    malformed.Update(AppendRows(response.energies(), result.energies));
    if (options.want == ScoreOptions::Want::kEnergyAndGradient) {
      malformed.Update(AppendRows(response.gradients(), result.gradients));
    }
    if (options.want_class_energies) {
      malformed.Update(
          AppendRows(response.class_energies(), result.class_energies));
    }
    if (options.want_log_likelihood) {
      malformed.Update(
          AppendRows(response.log_likelihoods(), result.log_likelihoods));
      result.log_z = response.log_z();
    }
    if (options.on_progress && malformed.ok()) {
      options.on_progress(result.energies.shape[0]);
    }
    return malformed.ok();
  };
  // Two parts are under way at a time, so that the server never waits.
  bool open = true;
  size_t answered = 0;
  for (size_t i = 0; open && i < parts.size(); ++i) {
    const auto first = static_cast<int64_t>(i) * PartRows(inputs);
    open = stream->Write(PartRequest(model, parts[i], first, options));
    if (open && i >= 1) open = read_one(), ++answered;
  }
  stream->WritesDone();
  while (open && answered++ < parts.size()) open = read_one();
  if (!malformed.ok()) call.context()->TryCancel();
  const absl::Status status = ToStatus(stream->Finish());
  if (!malformed.ok()) return malformed;
  if (!status.ok()) return status;
  return result;
}

absl::StatusOr<Array> GrpcClient::ReplayDraw(
    const v1::ReplayDrawRequest& request, const CallOptions& options) {
  CallScope call(options);
  const auto reader = replay_->Draw(call.context(), request);
  Array states;
  absl::Status malformed;
  for (v1::ReplayDrawResponse part; malformed.ok() && reader->Read(&part);) {
    malformed = AppendRows(part.states(), states);
  }
  if (!malformed.ok()) call.context()->TryCancel();
  const absl::Status status = ToStatus(reader->Finish());
  if (!malformed.ok()) return malformed;
  if (!status.ok()) return status;
  return states;
}

absl::StatusOr<int64_t> GrpcClient::ReplayInsert(const v1::ModelRef& model,
                                                 const v1::Tensor& states,
                                                 std::optional<int64_t> label,
                                                 const CallOptions& options) {
  CallScope call(options);
  v1::ReplayInsertResponse response;
  const auto writer = replay_->Insert(call.context(), &response);
  for (const v1::Tensor& part : Parts(states)) {
    v1::ReplayInsertRequest request;
    *request.mutable_model() = model;
    *request.mutable_states() = part;
    if (label) request.set_label(*label);
    if (!writer->Write(request)) break;
  }
  writer->WritesDone();
  const absl::Status status = ToStatus(writer->Finish());
  if (!status.ok()) return status;
  return response.inserted();
}

}  // namespace

std::unique_ptr<Client> Client::Connect(const std::string& address) {
  return Connect(address, Options());
}

std::unique_ptr<Client> Client::Connect(const std::string& address,
                                        const Options& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_message_bytes);
  arguments.SetMaxSendMessageSize(options.max_message_bytes);
  // Each client has a connection of its own.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return std::make_unique<GrpcClient>(grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), arguments));
}

}  // namespace basin::client
