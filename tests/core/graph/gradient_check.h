#ifndef BASIN_TESTS_CORE_GRAPH_GRADIENT_CHECK_H_
#define BASIN_TESTS_CORE_GRAPH_GRADIENT_CHECK_H_

#include <functional>

#include "core/graph/graph_builder.h"
#include "core/tensor/tensor.h"

namespace basin::testing {

using GraphFunction = std::function<ValueId(GraphBuilder&, ValueId)>;

// d(sum of energies)/dx by Gradient() against central differences at `x`, a
// float64 tensor. The energies are the values of `f` with a weight each.
void CheckGradientAt(const GraphFunction& f, const Tensor& x);

// The same at random elements between `low` and `high`.
void CheckGradient(const GraphFunction& f, const Shape& shape,
                   double low = -1.5, double high = 1.5);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_GRAPH_GRADIENT_CHECK_H_
