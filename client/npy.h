#ifndef BASIN_CLIENT_NPY_H_
#define BASIN_CLIENT_NPY_H_

// NumPy's .npy files: little-endian float32, float64 or uint8, C order. Debian
// has no C++ library for them. Format: numpy.lib.format, versions 1 to 3.

#include <string>

#include <absl/status/statusor.h>

#include "client/array.h"

namespace basin::client {

// FLOAT32, FLOAT64 or UINT8, as in the file. InvalidArgument, naming the file
// and what is wrong, for anything else.
absl::StatusOr<v1::Tensor> ReadNpy(const std::string& path);

// Writes float32. The file appears whole or not at all.
absl::Status WriteNpy(const std::string& path, const Array& array);

}  // namespace basin::client

#endif  // BASIN_CLIENT_NPY_H_
