// Operators that rearrange a value without picking elements.

#include <algorithm>
#include <string>

#include <absl/status/status.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

// From the input of opset 13 or the attribute before it; nothing if neither
// is given.
absl::StatusOr<absl::optional<IntList>> Axes(NodeContext& n) {
  if (n.opset() < 13) return n.Ints("axes");
  if (!n.HasInput(1)) return absl::optional<IntList>();
  BASIN_ASSIGN_OR_RETURN(IntList axes, n.IntsInput(1));
  return absl::optional<IntList>(std::move(axes));
}

absl::StatusOr<Value> LowerFlatten(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape& shape = n.ShapeOf(x);
  const int64_t axis = n.Int("axis", 1);
  if (axis < -shape.rank() || axis > shape.rank()) {
    return absl::InvalidArgumentError(
        absl::StrCat("axis ", axis, " is outside of rank ", shape.rank()));
  }
  const int64_t split = axis < 0 ? axis + shape.rank() : axis;
  int64_t dims[2] = {1, 1};
  for (int i = 0; i < shape.rank(); ++i)
    dims[i < split ? 0 : 1] *= shape.dim(i);
  return n.Reshape(x, dims);
}

// Fills in the dimension that is -1, from the number of elements.
absl::Status InferDimension(int64_t elements, IntList& dims) {
  const auto open = std::find(dims.begin(), dims.end(), -1);
  if (open == dims.end()) return absl::OkStatus();
  *open = 1;
  BASIN_ASSIGN_OR_RETURN(const Shape known, Shape::Create(dims));
  if (known.num_elements() == 0 || elements % known.num_elements() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("no dimension for -1 makes ", elements, " elements: [",
                     absl::StrJoin(dims, ", "), "] with 1 in its place"));
  }
  *open = elements / known.num_elements();
  return absl::OkStatus();
}

absl::StatusOr<Value> LowerReshape(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(IntList dims, n.IntsInput(1));
  const Shape& shape = n.ShapeOf(x);
  const bool zero_copies = n.opset() < 14 || n.Int("allowzero", 0) == 0;
  for (size_t i = 0; zero_copies && i < dims.size(); ++i) {
    if (dims[i] != 0) continue;
    if (static_cast<int>(i) >= shape.rank()) {
      return absl::InvalidArgumentError(
          absl::StrCat("dimension ", i,
                       " is 0, to be copied from an input of "
                       "rank ",
                       shape.rank()));
    }
    dims[i] = shape.dims()[i];
  }
  BASIN_RETURN_IF_ERROR(InferDimension(shape.num_elements(), dims));
  return n.Reshape(x, dims);
}

absl::StatusOr<Value> LowerTranspose(NodeContext& n) {
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const int rank = n.ShapeOf(x).rank();
  IntList permutation;
  for (int i = rank - 1; i >= 0; --i) permutation.push_back(i);
  if (const auto given = n.Ints("perm")) {
    // onnx.checker accepts no negative axes here.
    if (!std::is_permutation(given->begin(), given->end(), permutation.begin(),
                             permutation.end())) {
      return absl::InvalidArgumentError(
          absl::StrCat("perm [", absl::StrJoin(*given, ", "),
                       "] does not permute the axes of rank ", rank));
    }
    permutation = *given;
  }
  return n.Transpose(x, permutation);
}

// Without axes, all axes of size 1 go, but for the rows: that there happens to
// be one must not change what the rest of the model sees.
absl::StatusOr<Value> LowerSqueeze(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, n.opset() < 13 ? 1 : 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape& shape = n.ShapeOf(x);
  BASIN_ASSIGN_OR_RETURN(const auto given, Axes(n));
  IntList axes;
  if (given.has_value()) {
    BASIN_ASSIGN_OR_RETURN(axes, NormalizedAxes(*given, shape.rank()));
  } else {
    const bool has_rows = !x.is_constant() && n.rows() == 1;
    for (int i = has_rows ? 1 : 0; i < shape.rank(); ++i) {
      if (shape.dim(i) == 1) axes.push_back(i);
    }
  }
  Shape::Dims dims;
  for (int i = 0; i < shape.rank(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) {
      dims.push_back(shape.dim(i));
    } else if (shape.dim(i) != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "axis ", i, " of ", shape.ToString(), " is not of size 1"));
    }
  }
  return n.Reshape(x, dims);
}

