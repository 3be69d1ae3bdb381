#include "core/scheduler/ensemble_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/string_view.h>
#include <absl/types/span.h>

#include "core/base/status_macros.h"
#include "core/sampler/adaptation.h"
#include "core/sampler/tempering.h"
#include "core/sampler/transition.h"
#include "core/scheduler/convergence_check.h"

namespace basin::internal {
namespace {

absl::Status Invalid(absl::string_view field, absl::string_view expected,
                     const absl::AlphaNum& got) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": expected ", expected, ", got ", got));
}

// That `values` is empty or has `size` elements.
template <typename T>
absl::Status CheckLength(absl::string_view field, const std::vector<T>& values,
                         int64_t size) {
  if (values.empty() || static_cast<int64_t>(values.size()) == size) {
    return absl::OkStatus();
  }
  return Invalid(field, absl::StrCat(size, " values"), values.size());
}

// Moves that a length per coordinate has a meaning for.
bool UsesMetric(TransitionKind kind) {
  switch (kind) {
    case TransitionKind::kUla:
    case TransitionKind::kMala:
    case TransitionKind::kRandomWalk:
    case TransitionKind::kHmc:
    case TransitionKind::kUnderdamped:
    case TransitionKind::kUnderdampedMetropolis:
    case TransitionKind::kDelayedAcceptance:
      return true;
    default:
      return false;
  }
}

// The classes of a site are clamped together.
absl::Status CheckClampedSites(const SampleSpec& spec) {
  const int64_t classes = spec.model->info().domain.classes;
  if (classes == 0) return absl::OkStatus();
  for (size_t i = 0; i < spec.scale.size(); ++i) {
    const size_t site = i - i % static_cast<size_t>(classes);
    if (spec.scale[i] == spec.scale[site]) continue;
    return Invalid(
        "clamp.mask", "one value for all classes of a site",
        absl::StrCat("different ones for coordinates ", site, " and ", i));
  }
  return absl::OkStatus();
}

absl::Status CheckScale(const SampleSpec& spec) {
  BASIN_RETURN_IF_ERROR(
      CheckLength("scale", spec.scale, spec.model->info().dimension));
  if (spec.scale.empty()) return absl::OkStatus();
  const bool metric = UsesMetric(spec.transition.kind);
  bool any_free = false;
  for (size_t i = 0; i < spec.scale.size(); ++i) {
    const float value = spec.scale[i];
    any_free |= value > 0;
    if (value == 0 || value == 1) continue;
    if (!metric) {
      return Invalid(
          "metric",
          absl::StrCat("none for ", std::string(Name(spec.transition.kind)),
                       ", which has no preconditioner"),
          "one");
    }
    if (!(value >= 1e-12F && value <= 1e12F)) {
      return Invalid(absl::StrCat("metric: square root of variance[", i, "]"),
                     "a number in [1e-12, 1e12]", value);
    }
  }
  if (!any_free) {
    return Invalid("clamp.mask", "at least one coordinate that is free",
                   "none");
  }
  return CheckClampedSites(spec);
}

absl::Status CheckBoxes(const SampleSpec& spec) {
  const int64_t dimension = spec.model->info().dimension;
  const Domain& domain = spec.model->info().domain;
  if (domain.kind != DomainKind::kContinuous &&
      (spec.box.lower > domain.box.lower || spec.box.upper < domain.box.upper ||
       !spec.box_lower.empty())) {
    return Invalid("box",
                   absl::StrCat("none in a ", std::string(Name(domain.kind)),
                                " domain; clamp holds coordinates fixed"),
                   "one");
  }
  BASIN_RETURN_IF_ERROR(CheckLength("box.lower", spec.box_lower, dimension));
  BASIN_RETURN_IF_ERROR(CheckLength("box.upper", spec.box_upper, dimension));
  if (spec.box_lower.size() != spec.box_upper.size()) {
    return Invalid("box", "both bounds per coordinate", "one");
  }
  for (size_t i = 0; i < spec.box_lower.size(); ++i) {
    // Written so that a NaN fails too.
    if (spec.box_lower[i] < spec.box_upper[i]) continue;
    return Invalid(absl::StrCat("box, coordinate ", i), "lower < upper",
                   absl::StrCat(spec.box_lower[i], ", ", spec.box_upper[i]));
  }
  for (size_t at = 0; at < spec.initial.size() && !spec.box_lower.empty();
       ++at) {
    const size_t i = at % static_cast<size_t>(dimension);
    const float x = spec.initial[at];
    if (x >= spec.box_lower[i] && x <= spec.box_upper[i]) continue;
    return Invalid(
        absl::StrCat("initial[", at, "]"),
        absl::StrCat("a value in the box of coordinate ", i, ", [",
                     spec.box_lower[i], ", ", spec.box_upper[i], "]"),
        x);
  }
  return absl::OkStatus();
}

