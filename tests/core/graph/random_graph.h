#ifndef BASIN_TESTS_CORE_GRAPH_RANDOM_GRAPH_H_
#define BASIN_TESTS_CORE_GRAPH_RANDOM_GRAPH_H_

#include <cstdint>
#include <vector>

#include "core/graph/graph.h"
#include "core/tensor/tensor.h"

namespace basin::testing {

// Float64 values, uniform in [low, high).
Tensor RandomTensor(const Shape& shape, uint32_t seed, double low = -1.0,
                    double high = 1.0);
// The same as a float32 constant.
Tensor RandomConstant(const Shape& shape, uint32_t seed, double low = -1.0,
                      double high = 1.0);

// A graph of about `size` nodes of nearly all operations whose values stay
// finite, with two inputs [3, 4] and one to four outputs. A pure function of
// its arguments.
Graph RandomGraph(uint32_t seed, int size);

// Float64 inputs for `graph`.
std::vector<Tensor> RandomInputs(const Graph& graph, uint32_t seed);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_GRAPH_RANDOM_GRAPH_H_
