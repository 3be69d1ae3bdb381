#include "server/sample_request.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/initial_states.h"
#include "core/sampler/transition.h"
#include "server/context_request.h"
#include "server/ensemble_request.h"
#include "server/proto_convert.h"
#include "server/tensor_convert.h"

#include "basin/v1/sampler.pb.h"

namespace basin {
namespace {

// Chains, steps, warm-up and thinning.
absl::Status DecodeCounts(const v1::SampleRequest& request,
                          const ModelInfo& model, const RequestLimits& limits,
                          SampleSpec& spec) {
  spec.chains = request.has_chains() ? request.chains() : 1;
  BASIN_RETURN_IF_ERROR(CheckRange("chains", spec.chains, 1,
                                   MaxChains(model, limits), "max_chains"));
  spec.steps = request.has_steps() ? request.steps() : model.default_steps;
  BASIN_RETURN_IF_ERROR(
      CheckRange("steps", spec.steps, 1, limits.max_steps, "max_steps"));
  spec.warmup = request.warmup();
  BASIN_RETURN_IF_ERROR(CheckRange("warmup", spec.warmup, 0,
                                   limits.max_steps - spec.steps,
                                   "max_steps, less steps"));
  spec.keep_every = request.keep_every();
  return CheckRange("keep_every", spec.keep_every, 0, spec.steps, "steps");
}

// What states, results and the frames in between need, before any of it is
// taken.
absl::Status CheckBytes(const SampleSpec& spec, const ModelInfo& model,
                        const RequestLimits& limits) {
  const int64_t chain_bytes = model.dimension * int64_t{sizeof(float)};
  if (chain_bytes > limits.max_message_bytes / 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model: one state of ", model.name, " takes ", chain_bytes,
        " bytes, too many for max_message_bytes, ", limits.max_message_bytes));
  }
  if (spec.chains > limits.max_bytes / chain_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("chains: expected states of at most ", limits.max_bytes,
                     " bytes (max_bytes), got ", spec.chains, " of ",
                     chain_bytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status DecodeTransition(const v1::SampleRequest& request,
                              const ModelInfo& model, SampleSpec& spec) {
  if (request.has_inverse_temperature()) {
    spec.inverse_temperature = request.inverse_temperature();
  }
  if (!(spec.inverse_temperature > 0) ||
      !std::isfinite(spec.inverse_temperature)) {
    return absl::InvalidArgumentError(
        absl::StrCat("inverse_temperature: expected a finite value > 0, got ",
                     spec.inverse_temperature));
  }
  BASIN_ASSIGN_OR_RETURN(spec.transition,
                         TransitionFromProto(request.transition(), model));
  return CheckFits(spec.transition.kind, model);
}

// Checks the transition's parameters and fills in those that have defaults.
absl::Status FillDefaults(SampleSpec& spec) {
  TransitionParams& params = spec.transition;
  BASIN_ASSIGN_OR_RETURN(
      const ChainCoefficients coefficients,
      GetTransition(params.kind).Configure(params, spec.inverse_temperature));
  params.leaps = coefficients.leaps;
  const bool has_friction =
      params.kind == TransitionKind::kUnderdamped ||
      params.kind == TransitionKind::kUnderdampedMetropolis;
  if (has_friction && params.friction == 0) params.friction = 1;
  return absl::OkStatus();
}

// A row for every replica of every chain, from one for each chain, or from one
// for all.
void RepeatForRows(size_t dimension, SampleSpec& spec) {
  const auto rows = static_cast<size_t>(spec.rows());
  const size_t given = spec.initial.size() / dimension;
  if (given == 0 || given >= rows) return;
  const size_t repeats = rows / given;
  const std::vector<float> few = std::move(spec.initial);
  spec.initial.clear();
  spec.initial.reserve(rows * dimension);
  for (size_t at = 0; at < few.size(); at += dimension) {
    for (size_t k = 0; k < repeats; ++k) {
      spec.initial.insert(spec.initial.end(), few.begin() + at,
                          few.begin() + at + dimension);
    }
  }
}

// One row per chain, or one for all.
absl::Status DecodeStates(const v1::Tensor& tensor, const ModelInfo& model,
                          SampleSpec& spec) {
  BASIN_ASSIGN_OR_RETURN(
      FloatRows rows,
      RowsFromProto(tensor,
                    ExpectStates("states", model, spec.chains, "chains")));
  if (rows.rows != 1 && rows.rows != spec.chains) {
    return absl::InvalidArgumentError(
        absl::StrCat("states.shape: expected 1 row or one for each of the ",
                     spec.chains, " chains, got ", rows.rows));
  }
  BASIN_RETURN_IF_ERROR(CheckInside("states", rows.values, model.dimension,
                                    spec.box, "the request's box"));
  BASIN_RETURN_IF_ERROR(CheckDiscrete("states", rows.values, model));
  spec.initial = std::move(rows.values);
  return absl::OkStatus();
}

absl::Status DecodeReplay(const v1::SampleRequest::ReplayInit& replay,
                          SamplePlan& plan) {
  plan.init = SamplePlan::Init::kReplay;
  if (replay.has_write_back()) plan.write_back = replay.write_back();
  if (!replay.has_restart_probability()) return absl::OkStatus();
  plan.restart_probability = replay.restart_probability();
  if (plan.restart_probability >= 0 && plan.restart_probability <= 1) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("replay.restart_probability: expected 0 to 1, got ",
                   plan.restart_probability));
}

absl::Status DecodeInit(const v1::SampleRequest& request,
                        const ModelInfo& model, SamplePlan& plan) {
  switch (request.init_case()) {
    case v1::SampleRequest::kStates:
      plan.init = SamplePlan::Init::kGiven;
      return DecodeStates(request.states(), model, plan.spec);
    case v1::SampleRequest::kReplay:
      return DecodeReplay(request.replay(), plan);
    case v1::SampleRequest::kNoise:
      plan.init = SamplePlan::Init::kNoise;
      return absl::OkStatus();
    case v1::SampleRequest::kResumeToken:  // taken apart before
    case v1::SampleRequest::INIT_NOT_SET:
      break;
  }
  const bool weighs =
      plan.spec.annealing.weights != AnnealingOptions::Weights::kNone;
  plan.init = weighs ? SamplePlan::Init::kNoise : SamplePlan::Init::kDefault;
  return absl::OkStatus();
}

absl::Status DecodeOutput(const v1::SampleRequest::Output& output,
                          SamplePlan& plan) {
  if (output.has_states()) plan.send_states = output.states();
  if (output.has_energies()) plan.send_energies = output.energies();
  if (output.has_gradients()) plan.send_gradients = output.gradients();
  if (plan.send_gradients && !plan.send_states) {
    return absl::InvalidArgumentError(
        "output.gradients: expected output.states with it, got states: false");
  }
  plan.spec.keep = plan.send_gradients ? SampleSpec::Keep::kStatesAndGradients
                   : plan.send_states  ? SampleSpec::Keep::kStates
                                       : SampleSpec::Keep::kEnergies;
  return absl::OkStatus();
}

absl::Status DecodeOptions(const v1::SampleRequest& request,
                           JobOptions& options) {
  BASIN_RETURN_IF_ERROR(CheckPriority(request.priority(), options.priority));
  switch (request.on_deadline()) {
    case v1::SampleRequest::FAIL:
      options.on_deadline = JobOptions::OnDeadline::kFail;
      return absl::OkStatus();
    case v1::SampleRequest::PARTIAL:
      options.on_deadline = JobOptions::OnDeadline::kPartial;
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("on_deadline: expected FAIL or PARTIAL, got ",
                       static_cast<int>(request.on_deadline())));
  }
}

// Whether `buffer`, which may be null, holds states for any of the chains.
bool HasStatesFor(const std::vector<int32_t>& labels,
                  const ReplayBuffer* buffer) {
  if (buffer == nullptr) return false;
  if (labels.empty()) return buffer->HasStates(kNoReplayLabel);
  const std::set<int32_t> different(labels.begin(), labels.end());
  return std::any_of(
      different.begin(), different.end(),
      [buffer](int32_t label) { return buffer->HasStates(label); });
}

}  // namespace

