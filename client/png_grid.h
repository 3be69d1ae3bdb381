#ifndef BASIN_CLIENT_PNG_GRID_H_
#define BASIN_CLIENT_PNG_GRID_H_

#include <string>

#include <absl/status/statusor.h>

#include "client/array.h"

namespace basin::client {

// Writes images [n, H, W], [n, 1, H, W] or [n, 3, H, W] as one PNG: a grid,
// nearly square, with a thin frame around each. Values from `lower` to
// `upper` become black to white; NaN becomes red. InvalidArgument for other
// shapes.
absl::Status WritePngGrid(const std::string& path, const Array& images,
                          float lower, float upper);

// Reads a PNG as UINT8 [1, channels, height, width]; `channels` is 1 (grey)
// or 3 (RGB), converted if need be.
absl::StatusOr<v1::Tensor> ReadPng(const std::string& path, int channels);

}  // namespace basin::client

#endif  // BASIN_CLIENT_PNG_GRID_H_
