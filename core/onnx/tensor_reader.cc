#include "core/onnx/tensor_reader.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/external_data.h"

namespace basin::internal {
namespace {

using onnx::TensorProto;

// Bytes of one element in raw_data; 0 for types that are not read.
int64_t RawElementSize(int32_t type) {
  switch (type) {
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return 8;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 4;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return 2;
    case TensorProto::INT8:
    case TensorProto::UINT8:
    case TensorProto::BOOL:
      return 1;
    default:
      return 0;
  }
}

float FromBfloat16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

float FromFloat16(uint16_t bits) {
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  const int exponent = (bits >> 10) & 0x1f;
  const auto fraction = static_cast<float>(bits & 0x3ff);
  if (exponent == 0x1f) {
    return fraction == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024.0f + fraction, exponent - 25);
}

// Writes convert(element) for each of the Source elements at `bytes`, which
// may be unaligned.
template <typename Source, typename Target, typename Convert>
void ConvertRaw(const std::string& bytes, Tensor& tensor, Convert convert) {
  absl::Span<Target> out = tensor.mutable_data<Target>();
  for (size_t i = 0; i < out.size(); ++i) {
    Source element;
    std::memcpy(&element, bytes.data() + i * sizeof(Source), sizeof(Source));
    out[i] = static_cast<Target>(convert(element));
  }
}

constexpr auto kAsIs = [](auto value) { return value; };
constexpr auto kTruth = [](auto value) { return value != 0; };

absl::Status UnsignedTooLarge() {
  return absl::InvalidArgumentError("a UINT64 element is above 2^63 - 1");
}

// REQUIRES: `bytes` holds exactly the tensor's elements.
absl::Status FillFromRaw(int32_t type, const std::string& bytes,
                         Tensor& tensor) {
  switch (type) {
    case TensorProto::FLOAT:
      ConvertRaw<float, float>(bytes, tensor, kAsIs);
      break;
    case TensorProto::DOUBLE:
      if (tensor.dtype() == DType::kFloat64) {
        ConvertRaw<double, double>(bytes, tensor, kAsIs);
      } else {
        ConvertRaw<double, float>(bytes, tensor, ToFloat32);
      }
      break;
    case TensorProto::FLOAT16:
      ConvertRaw<uint16_t, float>(bytes, tensor, FromFloat16);
      break;
    case TensorProto::BFLOAT16:
      ConvertRaw<uint16_t, float>(bytes, tensor, FromBfloat16);
      break;
    case TensorProto::INT64:
    case TensorProto::UINT64:
      ConvertRaw<int64_t, int64_t>(bytes, tensor, kAsIs);
      break;
    case TensorProto::INT32:
      ConvertRaw<int32_t, int64_t>(bytes, tensor, kAsIs);
      break;
    case TensorProto::UINT32:
      ConvertRaw<uint32_t, int64_t>(bytes, tensor, kAsIs);
      break;
    case TensorProto::INT16:
      ConvertRaw<int16_t, int64_t>(bytes, tensor, kAsIs);
      break;
    case TensorProto::UINT16:
      ConvertRaw<uint16_t, int64_t>(bytes, tensor, kAsIs);
      break;
    case TensorProto::INT8:
      ConvertRaw<int8_t, int64_t>(bytes, tensor, kAsIs);
      break;
    case TensorProto::UINT8:
      ConvertRaw<uint8_t, int64_t>(bytes, tensor, kAsIs);
      break;
    default:
      ConvertRaw<uint8_t, int64_t>(bytes, tensor, kTruth);
  }
  if (type == TensorProto::UINT64) {
    for (const int64_t element : tensor.data<int64_t>()) {
      if (element < 0) return UnsignedTooLarge();
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCount(int64_t count, int64_t expected) {
  if (count == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("holds ", count, " elements, its shape needs ", expected));
}

template <typename Target, typename Field, typename Convert>
absl::Status FillFrom(const Field& field, Tensor& tensor, Convert convert) {
  absl::Span<Target> out = tensor.mutable_data<Target>();
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<Target>(convert(field[static_cast<int>(i)]));
  }
  return absl::OkStatus();
}

// The number of elements in the typed field where `type` keeps them.
int64_t TypedCount(const TensorProto& proto) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      return proto.float_data_size();
    case TensorProto::DOUBLE:
      return proto.double_data_size();
    case TensorProto::INT64:
      return proto.int64_data_size();
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      return proto.uint64_data_size();
    default:
      return proto.int32_data_size();
  }
}

// REQUIRES: TypedCount() is the tensor's number of elements.
absl::Status FillFromTyped(const TensorProto& proto, Tensor& tensor) {
  const auto half_bits = [](int32_t v) { return static_cast<uint16_t>(v); };
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      return FillFrom<float>(proto.float_data(), tensor, kAsIs);
    case TensorProto::DOUBLE:
      return tensor.dtype() == DType::kFloat64
                 ? FillFrom<double>(proto.double_data(), tensor, kAsIs)
                 : FillFrom<float>(proto.double_data(), tensor, ToFloat32);
    case TensorProto::FLOAT16:
      return FillFrom<float>(proto.int32_data(), tensor, [&](int32_t v) {
        return FromFloat16(half_bits(v));
      });
    case TensorProto::BFLOAT16:
      return FillFrom<float>(proto.int32_data(), tensor, [&](int32_t v) {
        return FromBfloat16(half_bits(v));
      });
    case TensorProto::INT64:
      return FillFrom<int64_t>(proto.int64_data(), tensor, kAsIs);
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      for (const uint64_t element : proto.uint64_data()) {
        if (element > std::numeric_limits<int64_t>::max()) {
          return UnsignedTooLarge();
        }
      }
      return FillFrom<int64_t>(proto.uint64_data(), tensor, kAsIs);
    case TensorProto::BOOL:
      return FillFrom<int64_t>(proto.int32_data(), tensor, kTruth);
    default:
      return FillFrom<int64_t>(proto.int32_data(), tensor, kAsIs);
  }
}

}  // namespace

