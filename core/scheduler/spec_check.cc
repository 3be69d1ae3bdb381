#include "core/scheduler/spec_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/string_view.h>
#include <absl/types/span.h>

#include "core/base/status_macros.h"
#include "core/scheduler/ensemble_check.h"
#include "core/scheduler/sample_job.h"
#include "core/scheduler/score_job.h"

namespace basin::internal {
namespace {

// More than a fast machine does in a month.
constexpr int64_t kMaxChainSteps = 1'000'000'000'000;

absl::Status Invalid(absl::string_view field, absl::string_view expected,
                     const absl::AlphaNum& got) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": expected ", expected, ", got ", got));
}

absl::Status CheckCommon(const EnergyModel* model, const JobOptions& options,
                         const Backend& backend) {
  if (model == nullptr) return Invalid("model", "a model", "none");
  if (&model->backend() != &backend) {
    return Invalid("model", "a model on the scheduler's device", "another");
  }
  if (options.priority < 1 || options.priority > 9) {
    return Invalid("priority", "1 to 9", options.priority);
  }
  return absl::OkStatus();
}

// That `values` is [rows, dimension] with rows >= 1.
absl::Status CheckSize(absl::string_view field, size_t size, int64_t rows,
                       int64_t dimension) {
  const auto values = static_cast<int64_t>(size);
  if (values % dimension == 0 && values / dimension == rows) {
    return absl::OkStatus();
  }
  return Invalid(field, absl::StrCat("[", rows, ", ", dimension, "] values"),
                 absl::StrCat(values));
}

absl::Status CheckValues(absl::string_view field,
                         absl::Span<const float> values, const Box& box) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) && values[i] >= box.lower &&
        values[i] <= box.upper) {
      continue;
    }
    return Invalid(
        absl::StrCat(field, "[", i, "]"),
        absl::StrCat("a finite value in [", box.lower, ", ", box.upper, "]"),
        values[i]);
  }
  return absl::OkStatus();
}

// Where every whole number is a float, and none is one by rounding.
constexpr float kMaxWhole = (1 << 24) - 1;

absl::Status CheckContextValue(const ContextInput& input, float value) {
  const bool real =
      input.dtype == DType::kFloat32 || input.dtype == DType::kFloat64;
  const float lower = real ? input.lower : std::max(input.lower, -kMaxWhole);
  const float upper = real ? input.upper : std::min(input.upper, kMaxWhole);
  if (std::isfinite(value) && (real || value == std::trunc(value)) &&
      value >= lower && value <= upper) {
    return absl::OkStatus();
  }
  const std::string field = absl::StrCat("context.", input.name);
  if (real) {
    return Invalid(field,
                   absl::StrCat("finite values in [", lower, ", ", upper, "]"),
                   value);
  }
  const auto whole = [](float bound) { return static_cast<int64_t>(bound); };
  return Invalid(
      field,
      absl::StrCat("whole numbers in [", whole(lower), ", ", whole(upper), "]"),
      absl::StrFormat("%.8g", value));
}

// [rows, C] or [1, C].
absl::Status CheckContext(const ModelInfo& info,
                          absl::Span<const float> context, int64_t rows) {
  const int64_t c = info.context_dimension;
  const auto values = static_cast<int64_t>(context.size());
  if (values != c && !(c > 0 && values % c == 0 && values / c == rows)) {
    return Invalid("context", absl::StrCat("[", rows, ", ", c, "] values"),
                   values);
  }
  for (int64_t begin = 0; begin < values; begin += c) {
    for (const ContextInput& input : info.context) {
      for (int64_t i = 0; i < input.shape.num_elements(); ++i) {
        BASIN_RETURN_IF_ERROR(
            CheckContextValue(input, context[begin + input.offset + i]));
      }
    }
  }
  return absl::OkStatus();
}

// That every state of a discrete domain is one.
absl::Status CheckDiscrete(const SampleSpec& spec) {
  const Domain& domain = spec.model->info().domain;
  if (domain.kind == DomainKind::kContinuous) return absl::OkStatus();
  const bool binary = domain.kind == DomainKind::kBinary;
  const size_t width = binary ? 1 : static_cast<size_t>(domain.classes);
  for (size_t at = 0; at < spec.initial.size(); at += width) {
    float sum = 0;
    bool valid = true;
    for (size_t i = at; i < at + width; ++i) {
      valid &= spec.initial[i] == 0 || spec.initial[i] == 1;
      sum += spec.initial[i];
    }
    if (valid && (binary || sum == 1)) continue;
    return Invalid(
        absl::StrCat("initial[", at, "]"),
        binary ? "0 or 1, in a binary domain"
               : absl::StrCat("a 1 and zeros among ", width,
                              " classes, in a categorical domain"),
        binary ? absl::StrCat(spec.initial[at]) : std::string("other values"));
  }
  return absl::OkStatus();
}

