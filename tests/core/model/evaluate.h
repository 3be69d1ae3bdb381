#ifndef BASIN_TESTS_CORE_MODEL_EVALUATE_H_
#define BASIN_TESTS_CORE_MODEL_EVALUATE_H_

#include <vector>

#include <absl/types/span.h>

#include "core/model/energy_model.h"

namespace basin::testing {

struct Evaluated {
  std::vector<double> energies;           // [n], Energy()
  std::vector<double> gradient_energies;  // [n], EnergyAndGradient()
  std::vector<float> gradients;           // [n, D]
  std::vector<double> class_energies;     // [n, K]
};

// What `model` says of states [n, D] in tiles of `tile_rows`; the last tile
// is filled up with rows of NaN. `context` is [n, C], or empty: the defaults.
// Ends the process on errors.
Evaluated EvaluateAll(const EnergyModel& model, int tile_rows,
                      absl::Span<const float> states,
                      absl::Span<const float> context = {});

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_MODEL_EVALUATE_H_
