#ifndef BASIN_CORE_MODEL_MODEL_CHECKS_H_
#define BASIN_CORE_MODEL_MODEL_CHECKS_H_

// What a model must pass before it serves. Errors say what was found and what
// it means.

#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/model/energy_model.h"
#include "core/model/model_probe.h"

namespace basin::internal {

// `count` points [count, D + C]: states from the initial law, with context
// from the range of each input, or its default; always the same ones.
std::vector<float> ProbePoints(const ModelInfo& info, int count);

// Energies and gradients are finite, and both plans agree on the energies as
// far as `precision` lets them.
absl::Status CheckFinite(const Evaluation& evaluation, Precision precision);

// `probe`, of another tile size, gives the energies of `expected` for `points`
// up to rounding: a model that reads its own row count does not.
absl::Status CheckRowCountDoesNotMatter(ModelProbe& probe,
                                        absl::Span<const float> points,
                                        const Evaluation& expected,
                                        Precision precision);

// Each row's bits stay the same next to other rows, in another place, next to
// rows that are not a number, and alone. `expected` belongs to `points`, a
// whole tile of `probe`.
absl::Status CheckRowsIndependent(ModelProbe& probe,
                                  absl::Span<const float> points,
                                  const Evaluation& expected);

// Gradients agree with central differences of the energy on a few coordinates
// of a few states. Where float32 is too coarse to tell, or a kink is near,
// nothing is held against a model: it takes several clear contradictions.
absl::Status CheckGradient(ModelProbe& probe, const ModelInfo& info,
                           absl::Span<const float> points,
                           const Evaluation& evaluation);

// Whether `probe`, of any tile size, gives the bits of `expected` for `points`
// in every row of its tile.
absl::StatusOr<bool> GivesSameBits(ModelProbe& probe,
                                   absl::Span<const float> points,
                                   const Evaluation& expected);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_MODEL_CHECKS_H_
