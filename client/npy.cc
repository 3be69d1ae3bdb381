#include "client/npy.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>

namespace basin::client {
namespace {

constexpr absl::string_view kMagic = "\x93NUMPY";

absl::Status Bad(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": ", what,
      "; expected a .npy file of float32, float64, uint8, int32, int64 or bool "
      "in C order, as "
      "numpy.save(path, array.astype('float32')) writes"));
}

// The text of `key`'s value in the header's dictionary.
absl::StatusOr<absl::string_view> HeaderValue(const std::string& path,
                                              absl::string_view header,
                                              absl::string_view key) {
  const std::string quoted = absl::StrCat("'", key, "':");
  const size_t at = header.find(quoted);
  if (at == absl::string_view::npos) {
    return Bad(path, absl::StrCat("no ", key, " in its header"));
  }
  return absl::StripLeadingAsciiWhitespace(header.substr(at + quoted.size()));
}

absl::StatusOr<v1::DType> ParseDType(const std::string& path,
                                     absl::string_view text) {
  if (absl::StartsWith(text, "'<f4'")) return v1::FLOAT32;
  if (absl::StartsWith(text, "'<f8'")) return v1::FLOAT64;
  if (absl::StartsWith(text, "'|u1'")) return v1::UINT8;
  if (absl::StartsWith(text, "'<i4'")) return v1::INT32;
  if (absl::StartsWith(text, "'<i8'")) return v1::INT64;
  if (absl::StartsWith(text, "'|b1'")) return v1::BOOL;
  return Bad(path, absl::StrCat("its dtype is ",
                                text.substr(0, text.find('\'', 1)), "'"));
}

size_t ItemSize(v1::DType dtype) {
  switch (dtype) {
    case v1::FLOAT64:
    case v1::INT64:
      return 8;
    case v1::FLOAT32:
    case v1::INT32:
      return 4;
    default:
      return 1;
  }
}

// Reads "(3, 28, 28)" into `tensor`; the product is bounded by `max_elements`.
absl::Status ParseShape(const std::string& path, absl::string_view text,
                        uint64_t max_elements, v1::Tensor& tensor) {
  const size_t close = text.find(')');
  if (!absl::StartsWith(text, "(") || close == absl::string_view::npos) {
    return Bad(path, "its shape cannot be read");
  }
  uint64_t elements = 1;
  for (absl::string_view item :
       absl::StrSplit(text.substr(1, close - 1), ',', absl::SkipWhitespace())) {
    uint64_t dim = 0;
    if (!absl::SimpleAtoi(item, &dim) ||
        (dim != 0 && elements > max_elements / dim)) {
      return Bad(path, absl::StrCat("its shape says more than the file holds"));
    }
    elements *= dim;
    tensor.add_shape(static_cast<int64_t>(dim));
  }
  return absl::OkStatus();
}

// Where the header's text is in `bytes`.
absl::StatusOr<absl::string_view> FindHeader(const std::string& path,
                                             absl::string_view bytes) {
  if (bytes.size() < 12 || !absl::StartsWith(bytes, kMagic)) {
    return Bad(path, "this is no .npy file");
  }
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(bytes[i]));
  };
  const bool long_header = byte(6) >= 2;
  const size_t start = long_header ? 12 : 10;
  size_t size = byte(8) | byte(9) << 8;
  if (long_header) size |= byte(10) << 16 | byte(11) << 24;
  if (size > bytes.size() - start) return Bad(path, "it is cut short");
  return bytes.substr(start, size);
}

absl::StatusOr<v1::Tensor> Parse(const std::string& path,
                                 absl::string_view bytes) {
  const auto header = FindHeader(path, bytes);
  if (!header.ok()) return header.status();
  const auto order = HeaderValue(path, *header, "fortran_order");
  if (!order.ok()) return order.status();
  if (!absl::StartsWith(*order, "False")) return Bad(path, "Fortran order");
  const auto descr = HeaderValue(path, *header, "descr");
  if (!descr.ok()) return descr.status();
  const auto dtype = ParseDType(path, *descr);
  if (!dtype.ok()) return dtype.status();
  const auto shape = HeaderValue(path, *header, "shape");
  if (!shape.ok()) return shape.status();

  v1::Tensor tensor;
  tensor.set_dtype(*dtype);
  const absl::string_view data =
      bytes.substr(header->data() + header->size() - bytes.data());
  const size_t item = ItemSize(*dtype);
  const absl::Status status =
      ParseShape(path, *shape, data.size() / item, tensor);
  if (!status.ok()) return status;
  size_t expected = item;
  for (const int64_t dim : tensor.shape()) expected *= dim;
  if (data.size() != expected) {
    return Bad(path, absl::StrCat("its shape needs ", expected,
                                  " bytes of data, it has ", data.size()));
  }
  tensor.set_data(std::string(data));
  return tensor;
}

// `descr`: the element type, "<f4".
std::string Header(absl::string_view descr, const std::vector<int64_t>& dims) {
  std::string shape = absl::StrJoin(dims, ", ");
  if (dims.size() == 1) shape += ",";
  std::string text =
      absl::StrCat("{'descr': '", descr,
                   "', 'fortran_order': False, 'shape': (", shape, "), }");
  // Data starts at a multiple of 64 bytes.
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  const auto size = static_cast<uint16_t>(text.size());
  std::string header(kMagic);
  header +=
      {1, 0, static_cast<char>(size & 0xff), static_cast<char>(size >> 8)};
  return header + text;
}

template <typename T>
absl::Status Write(const std::string& path, absl::string_view descr,
                   const BasicArray<T>& array) {
  const std::string temporary = path + ".part";
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file << Header(descr, array.shape);
    file.write(reinterpret_cast<const char*>(array.values.data()),
               static_cast<std::streamsize>(array.values.size() * sizeof(T)));
    file.flush();
    if (!file) {
      std::remove(temporary.c_str());
      return absl::UnavailableError(
          absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::Tensor> ReadNpy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  }
  const std::string bytes((std::istreambuf_iterator<char>(file)),
                          std::istreambuf_iterator<char>());
  return Parse(path, bytes);
}

absl::Status WriteNpy(const std::string& path, const Array& array) {
  return Write(path, "<f4", array);
}

absl::Status WriteNpy(const std::string& path, const EnergyArray& array) {
  return Write(path, "<f8", array);
}

}  // namespace basin::client
