// Matrix products.

#include <algorithm>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/host_tensor.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

Value Scaled(NodeContext& n, const Value& x, float factor) {
  if (factor == 1.0f) return x;
  return n.Binary(ScalarOp::kMul, x, Number(factor));
}

// alpha A' B' + beta C
absl::StatusOr<Value> LowerGemm(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 3));
  BASIN_ASSIGN_OR_RETURN(const ValueId a, n.GraphInput(0));
  BASIN_ASSIGN_OR_RETURN(const ValueId b, n.GraphInput(1));
  const Shape& a_shape = n.builder().shape(a);
  const Shape& b_shape = n.builder().shape(b);
  if (a_shape.rank() != 2 || b_shape.rank() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("operands ", a_shape.ToString(), " and ",
                     b_shape.ToString(), " must be matrices"));
  }
  MatmulAttrs attributes;
  attributes.transpose_a = n.Int("transA", 0) != 0;
  attributes.transpose_b = n.Int("transB", 0) != 0;
  const Value product =
      Scaled(n, n.builder().Matmul(a, b, attributes), n.Float("alpha", 1));
  const float beta = n.Float("beta", 1);
  if (!n.HasInput(2) || beta == 0 || !product.exists()) return product;
  BASIN_ASSIGN_OR_RETURN(const Value c, n.Input(2));
  const Shape shape = n.ShapeOf(product);
  const auto sum_shape = BroadcastShapes(shape, n.ShapeOf(c));
  if (!sum_shape.ok() || !(*sum_shape == shape)) {
    return absl::InvalidArgumentError(
        absl::StrCat("C of shape ", n.ShapeOf(c).ToString(),
                     " cannot be broadcast to ", shape.ToString()));
  }
  return n.Binary(ScalarOp::kAdd, product, Scaled(n, c, beta));
}

// All axes but the last two.
Shape::Dims BatchDims(const Shape& shape) {
  return {shape.dims().begin(), shape.dims().end() - 2};
}

int64_t Product(const Shape::Dims& dims) {
  int64_t product = 1;
  for (const int64_t dim : dims) product *= dim;
  return product;
}

// `batch` followed by `rows` and `columns`.
absl::StatusOr<Shape> WithBatch(Shape::Dims batch, int64_t rows,
                                int64_t columns) {
  batch.push_back(rows);
  batch.push_back(columns);
  return Shape::Create(batch);
}

// [.., m, k] x [k, n]: one product of matrices, so that weights stay packed.
absl::StatusOr<ValueId> MatrixProduct(GraphBuilder& b, ValueId x, ValueId w,
                                      const Shape::Dims& batch) {
  const Shape from = b.shape(x);
  const Shape w_shape = b.shape(w);
  BASIN_ASSIGN_OR_RETURN(
      const Shape rows,
      Shape::Create({Product(BatchDims(from)) * from.dim(-2), from.dim(-1)}));
  BASIN_ASSIGN_OR_RETURN(const Shape matrix,
                         Shape::Create({w_shape.dim(-2), w_shape.dim(-1)}));
  BASIN_ASSIGN_OR_RETURN(const Shape to,
                         WithBatch(batch, from.dim(-2), w_shape.dim(-1)));
  const ValueId product =
      b.Matmul(from == rows ? x : b.Reshape(x, rows),
               w_shape == matrix ? w : b.Reshape(w, matrix));
  if (product == GraphBuilder::kNoValue || b.shape(product) == to) {
    return product;
  }
  return b.Reshape(product, to);
}

// [.., m, k] x [.., k, n], batch axes broadcast.
absl::StatusOr<ValueId> BatchedProduct(GraphBuilder& b, ValueId x, ValueId y) {
  const Shape x_shape = b.shape(x);
  const Shape y_shape = b.shape(y);
  BASIN_ASSIGN_OR_RETURN(const Shape x_batch,
                         Shape::Create(BatchDims(x_shape)));
  BASIN_ASSIGN_OR_RETURN(const Shape y_batch,
                         Shape::Create(BatchDims(y_shape)));
  BASIN_ASSIGN_OR_RETURN(const Shape batch, BroadcastShapes(x_batch, y_batch));
  if (y_batch.num_elements() == 1) {
    return MatrixProduct(b, x, y, batch.dims());
  }
  BASIN_ASSIGN_OR_RETURN(
      const Shape x_full,
      WithBatch(batch.dims(), x_shape.dim(-2), x_shape.dim(-1)));
  BASIN_ASSIGN_OR_RETURN(
      const Shape y_full,
      WithBatch(batch.dims(), y_shape.dim(-2), y_shape.dim(-1)));
  return b.Matmul(x_shape == x_full ? x : b.BroadcastTo(x, x_full),
                  y_shape == y_full ? y : b.BroadcastTo(y, y_full));
}

// As numpy.matmul: a vector is a row on the left and a column on the right.
absl::StatusOr<Value> LowerMatMul(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(Value a, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(Value b, n.Input(1));
  if (a.is_integer() || b.is_integer()) {
    return absl::InvalidArgumentError(
        "operands are of an integer type, expected floating-point");
  }
  const bool row = n.ShapeOf(a).rank() == 1;
  const bool column = n.ShapeOf(b).rank() == 1;
  if (row) a = n.Reshape(a, Shape({1, n.ShapeOf(a).dim(0)}));
  if (column) b = n.Reshape(b, Shape({n.ShapeOf(b).dim(0), 1}));
  const Shape a_shape = n.ShapeOf(a);
  const Shape b_shape = n.ShapeOf(b);
  if (a_shape.rank() < 2 || b_shape.rank() < 2 ||
      a_shape.dim(-1) != b_shape.dim(-2)) {
    return absl::InvalidArgumentError(
        absl::StrCat("shapes ", a_shape.ToString(), " and ", b_shape.ToString(),
                     " do not multiply"));
  }
  const ValueId x = n.InGraph(a);
  const ValueId y = n.InGraph(b);
  if (x == GraphBuilder::kNoValue || y == GraphBuilder::kNoValue) {
    return Value();
  }
  BASIN_ASSIGN_OR_RETURN(const Value product,
                         BatchedProduct(n.builder(), x, y));
  Shape::Dims dims = n.ShapeOf(product).dims();
  if (!product.exists()) return product;
  if (column) dims.pop_back();
  if (row) dims.erase(dims.end() - (column ? 1 : 2));
  return n.Reshape(product, dims);
}

constexpr Operator kOperators[] = {
    {"Gemm", 7, LowerGemm},
    {"MatMul", 1, LowerMatMul},
};

}  // namespace

absl::Span<const Operator> LinearOperators() { return kOperators; }

}  // namespace basin::internal