absl::StatusOr<SamplePlan> DecodeSampleRequest(const v1::SampleRequest& request,
                                               const ModelInfo& model,
                                               const RequestLimits& limits,
                                               uint64_t fresh_seed) {
  SamplePlan plan;
  plan.spec.seed = request.has_seed() ? request.seed() : fresh_seed;
  BASIN_RETURN_IF_ERROR(DecodeCounts(request, model, limits, plan.spec));
  BASIN_RETURN_IF_ERROR(CheckBytes(plan.spec, model, limits));
  BASIN_RETURN_IF_ERROR(DecodeBox(request, model, plan.spec));
  BASIN_RETURN_IF_ERROR(DecodeTransition(request, model, plan.spec));
  BASIN_RETURN_IF_ERROR(
      DecodeClampAndMetric(request, model, plan.spec, plan.clamped));
  BASIN_RETURN_IF_ERROR(DecodeEnsemble(request, model, plan.spec));
  // Once more: tuning and annealing bring a warm-up with them.
  BASIN_RETURN_IF_ERROR(CheckRange("warmup", plan.spec.warmup, 0,
                                   limits.max_steps - plan.spec.steps,
                                   "max_steps, less steps"));
  BASIN_RETURN_IF_ERROR(FillDefaults(plan.spec));
  BASIN_RETURN_IF_ERROR(DecodeOutput(request.output(), plan));
  BASIN_RETURN_IF_ERROR(DecodeOptions(request, plan.spec.options));
  BASIN_RETURN_IF_ERROR(DecodeInit(request, model, plan));
  ContextFields fields = {request.context(), std::nullopt, plan.spec.chains,
                          limits.max_message_bytes};
  if (request.has_label()) fields.label = request.label();
  BASIN_ASSIGN_OR_RETURN(plan.spec.context, DecodeContext(fields, model));
  return plan;
}

