#ifndef BASIN_TESTS_TESTING_REFERENCE_INDEX_H_
#define BASIN_TESTS_TESTING_REFERENCE_INDEX_H_

#include <vector>

#include "core/graph/graph.h"

namespace basin::testing {

// kTake and kPutAdd of x or dy, whose shape is `shape`.
std::vector<double> ReferenceTake(const Node& node,
                                  const std::vector<double>& x,
                                  const std::vector<double>& indices,
                                  const Shape& shape);

// kTopK of x, whose shape is `shape`.
std::vector<double> ReferenceTopK(const Node& node,
                                  const std::vector<double>& x,
                                  const Shape& shape);

// kCombineEnergies and kMixtureShare of the operands' values.
std::vector<double> ReferenceCombine(
    const Node& node, const std::vector<std::vector<double>>& energies);

}  // namespace basin::testing

#endif  // BASIN_TESTS_TESTING_REFERENCE_INDEX_H_
