#ifndef BASIN_CLIENT_NPY_H_
#define BASIN_CLIENT_NPY_H_

// NumPy's .npy files: little-endian, C order. Debian
// has no C++ library for them. Format: numpy.lib.format, versions 1 to 3.

#include <string>

#include <absl/status/statusor.h>

#include "client/array.h"

namespace basin::client {

// FLOAT32, FLOAT64, UINT8, INT32, INT64 or BOOL, as in the file.
// InvalidArgument, naming the file and what is wrong, for anything else.
absl::StatusOr<v1::Tensor> ReadNpy(const std::string& path);

// Writes float32, or float64. The file appears whole or not at all.
absl::Status WriteNpy(const std::string& path, const Array& array);
absl::Status WriteNpy(const std::string& path, const EnergyArray& array);

}  // namespace basin::client

#endif  // BASIN_CLIENT_NPY_H_
