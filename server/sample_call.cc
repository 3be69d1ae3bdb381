#include "server/sample_call.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <grpcpp/support/status.h>

#include "core/base/status_macros.h"
#include "core/sampler/transition.h"
#include "server/proto_convert.h"
#include "server/replay_law.h"
#include "server/sample_summary.h"

namespace basin {
namespace {

constexpr absl::Duration kProgressInterval = absl::Milliseconds(250);

uint64_t FreshSeed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

void ProgressToProto(const SampleProgress& progress,
                     v1::SampleEvent::Progress& out) {
  out.set_chain_steps_done(progress.chain_steps_done);
  out.set_chain_steps_total(progress.chain_steps_total);
  if (!std::isnan(progress.acceptance)) {
    out.set_acceptance(progress.acceptance);
  }
  if (!std::isnan(progress.mean_energy)) {
    out.set_mean_energy(progress.mean_energy);
  }
  if (!std::isnan(progress.max_rhat)) out.set_rhat(progress.max_rhat);
  if (!std::isnan(progress.min_ess)) out.set_ess(progress.min_ess);
}

void AcceptedToProto(const std::string& request_id, const SampleSpec& spec,
                     v1::SampleEvent::Accepted& out) {
  out.set_request_id(request_id);
  out.set_seed(spec.seed);
  out.set_model_version(spec.model->info().version);
  TargetToProto(GetTransition(spec.transition.kind)
                    .Target(spec.transition, spec.inverse_temperature),
                *out.mutable_target());
  TransitionToProto(spec.transition, *out.mutable_transition());
  if (spec.surrogate != nullptr) {
    out.mutable_transition()
        ->mutable_delayed_acceptance()
        ->mutable_surrogate()
        ->set_name(spec.surrogate->info().name);
  }
  out.set_steps(spec.steps);
}

DrawsEncoder::Options EncoderOptions(const SamplePlan& plan,
                                     const ModelInfo& model,
                                     int64_t max_message_bytes) {
  DrawsEncoder::Options options;
  options.chains = plan.spec.chains;
  options.dimension = model.dimension;
  options.state_shape = model.state_shape;
  options.precision = model.precision;
  options.states = plan.send_states;
  options.energies = plan.send_energies;
  options.gradients = plan.send_gradients;
  // Clients that never raised gRPC's own limit of 4 MiB can still read it.
  options.target_bytes = std::min(options.target_bytes, max_message_bytes / 2);
  return options;
}

}  // namespace

grpc::ServerWriteReactor<v1::SampleEvent>* SampleCall::Start(
    Runtime& runtime, const grpc::CallbackServerContext& context,
    const v1::SampleRequest& request) {
  auto call = std::make_shared<SampleCall>(runtime, Deadline(context), request);
  call->self_ = call;
  runtime.streams->Run([call] { call->FindModel(); });
  return call.get();
}

SampleCall::SampleCall(Runtime& runtime, absl::Time deadline,
                       const v1::SampleRequest& request)
    : runtime_(runtime),
      call_(runtime, RpcMethod::kSample),
      deadline_(deadline),
      received_(request),
      request_(&request),
      last_progress_(call_.arrival()) {}

void SampleCall::OnWriteDone(bool ok) {
  {
    MutexLock lock(mu_);
    writing_ = false;
    sending_ += runtime_.clock->Now() - write_started_;
  }
  if (ok) return Schedule();
  OnCancel();
}

void SampleCall::OnCancel() {
  // Not here: Cancel() may wait for a lock that a pump holds.
  runtime_.streams->Run([self = shared_from_this()] { self->Abandon(); });
}

void SampleCall::OnDone() { self_.reset(); }

void SampleCall::Abandon() {
  std::shared_ptr<SampleJob> job;
  {
    MutexLock lock(mu_);
    abandoned_ = true;
    job = job_;
  }
  if (job != nullptr) {
    job->Cancel(runtime_.clock->Now() >= deadline_
                    ? absl::DeadlineExceededError("the call's deadline passed")
                    : absl::CancelledError("the client cancelled the call"));
  }
  Schedule();
}

void SampleCall::Begin(Runtime::ModelOr model) {
  if (absl::Status status = Submit(std::move(model)); !status.ok()) {
    status = NameDefault(std::move(status));
    {
      MutexLock lock(mu_);
      finished_ = true;
      final_status_ = std::move(status);
    }
    return Perform(Action::kFinish);
  }
  bool abandoned = false;
  {
    MutexLock lock(mu_);
    abandoned = abandoned_;
    write_started_ = runtime_.clock->Now();
  }
  Perform(Action::kWrite);
  if (abandoned) Abandon();
}

// A refusal of a transition that the request did not name says whose it is.
absl::Status SampleCall::NameDefault(absl::Status status) const {
  const bool by_default =
      model_ != nullptr && absl::IsInvalidArgument(status) &&
      !request_->has_transition() && model_->info().has_default_transition;
  if (!by_default) return status;
  const std::string name(
      GetTransition(model_->info().default_transition.kind).name());
  if (!absl::StrContains(status.message(), name)) return status;
  return absl::InvalidArgumentError(absl::StrCat(
      status.message(), " (", name, " is the model's default transition)"));
}

void SampleCall::FindModel() {
  if (!call_.admission().ok()) return Begin(call_.admission());
  if (runtime_.clock->Now() >= deadline_) {
    return Begin(absl::DeadlineExceededError(
        "the call's deadline had passed when it arrived"));
  }
  if (received_.has_resume_token()) {
    auto resumed = DecodeResumeToken(received_, runtime_.options.resume_key);
    if (!resumed.ok()) return Begin(resumed.status());
    resumed_ = *std::move(resumed);
    request_ = resumed_.request.get();
  }
  const auto self = shared_from_this();
  const auto abandoned = [self] {
    MutexLock lock(self->mu_);
    return self->abandoned_;
  };
  runtime_.FindOrCompose(
      request_->model(), {deadline_, abandoned},
      [self](Runtime::ModelOr model) { self->Begin(std::move(model)); });
}

absl::Status SampleCall::Submit(Runtime::ModelOr model) {
  BASIN_ASSIGN_OR_RETURN(model_, std::move(model));
  BASIN_ASSIGN_OR_RETURN(
      SamplePlan plan,
      DecodeSampleRequest(*request_, model_->info(), runtime_.options.limits,
                          FreshSeed()));
  plan.spec.model = model_;
  BASIN_RETURN_IF_ERROR(FindOtherModels(plan.spec));
  BASIN_ASSIGN_OR_RETURN(models_, ModelsOf(plan.spec));
  if (received_.has_resume_token()) {
    BASIN_RETURN_IF_ERROR(FillResumed(std::move(resumed_), models_,
                                      model_->info().dimension, plan));
  }
  annealing_ = plan.spec.annealing;
  BASIN_RETURN_IF_ERROR(CheckTokenSize(plan.spec));
  BASIN_RETURN_IF_ERROR(runtime_.scheduler->CheckAdmission(plan.spec));
  BASIN_RETURN_IF_ERROR(FillPlan(plan));
  transition_ = plan.spec.transition;
  seed_ = plan.spec.seed;
  chains_ = plan.spec.chains;
  AcceptedToProto(call_.id(), plan.spec, *event_.mutable_accepted());
  DrawsEncoder::Options encoder = EncoderOptions(
      plan, model_->info(), runtime_.options.limits.max_message_bytes);

  MutexLock lock(mu_);  // a listener may come before job_ is set
  BASIN_ASSIGN_OR_RETURN(job_,
                         runtime_.scheduler->Submit(std::move(plan.spec)));
  encoder_.emplace(std::move(encoder));
  writing_ = true;
  return absl::OkStatus();
}

absl::Status SampleCall::FindOtherModels(SampleSpec& spec) const {
  const auto find = [&](absl::string_view field, const v1::ModelRef& ref,
                        std::shared_ptr<const EnergyModel>& found) {
    if (IsComposition(ref) || ref.name().empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          field, ": expected the name of a served model, got none"));
    }
    BASIN_ASSIGN_OR_RETURN(found, runtime_.FindModel(ref));
    return absl::OkStatus();
  };
  const v1::Transition& transition = request_->transition();
  if (transition.has_delayed_acceptance()) {
    BASIN_RETURN_IF_ERROR(find("transition.delayed_acceptance.surrogate",
                               transition.delayed_acceptance().surrogate(),
                               spec.surrogate));
  }
  if (spec.annealing.base != AnnealingOptions::Base::kModel) {
    return absl::OkStatus();
  }
  return find("annealing.base", request_->annealing().base(), spec.base);
}

