#ifndef BASIN_CORE_MODEL_COMPOSITION_FAMILY_H_
#define BASIN_CORE_MODEL_COMPOSITION_FAMILY_H_

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "core/model/composition.h"
#include "core/model/families.h"

namespace basin::internal {

// The energy that `composition` makes of its terms, of which terms[i] was
// opened for composition.terms[i]. Completes settings->info: states, domain,
// initial law and defaults are those of the first term where nothing else is
// said; context inputs are united by name, and there are classes if all terms
// that take a label have the same number of them. InvalidArgument if the terms'
// domains or context inputs differ, saying in what.
// Terms that share their source are computed once.
SourceOr ComposeSources(const Composition& composition,
                        std::vector<OpenedModel> terms,
                        ModelSettings* settings);

// "product(1 a/1, 0.5 b/2)", "mixture(...) at temperature 2".
std::string ToString(const Composition& composition);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_COMPOSITION_FAMILY_H_
