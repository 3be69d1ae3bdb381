#include "server/proto_convert.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/backend/bfloat16.h"

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

// The fields that messages of transitions have, where this one has them.
template <typename Message>
absl::StatusOr<TransitionParams> ParamsFrom(TransitionKind kind,
                                            const Message& message,
                                            const ModelInfo& model) {
  TransitionParams params = DefaultsFor(kind, model);
  if constexpr (requires { message.has_step_size(); }) {
    if (message.has_step_size()) params.step_size = message.step_size();
    // Which would mean that none is given.
    if (message.has_step_size() && message.step_size() == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("transition.", std::string(Name(kind)),
                       ".step_size: expected a number > 0, got 0"));
    }
  }
  if constexpr (requires { message.has_noise_std(); }) {
    if (message.has_noise_std()) params.noise_std = message.noise_std();
  }
  if constexpr (requires { message.has_gradient_clip(); }) {
    if (message.has_gradient_clip()) {
      params.gradient_clip = message.gradient_clip();
    }
  }
  if constexpr (requires { message.has_leaps(); }) {
    if (message.has_leaps()) params.leaps = message.leaps();
  }
  if constexpr (requires { message.has_sites(); }) {
    if (message.has_sites()) params.leaps = message.sites();
  }
  if constexpr (requires { message.has_jitter(); }) {
    if (message.has_jitter()) params.jitter = message.jitter();
  }
  if constexpr (requires { message.has_friction(); }) {
    if (message.has_friction()) params.friction = message.friction();
  }
  if constexpr (requires { message.has_momentum(); }) {
    if (message.has_momentum()) params.momentum = message.momentum();
  }
  return params;
}