absl::StatusOr<RequestModels> SampleCall::ModelsOf(
    const SampleSpec& spec) const {
  RequestModels models;
  models.model = IdentityOf(spec.model->info());
  if (spec.surrogate != nullptr) {
    models.surrogate = IdentityOf(spec.surrogate->info());
  }
  if (spec.base != nullptr) {
    models.base = IdentityOf(spec.base->info());
    models.base_asked = request_->annealing().base().version();
  }
  if (resumed_.models.base.has_value()) {
    // The path is behind the chains, but they bring its weights.
    v1::ModelRef ref;
    models.base_asked = resumed_.models.base_asked;
    ref.set_name(resumed_.models.base->name);
    ref.set_version(models.base_asked);
    BASIN_ASSIGN_OR_RETURN(const std::shared_ptr<const EnergyModel> base,
                           runtime_.FindModel(ref));
    models.base = IdentityOf(base->info());
  }
  return models;
}

absl::Status SampleCall::CheckTokenSize(const SampleSpec& spec) const {
  if (!request_->output().resume_token()) return absl::OkStatus();
  if (annealing_.direction == AnnealingOptions::Direction::kReverse) {
    return absl::InvalidArgumentError(
        "output.resume_token: expected none with annealing.direction REVERSE, "
        "whose chains end far from their target");
  }
  // Positions, momenta at most, weights; and the request is in it.
  const int64_t row_bytes =
      2 * model_->info().dimension * int64_t{sizeof(float)} +
      int64_t{sizeof(double)};
  const int64_t most = runtime_.options.limits.max_message_bytes / 2 -
                       static_cast<int64_t>(request_->ByteSizeLong());
  if (spec.rows() <= most / row_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "output.resume_token: expected chains whose states fit into half of "
      "max_message_bytes, ",
      most, " bytes, got ", spec.rows(), " of ", row_bytes, " bytes"));
}

