#include <cstdint>

#include <absl/strings/str_cat.h>

#include "core/graph/shape_rules.h"

namespace basin::internal {
namespace {

// Whole numbers up to here are exact in float32.
constexpr int64_t kMaxIndexed = int64_t{1} << 24;

absl::Status CheckIndexed(const NodeDraft& draft, int64_t size) {
  if (size >= 1 && size <= kMaxIndexed) return absl::OkStatus();
  return DraftError(
      draft, absl::StrCat("an axis of ", size, " elements, expected 1 to ",
                          kMaxIndexed));
}

}  // namespace

absl::StatusOr<Shape> TakeShape(const NodeDraft& draft) {
  const Shape& x = draft.input(0);
  const Shape& indices = draft.input(1);
  if (x.rank() != 3 || indices.rank() != 2 || x.dim(0) != indices.dim(0)) {
    return DraftError(draft, "expected shapes [B, V, D] and [B, K]");
  }
  const absl::Status checked = CheckIndexed(draft, x.dim(1));
  if (!checked.ok()) return checked;
  auto shape = Shape::Create({x.dim(0), indices.dim(1), x.dim(2)});
  if (shape.ok()) return shape;
  return DraftError(draft, shape.status().message());
}

absl::StatusOr<Shape> PutAddShape(const NodeDraft& draft) {
  const Shape& dy = draft.input(0);
  const Shape& indices = draft.input(1);
  const Shape& to = *draft.given;
  if (dy.rank() != 3 || indices.rank() != 2 || to.rank() != 3 ||
      dy.dim(0) != indices.dim(0) || dy.dim(1) != indices.dim(1) ||
      to.dim(0) != dy.dim(0) || to.dim(2) != dy.dim(2)) {
    return DraftError(draft,
                      absl::StrCat("expected shapes [B, K, D] and [B, K] for ",
                                   to.ToString()));
  }
  const absl::Status checked = CheckIndexed(draft, to.dim(1));
  if (!checked.ok()) return checked;
  return to;
}

absl::StatusOr<Shape> TopKShape(const NodeDraft& draft) {
  const Shape& x = draft.input(0);
  const int64_t k = draft.attrs<TopKAttrs>().k;
  if (x.rank() < 1) return DraftError(draft, "a scalar has no axis");
  const absl::Status checked = CheckIndexed(draft, x.dim(-1));
  if (!checked.ok()) return checked;
  if (k < 1 || k > x.dim(-1)) {
    return DraftError(draft,
                      absl::StrCat("k is ", k, ", expected 1 to ", x.dim(-1)));
  }
  Shape::Dims dims = x.dims();
  dims.back() = k;
  return Shape::Create(dims);
}

}  // namespace basin::internal
