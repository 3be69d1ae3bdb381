#include "server/resume_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstring>
#include <utility>

#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "server/proto_convert.h"
#include "server/resume_token.pb.h"
#include "server/sample_request.h"

#include "basin/v1/sampler.pb.h"

namespace basin {
namespace {

constexpr size_t kMacBytes = 32;  // of SHA-256

std::string Mac(absl::string_view key, absl::string_view payload) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const unsigned char* const done =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(payload.data()),
           payload.size(), mac, &size);
  BASIN_CHECK(done != nullptr && size == kMacBytes);
  return std::string(reinterpret_cast<const char*>(mac), size);
}

std::string BytesOf(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(float));
}

absl::StatusOr<std::vector<float>> FloatsOf(const std::string& bytes) {
  if (bytes.size() % sizeof(float) != 0) {
    return absl::InvalidArgumentError(
        "resume_token: expected whole floats, got half of one");
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!bytes.empty()) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
  }
  return values;
}

void ModelToProto(const ModelIdentity& model, server::ResumeModel& out) {
  out.set_name(model.name);
  out.set_version(model.version);
  out.set_fingerprint(model.fingerprint);
}

ModelIdentity ModelOf(const server::ResumeModel& model) {
  return {model.name(), model.version(), model.fingerprint()};
}

// That a model which served as `role` is the same now.
absl::Status CheckSame(absl::string_view role,
                       const std::optional<ModelIdentity>& then,
                       const std::optional<ModelIdentity>& now) {
  if (then == now) return absl::OkStatus();
  if (then.has_value() && then->name.empty()) {
    return absl::FailedPreconditionError(
        "resume_token: of an older server, which did not say which models its "
        "chains depend on: start new ones from its draws with init.states");
  }
  if (!then.has_value() || !now.has_value() || then->name != now->name) {
    const auto name = [](const std::optional<ModelIdentity>& model) {
      return model.has_value() ? model->name : std::string("no model");
    };
    return absl::FailedPreconditionError(absl::StrCat(
        "resume_token: expected one with ", name(now), role, ", got one with ",
        name(then), ": start new chains from its draws with init.states"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "resume_token: of version ", then->version, " of ", then->name, role,
      ", and ",
      then->version == now->version
          ? std::string("that version is another now")
          : absl::StrCat("version ", now->version, " serves"),
      ": its chains cannot go on; start new ones from its draws with "
      "init.states, or serve the model as it was"));
}

// What the chains go on by.
v1::SampleRequest Normalised(const v1::SampleRequest& request, uint64_t seed,
                             const SampleResult& result) {
  v1::SampleRequest normalised = request;
  normalised.clear_init();
  normalised.clear_warmup();
  normalised.clear_adapt();
  normalised.clear_annealing();
  normalised.clear_stop_when();
  normalised.clear_metric();
  if (request.has_metric() && request.metric().has_covariance()) {
    *normalised.mutable_metric() = request.metric();
  }
  // Clamped values are in the states.
  if (request.has_clamp()) normalised.mutable_clamp()->clear_values();
  normalised.set_seed(seed);
  const v1::Transition& given = request.transition();
  TransitionToProto(result.transition, *normalised.mutable_transition());
  if (given.has_delayed_acceptance()) {
    *normalised.mutable_transition()
         ->mutable_delayed_acceptance()
         ->mutable_surrogate() = given.delayed_acceptance().surrogate();
  }
  if (request.has_tempering()) {
    normalised.mutable_tempering()->set_tune(false);
  }
  return normalised;
}

// That `request` has only what may stand beside a token.
absl::Status CheckBeside(const v1::SampleRequest& request) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  request.GetReflection()->ListFields(request, &fields);
  for (const auto* field : fields) {
    switch (field->number()) {
      case v1::SampleRequest::kResumeTokenFieldNumber:
      case v1::SampleRequest::kStepsFieldNumber:
      case v1::SampleRequest::kKeepEveryFieldNumber:
      case v1::SampleRequest::kOutputFieldNumber:
      case v1::SampleRequest::kStopWhenFieldNumber:
      case v1::SampleRequest::kPriorityFieldNumber:
      case v1::SampleRequest::kOnDeadlineFieldNumber:
        continue;
      default:
        return absl::InvalidArgumentError(absl::StrCat(
            field->name(),
            ": expected none beside resume_token, which stands for it, got "
            "one"));
    }
  }
  return absl::OkStatus();
}

void Merge(const v1::SampleRequest& later, v1::SampleRequest& request) {
  request.clear_steps();
  if (later.has_steps()) request.set_steps(later.steps());
  request.set_keep_every(later.keep_every());
  request.set_priority(later.priority());
  request.set_on_deadline(later.on_deadline());
  request.clear_output();
  if (later.has_output()) *request.mutable_output() = later.output();
  if (later.has_stop_when()) *request.mutable_stop_when() = later.stop_when();
}

}  // namespace