absl::Status SampleCall::FillPlan(SamplePlan& plan) {
  const ModelInfo& info = model_->info();
  const bool may_have_buffer =
      plan.init == SamplePlan::Init::kReplay ||
      (plan.init == SamplePlan::Init::kDefault && info.replay.capacity > 0);
  std::shared_ptr<ReplayBuffer> buffer;
  ReplayLaw law;
  if (may_have_buffer) {
    BASIN_ASSIGN_OR_RETURN(buffer, runtime_.replay->Get(info));
    law = ReplayLawOf(plan.spec, info);
    plan.replay_labels = std::move(law.labels);
  }
  BASIN_ASSIGN_OR_RETURN(draw_, FillInitialStates(info, buffer.get(), plan));
  if (draw_.unserved > 0) {
    replay_warnings_.push_back(
        absl::StrCat(draw_.unserved, " of ", plan.spec.chains,
                     " chains started from the initial law: the replay buffer "
                     "had no states left for them"));
  }
  BASIN_RETURN_IF_ERROR(FillClamped(info, plan));
  DecideWriteBack(plan, law.other, std::move(buffer));

  JobOptions& options = plan.spec.options;
  options.deadline = JobDeadline(options.on_deadline);
  options.listener = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Schedule();
  };
  return absl::OkStatus();
}

void SampleCall::DecideWriteBack(const SamplePlan& plan,
                                 const std::string& other_law,
                                 std::shared_ptr<ReplayBuffer> buffer) {
  if (!plan.write_back || draw_.slots.empty()) return;
  if (other_law.empty()) {
    replay_ = std::move(buffer);
    return;
  }
  replay_warnings_.push_back(absl::StrCat(
      "the last states were not written back to the replay buffer: ", other_law,
      " makes these chains of another law than the buffer's; "
      "replay.write_back: false says so, too"));
}

