#include "server/sample_request.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/initial_states.h"
#include "core/sampler/transition.h"
#include "server/context_request.h"
#include "server/proto_convert.h"
#include "server/tensor_convert.h"

#include "basin/v1/sampler.pb.h"

namespace basin {
namespace {

// Chains, steps, warm-up and thinning.
absl::Status DecodeCounts(const v1::SampleRequest& request,
                          const ModelInfo& model, const RequestLimits& limits,
                          SampleSpec& spec) {
  spec.chains = request.chains() == 0 ? 1 : request.chains();
  BASIN_RETURN_IF_ERROR(CheckRange("chains", spec.chains, 1,
                                   MaxChains(model, limits), "max_chains"));
  spec.steps = request.steps() == 0 ? model.default_steps : request.steps();
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

absl::Status CheckBound(absl::string_view field, double value,
                        const Box& domain) {
  if (value >= domain.lower && value <= domain.upper) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": expected a value in the model's domain [",
                   domain.lower, ", ", domain.upper, "], got ", value));
}

absl::Status DecodeBox(const v1::Box& request, const Box& domain, Box& box) {
  box = domain;
  if (request.has_lower()) {
    BASIN_RETURN_IF_ERROR(CheckBound("box.lower", request.lower(), domain));
    box.lower = static_cast<float>(request.lower());
  }
  if (request.has_upper()) {
    BASIN_RETURN_IF_ERROR(CheckBound("box.upper", request.upper(), domain));
    box.upper = static_cast<float>(request.upper());
  }
  if (box.lower < box.upper) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "box: expected lower < upper, got [", box.lower, ", ", box.upper, "]"));
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
  return GetTransition(spec.transition.kind)
      .Configure(spec.transition, spec.inverse_temperature)
      .status();
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
  spec.initial = std::move(rows.values);
  if (rows.rows == spec.chains) return absl::OkStatus();
  const std::vector<float> one = std::move(spec.initial);
  spec.initial.clear();
  spec.initial.reserve(one.size() * static_cast<size_t>(spec.chains));
  for (int64_t chain = 0; chain < spec.chains; ++chain) {
    spec.initial.insert(spec.initial.end(), one.begin(), one.end());
  }
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
    case v1::SampleRequest::INIT_NOT_SET:
      break;
  }
  plan.init = SamplePlan::Init::kDefault;
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

}  // namespace

absl::StatusOr<SamplePlan> DecodeSampleRequest(const v1::SampleRequest& request,
                                               const ModelInfo& model,
                                               const RequestLimits& limits,
                                               uint64_t fresh_seed) {
  SamplePlan plan;
  plan.spec.seed = request.has_seed() ? request.seed() : fresh_seed;
  BASIN_RETURN_IF_ERROR(DecodeCounts(request, model, limits, plan.spec));
  BASIN_RETURN_IF_ERROR(CheckBytes(plan.spec, model, limits));
  BASIN_RETURN_IF_ERROR(
      DecodeBox(request.box(), model.domain.box, plan.spec.box));
  BASIN_RETURN_IF_ERROR(DecodeTransition(request, model, plan.spec));
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
  if (plan.init == SamplePlan::Init::kGiven) return draw;
  SampleSpec& spec = plan.spec;
  const bool replay = plan.init == SamplePlan::Init::kReplay ||
                      (plan.init == SamplePlan::Init::kDefault &&
                       buffer != nullptr && buffer->Stats().size > 0);
  if (replay) {
    BASIN_ASSIGN_OR_RETURN(
        draw, buffer->Draw(spec.chains, spec.seed, plan.restart_probability));
    spec.initial = std::move(draw.states);
    draw.states.clear();
  } else {
    const auto dimension = static_cast<size_t>(model.dimension);
    spec.initial.resize(static_cast<size_t>(spec.chains) * dimension);
    for (int64_t chain = 0; chain < spec.chains; ++chain) {
      DrawInitialState(
          model.initial, spec.seed, static_cast<uint64_t>(chain),
          absl::MakeSpan(&spec.initial[static_cast<size_t>(chain) * dimension],
                         dimension));
    }
  }
  for (float& value : spec.initial) {
    value = std::clamp(value, spec.box.lower, spec.box.upper);
  }
  return draw;
}

}  // namespace basin
