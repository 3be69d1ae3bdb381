#ifndef BASIN_CORE_TENSOR_DTYPE_H_
#define BASIN_CORE_TENSOR_DTYPE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace basin {

// Element types. States, energies and weights are kFloat32; the others are
// accepted from clients and used for indices and shapes.
enum class DType : uint8_t {
  kFloat32,
  kFloat64,
  kInt32,
  kInt64,
  kUint8,
  kBool,
};

// Bytes of one element.
size_t ByteSize(DType dtype);

// "float32", "int64", ...
std::string_view Name(DType dtype);

// The DType of a C++ type: DTypeOf<float>() == DType::kFloat32.
template <typename T>
constexpr DType DTypeOf();
template <>
constexpr DType DTypeOf<float>() {
  return DType::kFloat32;
}
template <>
constexpr DType DTypeOf<double>() {
  return DType::kFloat64;
}
template <>
constexpr DType DTypeOf<int32_t>() {
  return DType::kInt32;
}
template <>
constexpr DType DTypeOf<int64_t>() {
  return DType::kInt64;
}
template <>
constexpr DType DTypeOf<uint8_t>() {
  return DType::kUint8;
}
template <>
constexpr DType DTypeOf<bool>() {
  return DType::kBool;
}

}  // namespace basin

#endif  // BASIN_CORE_TENSOR_DTYPE_H_
