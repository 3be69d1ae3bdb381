#include "tests/core/scheduler/spin_model.h"

#include "tests/core/model/family_fixture.h"
#include "tests/core/scheduler/fake_model.h"

namespace basin::testing {

std::shared_ptr<const EnergyModel> MakeSpinModel(int max_tile_rows) {
  const ModelFolder folder;
  folder.Write("spins",
               "family: LATTICE lattice { size: [3] coupling: 0.4 field: 0.2 "
               "boundary: FREE }");
  return folder.Load("spins", max_tile_rows).value();
}

std::shared_ptr<const EnergyModel> MakeModelFor(TransitionKind kind,
                                                const Backend& backend) {
  if (CheckFits(kind, ModelInfo()).ok()) return MakeFakeModel(backend, {});
  return MakeSpinModel();
}

}  // namespace basin::testing