absl::Duration WorkOf(const EnergyModel& model, int64_t row_steps) {
  const absl::Duration tile = absl::Seconds(model.evaluation_seconds());
  return tile / model.tile_sizes().back() * row_steps;
}

}  // namespace

absl::Status CheckSampleCounts(const SampleSpec& spec) {
  if (spec.model == nullptr) return Invalid("model", "a model", "none");
  if (spec.chains < 1) return Invalid("chains", "at least 1", spec.chains);
  const int64_t max_chains = spec.model->info().max_chains;
  if (max_chains > 0 && spec.chains > max_chains) {
    return Invalid("chains",
                   absl::StrCat("at most ", max_chains, ", max_chains of ",
                                spec.model->info().name),
                   spec.chains);
  }
  if (spec.warmup < 0) return Invalid("warmup", "at least 0", spec.warmup);
  if (spec.steps < 1) return Invalid("steps", "at least 1", spec.steps);
  if (spec.keep_every < 0 || spec.keep_every > spec.steps) {
    return Invalid("keep_every", absl::StrCat("0 to steps = ", spec.steps),
                   spec.keep_every);
  }
  const int64_t replicas = spec.replicas();
  if (spec.warmup > kMaxChainSteps || spec.steps > kMaxChainSteps ||
      spec.chains > kMaxChainSteps / (spec.warmup + spec.steps) / replicas) {
    return Invalid(
        "chains * (warmup + steps)",
        absl::StrCat("at most ", kMaxChainSteps / replicas),
        absl::StrCat(spec.chains, " * (", spec.warmup, " + ", spec.steps, ")"));
  }
  if (spec.max_pending_bytes < 0) {
    return Invalid("max_pending_bytes", "at least 0", spec.max_pending_bytes);
  }
  return absl::OkStatus();
}

absl::Status CheckSample(const SampleSpec& spec, const Backend& backend) {
  BASIN_RETURN_IF_ERROR(CheckCommon(spec.model.get(), spec.options, backend));
  BASIN_RETURN_IF_ERROR(CheckSampleCounts(spec));
  // Written so that a NaN fails too.
  if (!(spec.box.lower < spec.box.upper)) {
    return Invalid("box", "lower < upper",
                   absl::StrCat(spec.box.lower, ", ", spec.box.upper));
  }
  BASIN_RETURN_IF_ERROR(CheckEnsemble(spec));
  BASIN_RETURN_IF_ERROR(CheckSize("initial", spec.initial.size(), spec.rows(),
                                  spec.model->info().dimension));
  BASIN_RETURN_IF_ERROR(CheckValues("initial", spec.initial, spec.box));
  BASIN_RETURN_IF_ERROR(CheckDiscrete(spec));
  return CheckContext(spec.model->info(), spec.context, spec.chains);
}

absl::Status CheckScore(const ScoreSpec& spec, const Backend& backend) {
  BASIN_RETURN_IF_ERROR(CheckCommon(spec.model.get(), spec.options, backend));
  if (spec.rows < 1) return Invalid("rows", "at least 1", spec.rows);
  BASIN_RETURN_IF_ERROR(CheckSize("inputs", spec.inputs.size(), spec.rows,
                                  spec.model->info().dimension));
  if (spec.options.on_deadline == JobOptions::OnDeadline::kPartial) {
    return Invalid("on_deadline", "fail, for scoring", "partial");
  }
  const ModelInfo& info = spec.model->info();
  if (spec.want_class_energies && info.classes == 0) {
    return Invalid(
        "want_class_energies",
        info.family == "composition"
            ? "a composition of classifiers with as many classes each, in "
              "which no other term takes a label"
            : "a model with classes",
        absl::StrCat(info.name, ", which has none"));
  }
  BASIN_RETURN_IF_ERROR(CheckContext(info, spec.context, spec.rows));
  return CheckValues("inputs", spec.inputs, Box{});
}

Demand DemandOf(const SampleSpec& spec) {
  const int64_t dimension = spec.model->info().dimension;
  int64_t evaluations =
      GetTransition(spec.transition.kind).EvaluationsPerStep(spec.transition);
  if (spec.transition.kind == TransitionKind::kSiteHeatBath) {
    // One for each other class of a site.
    const int64_t classes = spec.model->info().domain.classes;
    evaluations *= std::max<int64_t>(1, classes - 1);
  }
  return {spec.rows(), SampleJobImpl::HeldBytes(spec, dimension),
          WorkOf(*spec.model, spec.rows() * (spec.warmup + spec.steps)) *
              evaluations};
}

Demand DemandOf(const ScoreSpec& spec) {
  return {spec.rows, ScoreJobImpl::HeldBytes(spec),
          WorkOf(*spec.model, spec.rows)};
}

}  // namespace basin::internal