absl::Time SampleCall::JobDeadline(JobOptions::OnDeadline on_deadline) const {
  if (on_deadline == JobOptions::OnDeadline::kFail ||
      deadline_ == absl::InfiniteFuture()) {
    return deadline_;
  }
  // A tenth of the time is left for sending, within reason.
  const absl::Duration left = deadline_ - runtime_.clock->Now();
  return deadline_ -
         std::clamp(left / 10, absl::Milliseconds(10), absl::Seconds(2));
}

void SampleCall::Schedule() {
  if (scheduled_.exchange(true)) return;
  runtime_.streams->Run([self = shared_from_this()] { self->Pump(); });
}

void SampleCall::Pump() {
  scheduled_ = false;
  Action action = Action::kNothing;
  {
    MutexLock lock(mu_);
    if (writing_ || finished_ || job_ == nullptr) return;
    action = Next();
    writing_ = action == Action::kWrite;
    finished_ = action == Action::kFinish || action == Action::kWriteAndFinish;
    write_started_ = runtime_.clock->Now();
  }
  Perform(action);
}

SampleCall::Action SampleCall::Next() {
  // Asked first: all frames are there once it is true.
  const bool done = job_->Done();
  TakeFrames();
  if (encoder_->HasMessage() && !abandoned_) {
    if (std::exchange(first_result_, false)) {
      runtime_.metrics->OnFirstResult(runtime_.clock->Now() - call_.arrival());
    }
    event_.Clear();
    encoder_->NextMessage(*event_.mutable_draws());
    return Action::kWrite;
  }
  if (done) return End(job_->TakeResult());
  if (abandoned_ || !ProgressDue()) return Action::kNothing;
  event_.Clear();
  ProgressToProto(job_->Progress(), *event_.mutable_progress());
  return Action::kWrite;
}

void SampleCall::TakeFrames() {
  while (encoder_->WantsFrame()) {
    std::optional<Frame> frame = job_->TakeFrame();
    if (!frame.has_value()) return;
    trace_.AddFrame(*frame);
    if (encoder_->wanted() && !abandoned_)
      encoder_->AddFrame(*std::move(frame));
  }
}

bool SampleCall::ProgressDue() {
  const absl::Time now = runtime_.clock->Now();
  if (now - last_progress_ < kProgressInterval) return false;
  last_progress_ = now;
  return true;
}

SampleCall::Action SampleCall::End(SampleResult result) {
  final_status_ = result.status;
  if (!result.status.ok() || abandoned_) {
    if (final_status_.ok()) {
      final_status_ = absl::CancelledError("the client cancelled the call");
    }
    return Action::kFinish;
  }
  if (std::exchange(first_result_, false)) {
    runtime_.metrics->OnFirstResult(runtime_.clock->Now() - call_.arrival());
  }
  event_.Clear();
  v1::SampleEvent::Summary& summary = *event_.mutable_summary();
  SummaryToProto(
      {transition_.kind, chains_, model_->info(), annealing_, result}, summary);
  if (request_->output().resume_token() && result.resume.steps > 0) {
    summary.set_resume_token(EncodeResumeToken(
        *request_, models_, seed_, result, runtime_.options.resume_key));
  }
  summary.mutable_energy_trace()->Add(trace_.values().begin(),
                                      trace_.values().end());
  TimesToProto({result.queued, result.running, sending_},
               *summary.mutable_timings());
  for (const std::string& warning : replay_warnings_) {
    summary.add_warnings(warning);
  }
  if (replay_ != nullptr) {
    summary.set_replay_written(replay_->WriteBack(
        draw_, SeenStates(result, chains_, model_->info().dimension)));
  }
  return Action::kWriteAndFinish;
}

void SampleCall::Perform(Action action) {
  switch (action) {
    case Action::kNothing:
      return;
    case Action::kWrite:
      return StartWrite(&event_);
    case Action::kWriteAndFinish:
      return StartWriteAndFinish(&event_, grpc::WriteOptions(),
                                 call_.End(final_status_));
    case Action::kFinish:
      return Finish(call_.End(final_status_));
  }
}

}  // namespace basin