// The other way.
template <typename Message>
void ParamsTo(const TransitionParams& params, Message* message) {
  if constexpr (requires { message->has_step_size(); }) {
    message->set_step_size(params.step_size);
  }
  if constexpr (requires { message->has_noise_std(); }) {
    message->set_noise_std(params.noise_std);
  }
  if constexpr (requires { message->has_gradient_clip(); }) {
    message->set_gradient_clip(params.gradient_clip);
  }
  if constexpr (requires { message->has_leaps(); }) {
    if (params.leaps > 0) message->set_leaps(params.leaps);
  }
  if constexpr (requires { message->has_sites(); }) {
    if (params.leaps > 0) message->set_sites(params.leaps);
  }
  if constexpr (requires { message->has_jitter(); }) {
    message->set_jitter(params.jitter);
  }
  if constexpr (requires { message->has_friction(); }) {
    message->set_friction(params.friction);
  }
  if constexpr (requires { message->has_momentum(); }) {
    message->set_momentum(params.momentum);
  }
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
  if (const auto* mixture = std::get_if<MixtureLaw>(&law)) {
    return absl::StrCat("mixture of ", mixture->components->size(),
                        " Gaussians");
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

// The names of those that the model's chains can move by.
std::vector<std::string> FittingTransitions(const ModelInfo& model) {
  std::vector<std::string> names;
  for (const Transition* transition : AllTransitions()) {
    if (!CheckFits(transition->kind(), model).ok()) continue;
    names.emplace_back(transition->name());
  }
  return names;
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
  for (std::string& name : FittingTransitions(info)) {
    out.add_transitions(std::move(name));
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
  if (info.log_z.has_value()) LogZToProto(*info.log_z, *out.mutable_log_z());
  const DeviceInfo& device = model.backend().info();
  out.set_device(absl::StrCat(device.kind, " ", device.isa));
  if (info.precision == Precision::kBFloat16) {
    out.set_precision_note(BFloat16Note(device));
  }
  for (const int rows : model.tile_sizes()) out.add_tile_rows(rows);
  out.set_max_chains(info.max_chains > 0 ? std::min(info.max_chains, max_chains)
                                         : max_chains);
}

}  // namespace

absl::StatusOr<TransitionParams> TransitionFromProto(
    const v1::Transition& message, const ModelInfo& model) {
  const auto from = [&](TransitionKind kind, const auto& fields) {
    return ParamsFrom(kind, fields, model);
  };
  switch (message.kind_case()) {
    case v1::Transition::kUla:
      return from(TransitionKind::kUla, message.ula());
    case v1::Transition::kMala:
      return from(TransitionKind::kMala, message.mala());
    case v1::Transition::kRandomWalk:
      return from(TransitionKind::kRandomWalk, message.random_walk());
    case v1::Transition::kIgebm:
      return from(TransitionKind::kIgebm, message.igebm());
    case v1::Transition::kJem:
      return from(TransitionKind::kJem, message.jem());
    case v1::Transition::kHmc:
      return from(TransitionKind::kHmc, message.hmc());
    case v1::Transition::kUnderdamped:
      return from(TransitionKind::kUnderdamped, message.underdamped());
    case v1::Transition::kUnderdampedMetropolis:
      return from(TransitionKind::kUnderdampedMetropolis,
                  message.underdamped_metropolis());
    case v1::Transition::kMinimize:
      return from(TransitionKind::kMinimize, message.minimize());
    case v1::Transition::kGibbs:
      return from(TransitionKind::kGibbs, message.gibbs());
    case v1::Transition::kSiteMetropolis:
      return from(TransitionKind::kSiteMetropolis, message.site_metropolis());
    case v1::Transition::kSiteHeatBath:
      return from(TransitionKind::kSiteHeatBath, message.site_heat_bath());
    case v1::Transition::kGibbsWithGradients:
      return from(TransitionKind::kGibbsWithGradients,
                  message.gibbs_with_gradients());
    case v1::Transition::kDiscreteLangevin:
      return from(TransitionKind::kDiscreteLangevin,
                  message.discrete_langevin());
    case v1::Transition::kDelayedAcceptance:
      return from(TransitionKind::kDelayedAcceptance,
                  message.delayed_acceptance());
    case v1::Transition::KIND_NOT_SET:
      break;
  }
  if (model.has_default_transition) return model.default_transition;
  return absl::InvalidArgumentError(
      absl::StrCat("transition: expected one, because ", model.name,
                   " has no default transition, got none; these fit: ",
                   absl::StrJoin(FittingTransitions(model), ", ")));
}

void TransitionToProto(const TransitionParams& params, v1::Transition& out) {
  switch (params.kind) {
    case TransitionKind::kUla:
      return ParamsTo(params, out.mutable_ula());
    case TransitionKind::kMala:
      return ParamsTo(params, out.mutable_mala());
    case TransitionKind::kRandomWalk:
      return ParamsTo(params, out.mutable_random_walk());
    case TransitionKind::kIgebm:
      return ParamsTo(params, out.mutable_igebm());
    case TransitionKind::kJem:
      return ParamsTo(params, out.mutable_jem());
    case TransitionKind::kHmc:
      return ParamsTo(params, out.mutable_hmc());
    case TransitionKind::kUnderdamped:
      return ParamsTo(params, out.mutable_underdamped());
    case TransitionKind::kUnderdampedMetropolis:
      return ParamsTo(params, out.mutable_underdamped_metropolis());
    case TransitionKind::kMinimize:
      return ParamsTo(params, out.mutable_minimize());
    case TransitionKind::kGibbs:
      return ParamsTo(params, out.mutable_gibbs());
    case TransitionKind::kSiteMetropolis:
      return ParamsTo(params, out.mutable_site_metropolis());
    case TransitionKind::kSiteHeatBath:
      return ParamsTo(params, out.mutable_site_heat_bath());
    case TransitionKind::kGibbsWithGradients:
      return ParamsTo(params, out.mutable_gibbs_with_gradients());
    case TransitionKind::kDiscreteLangevin:
      return ParamsTo(params, out.mutable_discrete_langevin());
    case TransitionKind::kDelayedAcceptance:
      return ParamsTo(params, out.mutable_delayed_acceptance());
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

void LogZToProto(const KnownLogZ& log_z, v1::LogZ& out) {
  out.set_value(log_z.value);
  out.set_standard_error(log_z.standard_error);
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