absl::Status CheckFactor(const SampleSpec& spec) {
  const std::vector<float>& factor = spec.covariance_factor;
  if (factor.empty()) return absl::OkStatus();
  if (spec.transition.kind != TransitionKind::kRandomWalk) {
    return Invalid("metric.covariance", "random_walk with it",
                   std::string(Name(spec.transition.kind)));
  }
  const int64_t d = spec.model->info().dimension;
  if (static_cast<int64_t>(factor.size()) / d != d) {
    return Invalid("metric.covariance", absl::StrCat("[", d, ", ", d, "]"),
                   absl::StrCat(factor.size(), " values"));
  }
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j < d; ++j) {
      const float value = factor[i * d + j];
      const bool valid = j > i    ? value == 0
                         : j == i ? value > 0 && std::isfinite(value)
                                  : std::isfinite(value);
      if (!valid) {
        return Invalid("metric.covariance",
                       "a symmetric positive definite matrix", "another");
      }
    }
  }
  return absl::OkStatus();
}

// That `other` can stand beside the model of `spec`.
absl::Status CheckBeside(absl::string_view field, const SampleSpec& spec,
                         const EnergyModel& other) {
  const ModelInfo& model = spec.model->info();
  const ModelInfo& info = other.info();
  if (&other.backend() != &spec.model->backend() ||
      info.dimension != model.dimension || info.domain != model.domain) {
    return Invalid(
        field,
        absl::StrCat("a model of the domain of ", model.name, ", ",
                     model.dimension, " coordinates, ", ToString(model.domain)),
        absl::StrCat(info.name, ", ", info.dimension, " coordinates, ",
                     ToString(info.domain)));
  }
  if (other.tile_sizes().back() < spec.model->tile_sizes().front()) {
    return Invalid(
        field,
        absl::StrCat("a model that takes ", spec.model->tile_sizes().front(),
                     " rows at once"),
        absl::StrCat(info.name, ", whose limit is ",
                     other.tile_sizes().back()));
  }
  for (const ContextInput& input : info.context) {
    if (input.default_value.has_value()) continue;
    return Invalid(field, "a model whose other inputs have defaults",
                   absl::StrCat(info.name, " with ", input.name));
  }
  return absl::OkStatus();
}

absl::Status CheckSurrogate(const SampleSpec& spec) {
  const bool needed =
      spec.transition.kind == TransitionKind::kDelayedAcceptance;
  if (needed != (spec.surrogate != nullptr)) {
    return Invalid("transition",
                   "a surrogate model for delayed_acceptance, and only for it",
                   needed ? "none" : "one");
  }
  if (!needed) return absl::OkStatus();
  return CheckBeside("transition.delayed_acceptance.surrogate", spec,
                     *spec.surrogate);
}

