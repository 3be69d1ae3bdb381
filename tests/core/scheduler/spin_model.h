#ifndef BASIN_TESTS_CORE_SCHEDULER_SPIN_MODEL_H_
#define BASIN_TESTS_CORE_SCHEDULER_SPIN_MODEL_H_

#include <memory>

#include "core/model/energy_model.h"

namespace basin::testing {

// Three spins in a row, for the transitions that the fake model has no states
// for.
std::shared_ptr<const EnergyModel> MakeSpinModel(int max_tile_rows = 16);

// The fake model if `kind` moves in its domain, else the spins.
std::shared_ptr<const EnergyModel> MakeModelFor(TransitionKind kind,
                                                const Backend& backend);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_SCHEDULER_SPIN_MODEL_H_
