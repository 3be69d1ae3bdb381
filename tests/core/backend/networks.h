#ifndef BASIN_TESTS_CORE_BACKEND_NETWORKS_H_
#define BASIN_TESTS_CORE_BACKEND_NETWORKS_H_

#include <cstdint>

#include "core/graph/graph.h"

namespace basin::testing {

// Ordinary networks as energies, with their gradients: outputs E [rows]
// (float64) and dE/dx. The weights are random and depend on the sizes only.

// A SiLU network [rows, dim] -> hidden -> hidden -> 1.
Graph MlpNetwork(int64_t rows, int64_t dim, int64_t hidden);

// Strided SiLU convolutions of [rows, 1, size, size], as deploy/models'
// mnist_ebm has them with size 28 and width 16.
Graph ConvNetwork(int64_t rows, int64_t size, int64_t width);

// Residual leaky ReLU blocks of [rows, 3, size, size] in three groups, the
// second and third strided: a wide residual network without norms. WRN-28-2
// has size 32, width 32, 4 blocks a group.
struct ResidualSizes {
  int64_t size = 32;
  int64_t width = 32;  // channels of the first group
  int blocks = 4;      // of each group
};
Graph ResidualNetwork(int64_t rows, const ResidualSizes& sizes);

// A pre-norm transformer encoder of [rows, tokens, 16], 8 heads.
struct TransformerSizes {
  int64_t tokens = 64;
  int64_t width = 256;
  int layers = 6;
};
Graph TransformerNetwork(int64_t rows, const TransformerSizes& sizes);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_BACKEND_NETWORKS_H_