absl::StatusOr<Value> LowerUnsqueeze(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, n.opset() < 13 ? 1 : 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape& shape = n.ShapeOf(x);
  BASIN_ASSIGN_OR_RETURN(const auto given, Axes(n));
  if (!given.has_value()) {
    return absl::InvalidArgumentError("axes are missing");
  }
  if (given->size() > Shape::kMaxRank) {
    return absl::InvalidArgumentError(
        absl::StrCat(given->size(), " axes, at most ", Shape::kMaxRank));
  }
  const int rank = shape.rank() + static_cast<int>(given->size());
  BASIN_ASSIGN_OR_RETURN(const IntList axes, NormalizedAxes(*given, rank));
  Shape::Dims dims = shape.dims();
  for (const int64_t axis : axes) dims.insert(dims.begin() + axis, 1);
  return n.Reshape(x, dims);
}

// The size of the blocks of [N, C, H, W] images.
absl::StatusOr<int64_t> BlockSize(NodeContext& n, const Shape& shape) {
  const int64_t block = n.Int("blocksize", 0);
  constexpr int64_t kMaxBlock = 1 << 12;
  if (shape.rank() == 4 && block >= 1 && block <= kMaxBlock) return block;
  return absl::InvalidArgumentError(absl::StrCat(
      "blocksize ", block, " and input of shape ", shape.ToString(),
      ", expected 1 to ", kMaxBlock, " and four axes"));
}

// Blocks of channels become blocks of pixels. DCR: the block's axes are the
// outer ones of the channels; CRD: the inner ones.
absl::StatusOr<Value> LowerDepthToSpace(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape shape = n.ShapeOf(x);
  BASIN_ASSIGN_OR_RETURN(const int64_t b, BlockSize(n, shape));
  const std::string mode = n.String("mode", "DCR");
  const int64_t c = shape.dim(1) / b / b;
  if ((mode != "DCR" && mode != "CRD") || c * b * b != shape.dim(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("mode ", Quoted(mode), ", blocksize ", b, " and input ",
                     shape.ToString(), ", expected DCR or CRD, and channels ",
                     "that are a multiple of the blocksize squared"));
  }
  const int64_t rows = shape.dim(0);
  const int64_t h = shape.dim(2);
  const int64_t w = shape.dim(3);
  const Value blocks = mode == "DCR" ? n.Reshape(x, {rows, b, b, c, h, w})
                                     : n.Reshape(x, {rows, c, b, b, h, w});
  const IntList order =
      mode == "DCR" ? IntList{0, 3, 4, 1, 5, 2} : IntList{0, 1, 4, 2, 5, 3};
  return n.Reshape(n.Transpose(blocks, order), {rows, c, h * b, w * b});
}

// The inverse of DepthToSpace with mode DCR.
absl::StatusOr<Value> LowerSpaceToDepth(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  const Shape shape = n.ShapeOf(x);
  BASIN_ASSIGN_OR_RETURN(const int64_t b, BlockSize(n, shape));
  if (shape.dim(2) % b != 0 || shape.dim(3) % b != 0 || b > shape.dim(2)) {
    return absl::InvalidArgumentError(
        absl::StrCat("blocksize ", b, " and input ", shape.ToString(),
                     ", expected rows and columns that are multiples of it"));
  }
  const int64_t rows = shape.dim(0);
  const int64_t c = shape.dim(1);
  const int64_t h = shape.dim(2) / b;
  const int64_t w = shape.dim(3) / b;
  const Value blocks = n.Reshape(x, {rows, c, h, b, w, b});
  return n.Reshape(n.Transpose(blocks, {0, 3, 5, 1, 2, 4}),
                   {rows, c * b * b, h, w});
}

constexpr Operator kOperators[] = {
    {"DepthToSpace", 1, LowerDepthToSpace},
    {"Flatten", 1, LowerFlatten},
    {"Reshape", 5, LowerReshape},
    {"SpaceToDepth", 1, LowerSpaceToDepth},
    {"Squeeze", 1, LowerSqueeze},
    {"Transpose", 1, LowerTranspose},
    {"Unsqueeze", 1, LowerUnsqueeze},
};

}  // namespace

absl::Span<const Operator> ShapeOperators() { return kOperators; }

}  // namespace basin::internal