absl::Status CheckAdaptation(const SampleSpec& spec) {
  const AdaptationOptions& adaptation = spec.adaptation;
  if (!adaptation.step_size && !adaptation.metric) return absl::OkStatus();
  const TransitionKind kind = spec.transition.kind;
  const std::string name(Name(kind));
  if (!TargetAcceptance(kind, spec.model->info().dimension).has_value()) {
    return Invalid("adapt",
                   "a transition whose acceptance says how good its step is",
                   name);
  }
  if (adaptation.metric &&
      (!UsesMetric(kind) || !spec.covariance_factor.empty())) {
    return Invalid("adapt.metric", "a transition with a diagonal metric", name);
  }
  if (adaptation.metric && !adaptation.step_size) {
    return Invalid("adapt.metric",
                   "adapt.step_size with it: steps are measured in the metric",
                   "step_size: false");
  }
  if (spec.warmup == 0) {
    return Invalid("warmup", "at least 1 for adapt, which happens in it", 0);
  }
  const double target = adaptation.target_acceptance;
  if (target != 0 && !(target > 0 && target < 1)) {
    return Invalid("adapt.target_acceptance", "more than 0 and less than 1",
                   target);
  }
  if (!spec.annealing.schedule.empty()) {
    return Invalid("adapt", "nothing while annealing, which takes the warm-up",
                   "something");
  }
  return absl::OkStatus();
}

absl::Status CheckTempering(const SampleSpec& spec) {
  const TemperingOptions& tempering = spec.tempering;
  if (tempering.ladder.empty()) return absl::OkStatus();
  const absl::Status ladder = CheckLadder(tempering.ladder, ZeroBeta::kRefused);
  if (!ladder.ok()) {
    return absl::InvalidArgumentError(
        absl::StrReplaceAll(ladder.message(), {{"betas", "tempering.ladder"}}));
  }
  const auto levels = static_cast<int64_t>(tempering.ladder.size());
  if (levels > TemperingOptions::kMaxReplicas) {
    return Invalid(
        "tempering.ladder",
        absl::StrCat("at most ", TemperingOptions::kMaxReplicas, " levels"),
        levels);
  }
  if (tempering.ladder[0] != 1) {
    return Invalid("tempering.ladder[0]",
                   "1: the ladder is of factors of inverse_temperature",
                   tempering.ladder[0]);
  }
  if (tempering.swap_every < 1) {
    return Invalid("tempering.swap_every", "at least 1", tempering.swap_every);
  }
  if (tempering.tune_ladder && spec.warmup == 0) {
    return Invalid("warmup", "at least 1 to tune the ladder in", 0);
  }
  if (!spec.annealing.schedule.empty()) {
    return Invalid("annealing", "none with tempering", "one");
  }
  return absl::OkStatus();
}

absl::Status CheckSchedule(const SampleSpec& spec) {
  const std::vector<double>& schedule = spec.annealing.schedule;
  const auto levels = static_cast<int64_t>(schedule.size());
  if (levels > AnnealingOptions::kMaxLevels || levels > spec.warmup) {
    return Invalid(
        "annealing.schedule",
        absl::StrCat("at most ",
                     std::min(AnnealingOptions::kMaxLevels, spec.warmup),
                     " levels: they share the warmup, ", spec.warmup),
        levels);
  }
  for (int64_t level = 0; level < levels; ++level) {
    const double before = level == 0 ? 0 : schedule[level - 1];
    if (schedule[level] > before && schedule[level] <= 1) continue;
    return Invalid(absl::StrCat("annealing.schedule[", level, "]"),
                   absl::StrCat("more than ", before, " and at most 1"),
                   schedule[level]);
  }
  if (schedule.back() == 1) return absl::OkStatus();
  return Invalid("annealing.schedule", "1 as the last value", schedule.back());
}

