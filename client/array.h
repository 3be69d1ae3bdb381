#ifndef BASIN_CLIENT_ARRAY_H_
#define BASIN_CLIENT_ARRAY_H_

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "basin/v1/common.pb.h"

namespace basin::client {

// A dense row-major array in memory. A value type.
template <typename T>
struct BasicArray {
  std::vector<int64_t> shape;
  std::vector<T> values;  // as many as the product of `shape`

  // The elements of one row: the product of shape[1..]. 1 for a vector.
  int64_t RowSize() const {
    int64_t size = 1;
    for (size_t i = 1; i < shape.size(); ++i) size *= shape[i];
    return size;
  }
};
using Array = BasicArray<float>;
// Energies: models of precision float64 have them as doubles.
using EnergyArray = BasicArray<double>;

// The product of `shape`. REQUIRES: it fits into 64 bits.
int64_t NumElements(const std::vector<int64_t>& shape);

// "[64, 1, 28, 28]".
std::string ShapeToString(const std::vector<int64_t>& shape);

// float32, little-endian, as it travels.
v1::Tensor ToTensor(const Array& array);

// InvalidArgument unless `tensor` is FLOAT32 with as many bytes as its shape
// says.
absl::StatusOr<Array> FromTensor(const v1::Tensor& tensor);
// The same of FLOAT32 or FLOAT64.
absl::StatusOr<EnergyArray> EnergiesFromTensor(const v1::Tensor& tensor);

}  // namespace basin::client

#endif  // BASIN_CLIENT_ARRAY_H_
