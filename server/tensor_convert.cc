#include "server/tensor_convert.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/tensor/dtype.h"

#include "basin/v1/common.pb.h"

namespace basin {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensors travel in little-endian order");

absl::StatusOr<DType> DTypeFromProto(const v1::Tensor& tensor,
                                     const RowsExpectation& expected) {
  switch (tensor.dtype()) {
    case v1::FLOAT32:
      return DType::kFloat32;
    case v1::FLOAT64:
      return DType::kFloat64;
    case v1::INT32:
      return DType::kInt32;
    case v1::INT64:
      return DType::kInt64;
    case v1::BOOL:
      return DType::kBool;
    case v1::UINT8:
      if (expected.uint8_scale > 0) return DType::kUint8;
      return absl::InvalidArgumentError(
          absl::StrCat(expected.field,
                       ".dtype: expected FLOAT32, got UINT8, for which the "
                       "model has no uint8_scale"));
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          expected.field,
          ".dtype: expected FLOAT32, FLOAT64, UINT8, INT32, INT64 or BOOL, "
          "got ",
          tensor.dtype() == v1::DTYPE_UNSPECIFIED
              ? "none"
              : absl::StrCat(tensor.dtype())));
  }
}

// "[3, 28, 28]", cut short where a hostile tensor has many dimensions.
std::string ShapeText(const v1::Tensor& tensor) {
  constexpr int kMost = 10;
  std::string text = "[";
  for (int i = 0; i < std::min(tensor.shape_size(), kMost); ++i) {
    absl::StrAppend(&text, i > 0 ? ", " : "", tensor.shape(i));
  }
  return absl::StrCat(text, tensor.shape_size() > kMost ? ", ...]" : "]");
}

absl::Status CheckShape(const v1::Tensor& tensor,
                        const RowsExpectation& expected) {
  const Shape& state = expected.shape;
  bool same = tensor.shape_size() == state.rank() + 1 && tensor.shape(0) >= 1;
  for (int i = 0; same && i < state.rank(); ++i) {
    same = tensor.shape(i + 1) == state.dim(i);
  }
  if (!same) {
    std::string wanted = "[n";
    for (const int64_t dim : state.dims()) absl::StrAppend(&wanted, ", ", dim);
    return absl::InvalidArgumentError(
        absl::StrCat(expected.field, ".shape: expected ", wanted,
                     "] with n >= 1, got ", ShapeText(tensor)));
  }
  if (tensor.shape(0) > expected.max_rows) {
    return absl::InvalidArgumentError(absl::StrCat(
        expected.field, ".shape: expected at most ", expected.max_rows,
        " rows (", expected.limit_name, "), got ", tensor.shape(0)));
  }
  // A count of elements below 2^48, so that byte counts do not overflow.
  return Shape::Create(tensor.shape()).status();
}

// Converts the elements of type T. Bytes in a message are not aligned.
template <typename T>
void Convert(const std::string& data, float scale, std::vector<float>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    T element;
    std::memcpy(&element, data.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<float>(element) * scale;
  }
}

void ConvertAll(DType dtype, const std::string& data, double uint8_scale,
                std::vector<float>& values) {
  switch (dtype) {
    case DType::kFloat32:
      std::memcpy(values.data(), data.data(), data.size());
      return;
    case DType::kFloat64:
      return Convert<double>(data, 1, values);
    case DType::kInt32:
      return Convert<int32_t>(data, 1, values);
    case DType::kInt64:
      return Convert<int64_t>(data, 1, values);
    case DType::kUint8:
      return Convert<uint8_t>(data, static_cast<float>(uint8_scale), values);
    case DType::kBool:
      return Convert<uint8_t>(data, 1, values);
  }
}

// "row 3 has a NaN at element 17"
std::string At(size_t index, int64_t dimension, absl::string_view what) {
  const auto d = static_cast<size_t>(dimension);
  return absl::StrCat("row ", index / d, " has ", what, " at element ",
                      index % d);
}

absl::Status CheckValues(DType dtype, const v1::Tensor& tensor,
                         const RowsExpectation& expected,
                         const std::vector<float>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    absl::string_view what;
    if (!std::isfinite(values[i])) {
      what = std::isnan(values[i])      ? "a NaN"
             : dtype == DType::kFloat64 ? "a value that is infinite as float32"
                                        : "an infinity";
    } else if (dtype == DType::kBool &&
               static_cast<uint8_t>(tensor.data()[i]) > 1) {
      what = "a BOOL that is neither 0 nor 1";
    }
    if (!what.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          expected.field, ": ", At(i, expected.shape.num_elements(), what)));
    }
  }
  return absl::OkStatus();
}

template <typename T>
void SetTensor(v1::DType dtype, absl::Span<const int64_t> leading,
               absl::Span<const int64_t> state, absl::Span<const T> values,
               v1::Tensor& tensor) {
  int64_t elements = 1;
  tensor.set_dtype(dtype);
  tensor.clear_shape();
  for (const absl::Span<const int64_t> dims : {leading, state}) {
    for (const int64_t dim : dims) {
      tensor.add_shape(dim);
      elements *= dim;
    }
  }
  BASIN_CHECK(static_cast<size_t>(elements) == values.size());
  tensor.mutable_data()->assign(reinterpret_cast<const char*>(values.data()),
                                values.size() * sizeof(T));
}

}  // namespace