absl::Status CheckBase(const SampleSpec& spec) {
  using Base = AnnealingOptions::Base;
  const AnnealingOptions& annealing = spec.annealing;
  if ((annealing.base == Base::kModel) != (spec.base != nullptr)) {
    return Invalid("annealing.base", "a model where the path begins at one",
                   spec.base == nullptr ? "none" : "one");
  }
  if (annealing.direction == AnnealingOptions::Direction::kReverse &&
      (annealing.base != Base::kUniform ||
       annealing.weights != AnnealingOptions::Weights::kImportance)) {
    return Invalid("annealing.direction",
                   "REVERSE with weights IMPORTANCE, on a path that begins at "
                   "a uniform law",
                   "another");
  }
  if (annealing.base == Base::kUniform) return absl::OkStatus();
  const Transition& transition = GetTransition(spec.transition.kind);
  if (transition.carried() == Carried::kNothing ||
      spec.transition.kind == TransitionKind::kDelayedAcceptance) {
    return Invalid("transition",
                   "one that goes by energies alone, on a path whose energies "
                   "are no model's",
                   std::string(transition.name()));
  }
  if (spec.base != nullptr) {
    return CheckBeside("annealing.base", spec, *spec.base);
  }
  if (std::holds_alternative<MixtureLaw>(spec.model->info().initial)) {
    return Invalid("annealing.weights",
                   "a path that begins at a uniform, normal or bernoulli law",
                   "a model whose initial law is a mixture");
  }
  const bool bounded = std::isfinite(spec.box.lower) ||
                       std::isfinite(spec.box.upper) || !spec.box_lower.empty();
  if (spec.model->info().domain.kind == DomainKind::kContinuous && bounded) {
    return Invalid("box",
                   "none with annealing.weights: the path begins at the "
                   "initial law, which has none",
                   "one");
  }
  return absl::OkStatus();
}

absl::Status CheckAnnealing(const SampleSpec& spec) {
  const AnnealingOptions& annealing = spec.annealing;
  if (annealing.schedule.empty()) return absl::OkStatus();
  BASIN_RETURN_IF_ERROR(CheckSchedule(spec));
  if (annealing.weights == AnnealingOptions::Weights::kNone) {
    return absl::OkStatus();
  }
  if (annealing.islands < 1 || spec.chains % annealing.islands != 0) {
    return Invalid("annealing.islands",
                   absl::StrCat("a divisor of chains, ", spec.chains),
                   annealing.islands);
  }
  if (!(annealing.resample_below > 0 && annealing.resample_below <= 1)) {
    return Invalid("annealing.resample_below", "more than 0 and at most 1",
                   annealing.resample_below);
  }
  BASIN_RETURN_IF_ERROR(CheckBase(spec));
  const Transition& transition = GetTransition(spec.transition.kind);
  const DeclaredTarget target =
      transition.Target(spec.transition, spec.inverse_temperature);
  if (target.kind == DeclaredTarget::Kind::kExact) return absl::OkStatus();
  return Invalid(
      "annealing.weights",
      "an exact transition: weights of others are of nothing",
      absl::StrCat(std::string(transition.name()), ", ", ToString(target)));
}

absl::Status CheckStop(const SampleSpec& spec) {
  const StopOptions& stop = spec.stop_when;
  if (!stop.any()) return absl::OkStatus();
  // Written so that a NaN fails too.
  if (stop.rhat_below != 0 && !(stop.rhat_below > 1)) {
    return Invalid("stop_when.rhat_below", "more than 1", stop.rhat_below);
  }
  if (stop.ess_above != 0 && !(stop.ess_above > 0)) {
    return Invalid("stop_when.ess_above", "more than 0", stop.ess_above);
  }
  if (spec.keep_every == 0) {
    return Invalid("keep_every",
                   "at least 1 with stop_when, which looks at kept states", 0);
  }
  // Of more there are no traces, so that it would never hold.
  constexpr int64_t kMaxKept = kMaxLookBytes / int64_t{sizeof(float)};
  const int64_t kept = spec.steps / spec.keep_every;
  if (spec.chains <= kMaxKept / std::max<int64_t>(1, kept)) {
    return absl::OkStatus();
  }
  return Invalid("stop_when",
                 absl::StrCat("at most ", kMaxKept,
                              " kept states of all chains, which it looks at; "
                              "try a larger keep_every"),
                 absl::StrCat(spec.chains, " * ", kept));
}

