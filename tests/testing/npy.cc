#include "tests/testing/npy.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <vector>

#include "core/base/check.h"

namespace basin::testing {
namespace {

DType ParseDType(const std::string& header) {
  static const auto* const types =
      new std::map<std::string, DType>{{"<f4", DType::kFloat32},
                                       {"<f8", DType::kFloat64},
                                       {"<i8", DType::kInt64},
                                       {"|u1", DType::kUint8}};
  const size_t at = header.find("'descr': '");
  BASIN_CHECK(at != std::string::npos);
  const auto it = types->find(header.substr(at + 10, 3));
  BASIN_CHECK(it != types->end());
  return it->second;
}

Shape ParseShape(const std::string& header) {
  const size_t open = header.find('(');
  const size_t close = header.find(')');
  BASIN_CHECK(open != std::string::npos && close != std::string::npos);
  std::stringstream list(header.substr(open + 1, close - open - 1));
  std::vector<int64_t> dims;
  for (std::string item; std::getline(list, item, ',');) {
    if (item.find_first_not_of(' ') != std::string::npos) {
      dims.push_back(std::stoll(item));
    }
  }
  auto shape = Shape::Create(dims);
  BASIN_CHECK(shape.ok());
  return *shape;
}

}  // namespace

Tensor ReadGoldenNpy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)),
                          std::istreambuf_iterator<char>());
  BASIN_CHECK(bytes.size() > 10 && bytes.compare(1, 5, "NUMPY") == 0);
  const size_t header_size = static_cast<unsigned char>(bytes[8]) +
                             256 * static_cast<unsigned char>(bytes[9]);
  const std::string header = bytes.substr(10, header_size);
  BASIN_CHECK(header.find("'fortran_order': False") != std::string::npos);
  Tensor tensor(ParseDType(header), ParseShape(header));
  BASIN_CHECK(bytes.size() == 10 + header_size + tensor.byte_size());
  std::memcpy(tensor.mutable_bytes(), bytes.data() + 10 + header_size,
              tensor.byte_size());
  return tensor;
}

std::string GoldenPath(const std::string& relative) {
  return std::string(BASIN_SOURCE_DIR) + "/tests/data/golden/" + relative;
}

}  // namespace basin::testing
