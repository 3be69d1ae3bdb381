#include "client/array.h"

#include <bit>
#include <cstring>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace basin::client {

static_assert(std::endian::native == std::endian::little,
              "tensors travel little-endian");

namespace {

// Elements of type T as they travel, into an array of `To`.
template <typename T, typename To>
absl::Status Convert(const v1::Tensor& tensor, BasicArray<To>& array) {
  array.shape.assign(tensor.shape().begin(), tensor.shape().end());
  const size_t elements = tensor.data().size() / sizeof(T);
  if (tensor.data().size() % sizeof(T) != 0 ||
      NumElements(array.shape) != static_cast<int64_t>(elements)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the server sent a tensor of shape ", ShapeToString(array.shape),
        " with ", tensor.data().size(), " bytes"));
  }
  std::vector<T> values(elements);
  std::memcpy(values.data(), tensor.data().data(), tensor.data().size());
  array.values.assign(values.begin(), values.end());
  return absl::OkStatus();
}

absl::Status WrongType(const v1::Tensor& tensor, absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("the server sent a tensor of dtype ",
                   v1::DType_Name(tensor.dtype()), "; expected ", expected));
}

}  // namespace

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
  if (tensor.dtype() != v1::FLOAT32) return WrongType(tensor, "FLOAT32");
  Array array;
  absl::Status status = Convert<float>(tensor, array);
  if (!status.ok()) return status;
  return array;
}

absl::StatusOr<EnergyArray> EnergiesFromTensor(const v1::Tensor& tensor) {
  EnergyArray array;
  absl::Status status;
  if (tensor.dtype() == v1::FLOAT32) {
    status = Convert<float>(tensor, array);
  } else if (tensor.dtype() == v1::FLOAT64) {
    status = Convert<double>(tensor, array);
  } else {
    status = WrongType(tensor, "FLOAT32 or FLOAT64");
  }
  if (!status.ok()) return status;
  return array;
}

}  // namespace basin::client