std::string OnnxTypeName(int32_t onnx_type) {
  if (!TensorProto::DataType_IsValid(onnx_type)) {
    return absl::StrCat("type ", onnx_type);
  }
  return TensorProto::DataType_Name(
      static_cast<TensorProto::DataType>(onnx_type));
}

absl::StatusOr<DType> ImportedDType(int32_t onnx_type) {
  switch (onnx_type) {
    case TensorProto::FLOAT:
    case TensorProto::DOUBLE:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return DType::kFloat32;
    default:
      if (RawElementSize(onnx_type) > 0) return DType::kInt64;
  }
  return absl::UnimplementedError(absl::StrCat(
      "element type ", OnnxTypeName(onnx_type),
      " is not supported: FLOAT, DOUBLE, FLOAT16, BFLOAT16, integers and BOOL "
      "are"));
}

absl::Status TakeFromBudget(DType dtype, int64_t elements,
                            int64_t& bytes_left) {
  // Shape bounds `elements` by 2^48, so this does not overflow.
  const int64_t bytes = elements * static_cast<int64_t>(ByteSize(dtype));
  if (bytes > bytes_left) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a constant of ", bytes, " bytes is above the limit: ", bytes_left,
        " bytes are left for constants"));
  }
  bytes_left -= bytes;
  return absl::OkStatus();
}

absl::StatusOr<Tensor> ReadTensor(const TensorProto& proto,
                                  const std::string& folder,
                                  int64_t& bytes_left, OnnxDoubles doubles) {
  BASIN_ASSIGN_OR_RETURN(DType dtype, ImportedDType(proto.data_type()));
  if (proto.data_type() == TensorProto::DOUBLE &&
      doubles == OnnxDoubles::kKeep) {
    dtype = DType::kFloat64;
  }
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(proto.dims()));
  if (proto.has_segment()) {
    return absl::UnimplementedError("segmented tensors are not supported");
  }
  const int64_t elements = shape.num_elements();
  const int64_t raw_size = RawElementSize(proto.data_type());
  const bool external = proto.data_location() == TensorProto::EXTERNAL;
  if (!external && proto.has_raw_data()) {
    const auto bytes = static_cast<int64_t>(proto.raw_data().size());
    if (bytes % raw_size != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("holds ", bytes, " bytes, its shape ", shape.ToString(),
                       " needs ", elements * raw_size));
    }
    BASIN_RETURN_IF_ERROR(CheckCount(bytes / raw_size, elements));
  } else if (!external) {
    BASIN_RETURN_IF_ERROR(CheckCount(TypedCount(proto), elements));
  }
  BASIN_RETURN_IF_ERROR(TakeFromBudget(dtype, elements, bytes_left));
  std::string external_bytes;
  if (external) {
    BASIN_ASSIGN_OR_RETURN(
        external_bytes, ReadExternalData(proto, folder, elements * raw_size));
  }
  Tensor tensor(dtype, shape);
  BASIN_RETURN_IF_ERROR(
      external || proto.has_raw_data()
          ? FillFromRaw(proto.data_type(),
                        external ? external_bytes : proto.raw_data(), tensor)
          : FillFromTyped(proto, tensor));
  return tensor;
}

}  // namespace basin::internal