ModelIdentity IdentityOf(const ModelInfo& model) {
  return {model.name, model.version, model.fingerprint};
}

std::string EncodeResumeToken(const v1::SampleRequest& request,
                              const RequestModels& models, uint64_t seed,
                              const SampleResult& result,
                              absl::string_view key) {
  const ResumePoint& point = result.resume;
  server::ResumeState state;
  state.set_request(Normalised(request, seed, result).SerializeAsString());
  ModelToProto(models.model, *state.mutable_model());
  if (models.surrogate.has_value()) {
    ModelToProto(*models.surrogate, *state.mutable_surrogate());
  }
  if (models.base.has_value()) {
    ModelToProto(*models.base, *state.mutable_base());
    state.set_base_asked(models.base_asked);
  }
  state.set_steps(point.steps);
  state.set_states(BytesOf(result.last_states));
  state.set_momenta(BytesOf(point.momenta));
  state.set_scale(BytesOf(result.scale));
  state.mutable_step_sizes()->Add(point.step_sizes.begin(),
                                  point.step_sizes.end());
  state.mutable_inverse_temperatures()->Add(point.inverse_temperatures.begin(),
                                            point.inverse_temperatures.end());
  state.mutable_log_weights()->Add(point.log_weights.begin(),
                                   point.log_weights.end());
  const std::string payload = state.SerializeAsString();
  return Mac(key, payload) + payload;
}

absl::StatusOr<ResumedRequest> DecodeResumeToken(
    const v1::SampleRequest& request, absl::string_view key) {
  BASIN_RETURN_IF_ERROR(CheckBeside(request));
  const absl::string_view token = request.resume_token();
  const absl::string_view payload =
      token.substr(std::min(kMacBytes, token.size()));
  const std::string mac = Mac(key, payload);
  if (token.size() < kMacBytes ||
      CRYPTO_memcmp(mac.data(), token.data(), kMacBytes) != 0) {
    return absl::InvalidArgumentError(
        "resume_token: expected one that this server, or one with the same "
        "resume_key_file, has issued, got one that is damaged or of another");
  }
  server::ResumeState state;
  ResumedRequest resumed;
  resumed.request = std::make_unique<v1::SampleRequest>();
  if (!state.ParseFromArray(payload.data(), static_cast<int>(payload.size())) ||
      !resumed.request->ParseFromString(state.request())) {
    return absl::InvalidArgumentError("resume_token: cannot be read");
  }
  Merge(request, *resumed.request);
  resumed.models.model = ModelOf(state.model());
  if (state.has_surrogate()) {
    resumed.models.surrogate = ModelOf(state.surrogate());
  }
  if (state.has_base()) {
    resumed.models.base = ModelOf(state.base());
    resumed.models.base_asked = state.base_asked();
  }
  BASIN_ASSIGN_OR_RETURN(resumed.states, FloatsOf(state.states()));
  BASIN_ASSIGN_OR_RETURN(resumed.scale, FloatsOf(state.scale()));
  BASIN_ASSIGN_OR_RETURN(resumed.point.momenta, FloatsOf(state.momenta()));
  resumed.point.steps = state.steps();
  resumed.point.step_sizes.assign(state.step_sizes().begin(),
                                  state.step_sizes().end());
  resumed.point.inverse_temperatures.assign(
      state.inverse_temperatures().begin(), state.inverse_temperatures().end());
  resumed.point.log_weights.assign(state.log_weights().begin(),
                                   state.log_weights().end());
  return resumed;
}

absl::Status FillResumed(ResumedRequest&& resumed, const RequestModels& models,
                         int64_t dimension, SamplePlan& plan) {
  const RequestModels& earlier = resumed.models;
  BASIN_RETURN_IF_ERROR(CheckSame("", earlier.model, models.model));
  BASIN_RETURN_IF_ERROR(
      CheckSame(" as the surrogate", earlier.surrogate, models.surrogate));
  BASIN_RETURN_IF_ERROR(
      CheckSame(" as annealing.base, which its weights are relative to",
                earlier.base, models.base));
  SampleSpec& spec = plan.spec;
  const auto states = static_cast<int64_t>(resumed.states.size());
  const auto scale = static_cast<int64_t>(resumed.scale.size());
  if (states % dimension != 0 || states / dimension != spec.rows() ||
      (scale != 0 && scale != dimension)) {
    return absl::InvalidArgumentError(
        absl::StrCat("resume_token: expected ", spec.rows(), " states of ",
                     dimension, " coordinates, got ", states, " values"));
  }
  plan.clamped.clear();  // they are in the states
  spec.initial = std::move(resumed.states);
  spec.scale = std::move(resumed.scale);
  spec.resume = std::move(resumed.point);
  plan.init = SamplePlan::Init::kGiven;
  return absl::OkStatus();
}

}  // namespace basin
