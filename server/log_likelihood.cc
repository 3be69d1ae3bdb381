#include "server/log_likelihood.h"

#include <limits>

#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"

namespace basin {
namespace {

absl::Status CheckHasLogZ(const ModelInfo& model) {
  if (model.log_z.has_value()) return absl::OkStatus();
  if (model.family == "composition") {
    return absl::FailedPreconditionError(
        "want_log_likelihood: expected a model with log_z, got a composition, "
        "which has none: its Z does not follow from those of its terms");
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "want_log_likelihood: expected a model with log_z, got ", model.name,
      ", which has none. `basin log_z ", model.name,
      "` estimates it, from the model's initial law; put it as "
      "log_z { value: ... standard_error: ... } into config.pbtxt and load the "
      "model again"));
}

absl::Status CheckHasDefault(const ContextInput& input) {
  if (input.default_value.has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "want_log_likelihood: expected a model whose Z does not depend on the "
      "request, got one with context.",
      input.name, ", which has no default"));
}

}  // namespace

absl::Status CheckLogLikelihood(const ModelInfo& model,
                                absl::Span<const float> context) {
  for (const ContextInput& input : model.context) {
    BASIN_RETURN_IF_ERROR(CheckHasDefault(input));
  }
  BASIN_RETURN_IF_ERROR(CheckHasLogZ(model));
  const auto stride = static_cast<size_t>(model.context_dimension);
  for (size_t row = 0; row < context.size(); row += stride) {
    for (const ContextInput& input : model.context) {
      const auto values =
          context.subspan(row + static_cast<size_t>(input.offset),
                          static_cast<size_t>(input.shape.num_elements()));
      for (const float value : values) {
        if (value == *input.default_value) continue;
        return absl::InvalidArgumentError(absl::StrCat(
            "context.", input.name, ": expected its default, ",
            *input.default_value,
            ", with want_log_likelihood, since log_z is of that, got ", value));
      }
    }
  }
  return absl::OkStatus();
}

std::vector<bool> OutsideDomain(const ModelInfo& model,
                                absl::Span<const float> inputs) {
  const auto d = static_cast<size_t>(model.dimension);
  std::vector<bool> outside;
  outside.reserve(inputs.size() / d);
  for (size_t row = 0; row < inputs.size(); row += d) {
    outside.push_back(!Contains(model.domain, inputs.subspan(row, d)));
  }
  return outside;
}

std::vector<double> LogLikelihoods(const KnownLogZ& log_z,
                                   absl::Span<const double> energies,
                                   const std::vector<bool>& outside) {
  BASIN_CHECK(energies.size() == outside.size());
  std::vector<double> result;
  result.reserve(energies.size());
  for (size_t row = 0; row < energies.size(); ++row) {
    result.push_back(outside[row] ? -std::numeric_limits<double>::infinity()
                                  : -energies[row] - log_z.value);
  }
  return result;
}

}  // namespace basin
