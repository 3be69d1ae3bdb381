#ifndef BASIN_TESTS_TESTING_NPY_H_
#define BASIN_TESTS_TESTING_NPY_H_

#include <string>

#include "core/tensor/tensor.h"

namespace basin::testing {

// Reads a .npy file of our own making (version 1.0, C order; float32,
// float64, int64 or uint8). Ends the process on anything else: golden files
// are not hostile.
Tensor ReadGoldenNpy(const std::string& path);

// tests/data/golden/... under the source tree.
std::string GoldenPath(const std::string& relative);

}  // namespace basin::testing

#endif  // BASIN_TESTS_TESTING_NPY_H_