absl::StatusOr<ReplayDraw> FillInitialStates(const ModelInfo& model,
                                             ReplayBuffer* buffer,
                                             SamplePlan& plan) {
  ReplayDraw draw;
  SampleSpec& spec = plan.spec;
  const auto dimension = static_cast<size_t>(model.dimension);
  if (plan.init == SamplePlan::Init::kGiven) {
    RepeatForRows(dimension, spec);
    return draw;
  }
  const bool replay = plan.init == SamplePlan::Init::kReplay ||
                      (plan.init == SamplePlan::Init::kDefault &&
                       HasStatesFor(plan.replay_labels, buffer));
  if (replay) {
    BASIN_ASSIGN_OR_RETURN(
        draw, buffer->Draw(spec.chains, spec.seed, plan.restart_probability,
                           plan.replay_labels));
    spec.initial = std::move(draw.states);
    draw.states.clear();
    RepeatForRows(dimension, spec);
  } else {
    const auto rows = static_cast<size_t>(spec.rows());
    spec.initial.resize(rows * dimension);
    for (size_t row = 0; row < rows; ++row) {
      DrawInitialState(
          model.initial, spec.seed, row,
          absl::MakeSpan(&spec.initial[row * dimension], dimension));
    }
  }
  for (size_t at = 0; at < spec.initial.size(); ++at) {
    const Box box = spec.box_of(at % dimension);
    spec.initial[at] = std::clamp(spec.initial[at], box.lower, box.upper);
  }
  return draw;
}

absl::Status FillClamped(const ModelInfo& model, SamplePlan& plan) {
  if (plan.clamped.empty()) return absl::OkStatus();
  SampleSpec& spec = plan.spec;
  const auto dimension = static_cast<size_t>(model.dimension);
  const auto replicas = static_cast<size_t>(spec.replicas());
  const bool one = plan.clamped.size() == dimension;
  for (size_t at = 0; at < spec.initial.size(); ++at) {
    const size_t i = at % dimension;
    if (spec.scale[i] != 0) continue;
    const size_t chain = at / dimension / replicas;
    const float value = plan.clamped[one ? i : chain * dimension + i];
    const Box box = spec.box_of(i);
    if (!(value >= box.lower && value <= box.upper)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "clamp.values: expected values in the request's box, [", box.lower,
          ", ", box.upper, "] for coordinate ", i, ", got ", value));
    }
    spec.initial[at] = value;
  }
  return absl::OkStatus();
}

}  // namespace basin
