#include "core/tensor/shape.h"

#include <algorithm>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/check.h"

namespace basin {

Shape::Shape(std::initializer_list<int64_t> dims) {
  auto shape = Create(absl::MakeConstSpan(dims.begin(), dims.size()));
  BASIN_CHECK(shape.ok());
  *this = *std::move(shape);
}

absl::StatusOr<Shape> Shape::Create(absl::Span<const int64_t> dims) {
  if (dims.size() > kMaxRank) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rank ", dims.size(), " is above the limit of ", kMaxRank));
  }
  Shape shape;
  shape.dims_.assign(dims.begin(), dims.end());
  // Bounds the product even when one factor is 0: [2^40, 2^40, 0] is refused.
  int64_t bound = 1;
  for (const int64_t dim : dims) {
    const int64_t factor = std::max<int64_t>(dim, 1);
    if (dim < 0 || bound > kMaxElements / factor) {
      return absl::InvalidArgumentError(
          absl::StrCat("impossible shape ", shape.ToString(),
                       ": a negative dimension, or more than 2^48 elements"));
    }
    bound *= factor;
    shape.num_elements_ *= dim;
  }
  return shape;
}

int64_t Shape::dim(int axis) const {
  const int index = axis < 0 ? axis + rank() : axis;
  BASIN_CHECK(index >= 0 && index < rank());
  return dims_[index];
}

std::string Shape::ToString() const {
  return absl::StrCat("[", absl::StrJoin(dims_, ", "), "]");
}

}  // namespace basin
