#include "client/array.h"

#include <bit>
#include <cstring>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace basin::client {

static_assert(std::endian::native == std::endian::little,
              "tensors travel little-endian");

int64_t Array::RowSize() const {
  int64_t size = 1;
  for (size_t i = 1; i < shape.size(); ++i) size *= shape[i];
  return size;
}

int64_t NumElements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

std::string ShapeToString(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

v1::Tensor ToTensor(const Array& array) {
  v1::Tensor tensor;
  tensor.set_dtype(v1::FLOAT32);
  tensor.mutable_shape()->Assign(array.shape.begin(), array.shape.end());
  tensor.set_data(array.values.data(), array.values.size() * sizeof(float));
  return tensor;
}

absl::StatusOr<Array> FromTensor(const v1::Tensor& tensor) {
  if (tensor.dtype() != v1::FLOAT32 ||
      tensor.data().size() % sizeof(float) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the server sent a tensor of dtype ", v1::DType_Name(tensor.dtype()),
        " with ", tensor.data().size(), " bytes; expected FLOAT32"));
  }
  Array array;
  array.shape.assign(tensor.shape().begin(), tensor.shape().end());
  array.values.resize(tensor.data().size() / sizeof(float));
  if (NumElements(array.shape) != static_cast<int64_t>(array.values.size())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the server sent a tensor of shape ", ShapeToString(array.shape),
        " with ", array.values.size(), " elements"));
  }
  std::memcpy(array.values.data(), tensor.data().data(), tensor.data().size());
  return array;
}

}  // namespace basin::client
