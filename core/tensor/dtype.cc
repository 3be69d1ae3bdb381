#include "core/tensor/dtype.h"

#include "core/base/check.h"

namespace basin {
namespace {

struct DTypeInfo {
  std::string_view name;
  size_t size;
};

constexpr DTypeInfo kInfo[] = {{"float32", 4}, {"float64", 8}, {"int32", 4},
                               {"int64", 8},   {"uint8", 1},   {"bool", 1}};

const DTypeInfo& Info(DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  BASIN_CHECK(index < sizeof(kInfo) / sizeof(kInfo[0]));
  return kInfo[index];
}

}  // namespace

size_t ByteSize(DType dtype) { return Info(dtype).size; }

std::string_view Name(DType dtype) { return Info(dtype).name; }

}  // namespace basin
