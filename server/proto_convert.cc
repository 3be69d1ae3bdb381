#include "server/proto_convert.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <variant>

#include <absl/strings/str_cat.h>

#include "basin/v1/common.pb.h"
#include "basin/v1/models.pb.h"

namespace basin {
namespace {

// The model's default parameters, if they are of this kind.
TransitionParams DefaultsFor(TransitionKind kind, const ModelInfo& model) {
  if (model.has_default_transition && model.default_transition.kind == kind) {
    return model.default_transition;
  }
  TransitionParams params;
  params.kind = kind;
  return params;
}

// What every kind has.
template <typename Kind>
TransitionParams WithStepSize(TransitionKind kind, const Kind& message,
                              const ModelInfo& model) {
  TransitionParams params = DefaultsFor(kind, model);
  if (message.has_step_size()) params.step_size = message.step_size();
  return params;
}

template <typename Kind>
TransitionParams WithNoise(TransitionKind kind, const Kind& message,
                           const ModelInfo& model) {
  TransitionParams params = WithStepSize(kind, message, model);
  if (message.has_noise_std()) params.noise_std = message.noise_std();
  return params;
}

std::string InitialText(const InitialLaw& law) {
  if (const auto* uniform = std::get_if<UniformLaw>(&law)) {
    return absl::StrCat("uniform [", uniform->lower, ", ", uniform->upper, "]");
  }
  if (const auto* bernoulli = std::get_if<BernoulliLaw>(&law)) {
    return absl::StrCat("bernoulli ", bernoulli->p);
  }
  if (const auto* category = std::get_if<UniformCategoryLaw>(&law)) {
    return absl::StrCat("uniform category of ", category->classes);
  }
  const auto& normal = std::get<NormalLaw>(law);
  return absl::StrCat("normal mean ", normal.mean, " stddev ", normal.stddev);
}

v1::ModelState StateToProto(ModelState state) {
  switch (state) {
    case ModelState::kLoading:
      return v1::LOADING;
    case ModelState::kReady:
      return v1::READY;
    case ModelState::kFailed:
      return v1::FAILED;
    case ModelState::kUnloaded:
      break;
  }
  return v1::UNLOADED;
}

void ReplayToProto(const ReplayOptions& replay, v1::ReplayConfig& out) {
  out.set_capacity(replay.capacity);
  out.set_restart_probability(replay.restart_probability);
  out.set_write_policy(
      replay.write_policy == ReplayWritePolicy::kInPlace ? "in_place" : "fifo");
  out.set_read_policy(replay.read_policy == ReplayReadPolicy::kWithReplacement
                          ? "with_replacement"
                          : "without_replacement");
}

void NameAndShapeToProto(const std::string& name, const Shape& shape,
                         v1::NamedInput& out) {
  out.set_name(name);
  for (const int64_t dim : shape.dims()) out.add_shape(dim);
}

void InputsToProto(const ModelInfo& info, v1::Model& out) {
  if (info.states.size() > 1) {
    for (const StateInput& state : info.states) {
      v1::NamedInput& input = *out.add_states();
      NameAndShapeToProto(state.name, state.shape, input);
      input.set_dtype(std::string(Name(DType::kFloat32)));
    }
  }
  for (const ContextInput& context : info.context) {
    v1::NamedInput& input = *out.add_context();
    NameAndShapeToProto(context.name, context.shape, input);
    input.set_dtype(std::string(Name(context.dtype)));
    if (context.default_value.has_value()) {
      input.set_default_value(*context.default_value);
    }
    if (std::isfinite(context.lower) || std::isfinite(context.upper)) {
      BoxToProto({context.lower, context.upper}, *input.mutable_range());
    }
  }
}

void DescribeModel(const EnergyModel& model, int64_t max_chains,
                   v1::Model& out) {
  const ModelInfo& info = model.info();
  out.set_serving_version(info.version);
  out.set_family(info.family);
  out.set_input(info.input_name);
  for (const int64_t dim : info.state_shape.dims()) out.add_shape(dim);
  out.set_uint8_scale(info.uint8_scale);
  if (std::isfinite(info.domain.box.lower) ||
      std::isfinite(info.domain.box.upper)) {
    BoxToProto(info.domain.box, *out.mutable_domain());
  }
  out.set_initial(InitialText(info.initial));
  for (const Transition* transition : AllTransitions()) {
    if (!CheckFits(transition->kind(), info).ok()) continue;
    out.add_transitions(std::string(transition->name()));
  }
  if (info.has_default_transition) {
    TransitionToProto(info.default_transition,
                      *out.mutable_default_transition());
  }
  out.set_default_steps(info.default_steps);
  ReplayToProto(info.replay, *out.mutable_replay());
  out.set_parameters(info.parameters);
  for (const std::string& name : info.operators) out.add_operators(name);
  out.set_memory_bytes(static_cast<int64_t>(model.memory_bytes()));
  out.set_precision(std::string(Name(info.precision)));
  out.set_domain_kind(std::string(Name(info.domain.kind)));
  InputsToProto(info, out);
  out.set_classes(info.classes);
  const DeviceInfo& device = model.backend().info();
  out.set_device(absl::StrCat(device.kind, " ", device.isa));
  for (const int rows : model.tile_sizes()) out.add_tile_rows(rows);
  out.set_max_chains(info.max_chains > 0 ? std::min(info.max_chains, max_chains)
                                         : max_chains);
}

}  // namespace

absl::StatusOr<TransitionParams> TransitionFromProto(
    const v1::Transition& transition, const ModelInfo& model) {
  switch (transition.kind_case()) {
    case v1::Transition::kUla:
      return WithStepSize(TransitionKind::kUla, transition.ula(), model);
    case v1::Transition::kMala:
      return WithStepSize(TransitionKind::kMala, transition.mala(), model);
    case v1::Transition::kRandomWalk:
      return WithStepSize(TransitionKind::kRandomWalk, transition.random_walk(),
                          model);
    case v1::Transition::kIgebm: {
      const v1::Transition::Igebm& igebm = transition.igebm();
      TransitionParams params = WithNoise(TransitionKind::kIgebm, igebm, model);
      if (igebm.has_gradient_clip()) {
        params.gradient_clip = igebm.gradient_clip();
      }
      return params;
    }
    case v1::Transition::kJem:
      return WithNoise(TransitionKind::kJem, transition.jem(), model);
    case v1::Transition::KIND_NOT_SET:
      break;
  }
  if (model.has_default_transition) return model.default_transition;
  if (model.domain.kind != DomainKind::kContinuous) {
    return absl::InvalidArgumentError(
        absl::StrCat("transition: no transition of this build fits the ",
                     std::string(Name(model.domain.kind)), " domain of ",
                     model.name, ": it can be scored, not sampled"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("transition: expected one, because ", model.name,
                   " has no default transition, got none"));
}

void TransitionToProto(const TransitionParams& params, v1::Transition& out) {
  switch (params.kind) {
    case TransitionKind::kUla:
      return out.mutable_ula()->set_step_size(params.step_size);
    case TransitionKind::kMala:
      return out.mutable_mala()->set_step_size(params.step_size);
    case TransitionKind::kRandomWalk:
      return out.mutable_random_walk()->set_step_size(params.step_size);
    case TransitionKind::kIgebm:
      out.mutable_igebm()->set_step_size(params.step_size);
      out.mutable_igebm()->set_noise_std(params.noise_std);
      return out.mutable_igebm()->set_gradient_clip(params.gradient_clip);
    case TransitionKind::kJem:
      out.mutable_jem()->set_step_size(params.step_size);
      return out.mutable_jem()->set_noise_std(params.noise_std);
  }
}

void TargetToProto(const DeclaredTarget& target, v1::Target& out) {
  switch (target.kind) {
    case DeclaredTarget::Kind::kExact:
      return out.set_kind(v1::Target::EXACT);
    case DeclaredTarget::Kind::kBiased:
      out.set_kind(v1::Target::BIASED);
      return out.set_order(target.order);
    case DeclaredTarget::Kind::kRecipe:
      out.set_kind(v1::Target::RECIPE);
      return out.set_effective_temperature(target.effective_temperature);
  }
}

void TimesToProto(const Times& times, v1::Timings& out) {
  out.set_queued_seconds(absl::ToDoubleSeconds(times.queued));
  out.set_running_seconds(absl::ToDoubleSeconds(times.running));
  out.set_sending_seconds(absl::ToDoubleSeconds(times.sending));
}

void BoxToProto(const Box& box, v1::Box& out) {
  if (std::isfinite(box.lower)) out.set_lower(box.lower);
  if (std::isfinite(box.upper)) out.set_upper(box.upper);
}

void ModelVersionToProto(const ModelStatus& status, v1::ModelVersion& out) {
  out.set_name(status.name);
  out.set_version(status.version);
  out.set_state(StateToProto(status.state));
  out.set_reason(status.reason);
  out.set_serving(status.serving);
}

void ModelToProto(absl::Span<const ModelStatus> versions, int64_t max_chains,
                  v1::Model& out) {
  for (const ModelStatus& status : versions) {
    out.set_name(status.name);
    ModelVersionToProto(status, *out.add_versions());
    if (status.serving && status.model != nullptr) {
      DescribeModel(*status.model, max_chains, out);
    }
  }
}

}  // namespace basin