absl::Status CheckResume(const SampleSpec& spec) {
  const ResumePoint& resume = spec.resume;
  const int64_t momenta = spec.rows() * spec.model->info().dimension;
  // What Philox counts.
  constexpr int64_t kMaxSteps = int64_t{1} << 45;
  if (resume.steps < 0 || resume.steps > kMaxSteps) {
    return Invalid("resume.steps", absl::StrCat("0 to ", kMaxSteps),
                   resume.steps);
  }
  BASIN_RETURN_IF_ERROR(CheckLength("resume.momenta", resume.momenta, momenta));
  BASIN_RETURN_IF_ERROR(
      CheckLength("resume.step_sizes", resume.step_sizes, spec.replicas()));
  BASIN_RETURN_IF_ERROR(CheckLength("resume.inverse_temperatures",
                                    resume.inverse_temperatures,
                                    spec.replicas()));
  BASIN_RETURN_IF_ERROR(
      CheckLength("resume.log_weights", resume.log_weights, spec.chains));
  if (resume.log_weights.empty() || spec.tempering.ladder.empty()) {
    return absl::OkStatus();
  }
  return Invalid("resume.log_weights", "none with tempering", "some");
}

// That a step stays bounded: a job beside in its tile waits for all of it.
absl::Status CheckStepLength(const SampleSpec& spec) {
  constexpr int64_t kMaxEvaluations = 1024;
  const int64_t classes = spec.model->info().domain.classes;
  if (spec.transition.kind != TransitionKind::kSiteHeatBath || classes < 2 ||
      spec.transition.leaps <= kMaxEvaluations / (classes - 1)) {
    return absl::OkStatus();
  }
  return Invalid("transition.site_heat_bath.sites",
                 absl::StrCat("at most ", kMaxEvaluations / (classes - 1),
                              " for sites of ", classes, " classes"),
                 spec.transition.leaps);
}

// That the transition's parameters make sense wherever chains use them.
absl::Status CheckParameters(const SampleSpec& spec) {
  const Transition& transition = GetTransition(spec.transition.kind);
  const auto check = [&](absl::string_view where, double step_size,
                         double inverse_temperature) -> absl::Status {
    TransitionParams params = spec.transition;
    params.step_size = step_size;
    absl::Status status =
        CheckTemperature(params.kind, spec.model->info(), inverse_temperature);
    if (status.ok()) {
      status = transition.Configure(params, inverse_temperature).status();
    }
    if (status.ok() || where.empty()) return status;
    return absl::Status(status.code(),
                        absl::StrCat(where, ": ", status.message()));
  };
  const double step_size = spec.transition.step_size;
  const double beta = spec.inverse_temperature;
  BASIN_RETURN_IF_ERROR(check("", step_size, beta));
  for (const double factor : spec.tempering.ladder) {
    BASIN_RETURN_IF_ERROR(check("tempering.ladder", step_size, beta * factor));
  }
  if (spec.annealing.base == AnnealingOptions::Base::kUniform) {
    for (const double t : spec.annealing.schedule) {
      BASIN_RETURN_IF_ERROR(check("annealing.schedule", step_size, beta * t));
    }
  }
  for (const double resumed : spec.resume.step_sizes) {
    BASIN_RETURN_IF_ERROR(check("resume_token", resumed, beta));
  }
  for (const double resumed : spec.resume.inverse_temperatures) {
    BASIN_RETURN_IF_ERROR(check("resume_token", step_size, resumed));
  }
  return CheckStepLength(spec);
}

}  // namespace

absl::Status CheckEnsemble(const SampleSpec& spec) {
  BASIN_RETURN_IF_ERROR(CheckFits(spec.transition.kind, spec.model->info()));
  BASIN_RETURN_IF_ERROR(CheckBoxes(spec));
  BASIN_RETURN_IF_ERROR(CheckScale(spec));
  BASIN_RETURN_IF_ERROR(CheckFactor(spec));
  BASIN_RETURN_IF_ERROR(CheckSurrogate(spec));
  BASIN_RETURN_IF_ERROR(CheckAdaptation(spec));
  BASIN_RETURN_IF_ERROR(CheckTempering(spec));
  BASIN_RETURN_IF_ERROR(CheckAnnealing(spec));
  BASIN_RETURN_IF_ERROR(CheckParameters(spec));
  BASIN_RETURN_IF_ERROR(CheckStop(spec));
  return CheckResume(spec);
}

}  // namespace basin::internal
