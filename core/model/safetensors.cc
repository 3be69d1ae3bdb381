#include "core/model/safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <type_traits>
#include <utility>

#include <Eigen/Core>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "core/model/safetensors_header.h"

namespace basin {
namespace {

constexpr uint64_t kLengthBytes = 8;
// Elements converted at a time, so that a tensor is never held twice.
constexpr size_t kPiece = 1 << 16;

// Reads `out.size()` elements of type T as Real. False if the stream ends.
template <typename T, typename Real>
bool ReadAs(std::istream& stream, absl::Span<Real> out) {
  if constexpr (std::is_same_v<T, Real>) {
    return static_cast<bool>(
        stream.read(reinterpret_cast<char*>(out.data()),
                    static_cast<std::streamsize>(out.size() * sizeof(Real))));
  }
  std::vector<T> piece(std::min(kPiece, out.size()));
  for (size_t at = 0; at < out.size(); at += kPiece) {
    const size_t count = std::min(kPiece, out.size() - at);
    if (!stream.read(reinterpret_cast<char*>(piece.data()),
                     static_cast<std::streamsize>(count * sizeof(T)))) {
      return false;
    }
    std::transform(piece.begin(),
                   piece.begin() + static_cast<std::ptrdiff_t>(count),
                   out.begin() + static_cast<std::ptrdiff_t>(at),
                   [](T value) { return static_cast<Real>(value); });
  }
  return true;
}

template <typename T>
bool ReadElements(std::istream& stream, Tensor& out) {
  return out.dtype() == DType::kFloat64
             ? ReadAs<T>(stream, out.mutable_data<double>())
             : ReadAs<T>(stream, out.mutable_data<float>());
}

// BOOL is read as U8: other values than 0 and 1 are no bool of C++.
struct Reader {
  std::string_view dtype;
  bool (*read)(std::istream&, Tensor&);
};
constexpr Reader kReaders[] = {{"BOOL", ReadElements<uint8_t>},
                               {"U8", ReadElements<uint8_t>},
                               {"I8", ReadElements<int8_t>},
                               {"U16", ReadElements<uint16_t>},
                               {"I16", ReadElements<int16_t>},
                               {"F16", ReadElements<Eigen::half>},
                               {"BF16", ReadElements<Eigen::bfloat16>},
                               {"U32", ReadElements<uint32_t>},
                               {"I32", ReadElements<int32_t>},
                               {"F32", ReadElements<float>},
                               {"U64", ReadElements<uint64_t>},
                               {"I64", ReadElements<int64_t>},
                               {"F64", ReadElements<double>}};

absl::Status WithName(const std::string& name, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(name, ": ", status.message()));
}

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(
    const std::string& path, const SafetensorsLimits& limits) {
  // To open a named pipe may take forever.
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat("there is no file ", path));
  }
  auto stream = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!*stream) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  return Read(std::move(stream), std::filesystem::path(path).filename(),
              limits);
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Read(
    std::unique_ptr<std::istream> stream, const std::string& name,
    const SafetensorsLimits& limits) {
  SafetensorsFile file;
  file.stream_ = std::move(stream);
  file.name_ = name;
  const absl::Status read = file.ReadHeader(limits);
  if (!read.ok()) return WithName(name, read);
  return file;
}

absl::Status SafetensorsFile::ReadHeader(const SafetensorsLimits& limits) {
  stream_->seekg(0, std::ios::end);
  const auto size = static_cast<int64_t>(stream_->tellg());
  stream_->seekg(0);
  if (size < static_cast<int64_t>(kLengthBytes) ||
      size > limits.max_file_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", kLengthBytes, " to ", limits.max_file_bytes,
                     " bytes, got ", size));
  }
  uint64_t length = 0;
  stream_->read(reinterpret_cast<char*>(&length), kLengthBytes);
  const uint64_t rest = static_cast<uint64_t>(size) - kLengthBytes;
  const uint64_t most =
      std::min(rest, static_cast<uint64_t>(limits.max_header_bytes));
  if (length > most) {
    return absl::InvalidArgumentError(absl::StrCat(
        "header length: expected at most ", most, " bytes, got ", length));
  }
  std::string json(length, '\0');
  if (!stream_->read(json.data(), static_cast<std::streamsize>(length))) {
    return absl::DataLossError("the header cannot be read");
  }
  data_begin_ = kLengthBytes + length;
  BASIN_ASSIGN_OR_RETURN(
      entries_, internal::ParseSafetensorsHeader(json, rest - length, limits));
  return absl::OkStatus();
}

int64_t SafetensorsFile::element_count() const {
  int64_t count = 0;
  for (const auto& [name, entry] : entries_) {
    count += entry.shape.num_elements();
  }
  return count;
}

absl::StatusOr<Tensor> SafetensorsFile::Load(const std::string& tensor,
                                             DType dtype) {
  const auto found = entries_.find(tensor);
  if (found == entries_.end()) {
    const std::string names =
        absl::StrJoin(entries_, "', '", [](std::string* out, const auto& e) {
          if (out->size() < 1000)
            absl::StrAppend(out, absl::CHexEscape(e.first));
        });
    return absl::NotFoundError(absl::StrCat(
        name_, ": expected a tensor '", tensor, "', there are '", names, "'"));
  }
  const Entry& entry = found->second;
  Tensor result(dtype, entry.shape);
  stream_->clear();
  stream_->seekg(static_cast<std::streamoff>(data_begin_ + entry.begin));
  for (const Reader& reader : kReaders) {
    if (reader.dtype != entry.dtype) continue;
    if (reader.read(*stream_, result)) return result;
  }
  return absl::DataLossError(
      absl::StrCat(name_, ": tensor '", tensor, "' cannot be read"));
}

absl::StatusOr<Tensor> SafetensorsFile::Load(const std::string& tensor,
                                             const Shape& shape, DType dtype) {
  const auto found = entries_.find(tensor);
  if (found != entries_.end() && !(found->second.shape == shape)) {
    return absl::InvalidArgumentError(absl::StrCat(
        name_, ": tensor '", tensor, "': expected ", shape.ToString(), ", got ",
        found->second.shape.ToString()));
  }
  return Load(tensor, dtype);
}

}  // namespace basin
