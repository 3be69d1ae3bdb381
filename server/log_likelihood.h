#ifndef BASIN_SERVER_LOG_LIKELIHOOD_H_
#define BASIN_SERVER_LOG_LIKELIHOOD_H_

// Normalised log-likelihoods, ln p(x) = -E(x) - ln Z, of models that know
// their ln Z. Pure functions; thread-safe.

#include <vector>

#include <absl/status/status.h>
#include <absl/types/span.h>

#include "core/model/model_info.h"

namespace basin {

// Whether log-likelihoods can be had under `context`, [rows, C] or [1, C].
// FailedPrecondition with the remedy if the model has no log_z,
// InvalidArgument if an input of the context is not at its default: E given
// something else has another Z.
absl::Status CheckLogLikelihood(const ModelInfo& model,
                                absl::Span<const float> context);

// Whether each row of `inputs`, [rows, D], is outside of the model's domain.
std::vector<bool> OutsideDomain(const ModelInfo& model,
                                absl::Span<const float> inputs);

// [rows]; -infinity where a row is outside of the domain or its energy is
// infinite, NaN where its energy is.
// REQUIRES: as many energies as `outside` has rows.
std::vector<double> LogLikelihoods(const KnownLogZ& log_z,
                                   absl::Span<const double> energies,
                                   const std::vector<bool>& outside);

}  // namespace basin

#endif  // BASIN_SERVER_LOG_LIKELIHOOD_H_