RowsExpectation ExpectStates(absl::string_view field, const ModelInfo& model,
                             int64_t max_rows, absl::string_view limit_name) {
  return {std::string(field), model.state_shape, model.uint8_scale, max_rows,
          limit_name};
}

absl::StatusOr<FloatRows> RowsFromProto(const v1::Tensor& tensor,
                                        const RowsExpectation& expected) {
  BASIN_ASSIGN_OR_RETURN(const DType dtype, DTypeFromProto(tensor, expected));
  BASIN_RETURN_IF_ERROR(CheckShape(tensor, expected));
  FloatRows result;
  result.rows = tensor.shape(0);
  const int64_t elements = result.rows * expected.shape.num_elements();
  const uint64_t bytes = static_cast<uint64_t>(elements) * ByteSize(dtype);
  if (tensor.data().size() != bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(expected.field, ".data: expected ", bytes, " bytes for ",
                     std::string(Name(dtype)), " ", ShapeText(tensor), ", got ",
                     tensor.data().size()));
  }
  // The bytes are there already, so this is at most four times as much.
  result.values.resize(static_cast<size_t>(elements));
  ConvertAll(dtype, tensor.data(), expected.uint8_scale, result.values);
  BASIN_RETURN_IF_ERROR(CheckValues(dtype, tensor, expected, result.values));
  return result;
}

absl::StatusOr<std::vector<float>> CoordinatesFromProto(
    absl::string_view field, const v1::Tensor& tensor, const ModelInfo& model) {
  v1::Tensor row;
  row.set_dtype(tensor.dtype());
  row.add_shape(1);
  row.mutable_shape()->MergeFrom(tensor.shape());
  if (row.shape_size() != model.state_shape.rank() + 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".shape: expected ", model.state_shape.ToString(),
                     ", a state's, got ", ShapeText(tensor)));
  }
  row.set_data(tensor.data());
  BASIN_ASSIGN_OR_RETURN(
      FloatRows rows, RowsFromProto(row, {std::string(field), model.state_shape,
                                          model.uint8_scale, 1, "one state"}));
  return std::move(rows.values);
}

absl::Status CheckInside(absl::string_view field,
                         absl::Span<const float> values, int64_t dimension,
                         const Box& box, absl::string_view box_name) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= box.lower && values[i] <= box.upper) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        field, ": ", At(i, dimension, absl::StrCat(values[i])), ", outside of ",
        box_name, " [", box.lower, ", ", box.upper, "]"));
  }
  return absl::OkStatus();
}

absl::Status CheckDiscrete(absl::string_view field,
                           absl::Span<const float> values,
                           const ModelInfo& model,
                           absl::Span<const float> scale) {
  const Domain& domain = model.domain;
  if (domain.kind == DomainKind::kContinuous) return absl::OkStatus();
  const bool binary = domain.kind == DomainKind::kBinary;
  const size_t width = binary ? 1 : static_cast<size_t>(domain.classes);
  const auto dimension = static_cast<size_t>(model.dimension);
  for (size_t at = 0; at < values.size(); at += width) {
    if (!scale.empty() && scale[at % dimension] != 0) continue;
    const auto site = values.subspan(at, width);
    for (size_t i = 0; i < width; ++i) {
      if (site[i] == 0 || site[i] == 1) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": expected 0 or 1, as the domain is ",
                       binary ? "binary" : "categorical", "; ",
                       At(at + i, model.dimension, absl::StrCat(site[i]))));
    }
    const auto ones = std::count(site.begin(), site.end(), 1.0F);
    if (binary || ones == 1) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        field, ": expected one 1 among the ", width, " classes of a site; ",
        "row ", at / dimension, " has ", ones, " ones at elements ",
        at % dimension, " to ", at % dimension + width - 1));
  }
  return absl::OkStatus();
}

absl::Status CheckInDomain(absl::string_view field,
                           absl::Span<const float> values,
                           const ModelInfo& model) {
  BASIN_RETURN_IF_ERROR(CheckInside(field, values, model.dimension,
                                    model.domain.box, "the model's domain"));
  return CheckDiscrete(field, values, model);
}

void FloatsToProto(absl::Span<const int64_t> leading,
                   absl::Span<const int64_t> state,
                   absl::Span<const float> values, v1::Tensor& tensor) {
  SetTensor(v1::FLOAT32, leading, state, values, tensor);
}

void EnergiesToProto(absl::Span<const int64_t> shape, Precision precision,
                     absl::Span<const double> values, v1::Tensor& tensor) {
  if (precision == Precision::kFloat64) {
    SetTensor(v1::FLOAT64, shape, {}, values, tensor);
    return;
  }
  const std::vector<float> rounded(values.begin(), values.end());
  FloatsToProto(shape, {}, rounded, tensor);
}

}  // namespace basin
