#include "core/onnx/norms.h"

namespace basin::internal {

Value AbsolutePower(NodeContext& n, const Value& x, float p) {
  if (p == 2.0f) return n.Binary(ScalarOp::kMul, x, x);
  const Value size = n.Unary(ScalarOp::kAbs, x);
  return p == 1.0f ? size : n.Binary(ScalarOp::kPow, size, Number(p));
}

// The root of 1 in place of that of 0, whose derivative is infinite.
Value Root(NodeContext& n, const Value& x, float p) {
  if (p == 1.0f) return x;
  const Value is_zero = n.Binary(ScalarOp::kEqual, x, Number(0));
  const Value safe = n.Select(is_zero, Number(1), x);
  const Value root = p == 2.0f
                         ? n.Unary(ScalarOp::kSqrt, safe)
                         : n.Binary(ScalarOp::kPow, safe, Number(1.0 / p));
  return n.Select(is_zero, Number(0), root);
}

Value SumAlong(NodeContext& n, const Value& x, const IntList& axes) {
  return axes.empty() ? x : n.ReduceSum(x, axes);
}

Value MaxAlong(NodeContext& n, const Value& x, const IntList& axes) {
  return axes.empty() ? x : n.ReduceMax(x, axes);
}

int64_t CountAlong(NodeContext& n, const Value& x, const IntList& axes) {
  int64_t count = 1;
  for (const int64_t axis : axes) count *= n.ShapeOf(x).dims()[axis];
  return count;
}

Value MeanAlong(NodeContext& n, const Value& x, const IntList& axes) {
  const Value sum = SumAlong(n, x, axes);
  const int64_t count = CountAlong(n, x, axes);
  // Not times 1 / count, which would be rounded to float32 in double, too.
  return n.Binary(ScalarOp::kDiv, sum, n.NumberLike(x, count));
}

IntList AxesFrom(int first, int rank) {
  IntList axes;
  for (int axis = first; axis < rank; ++axis) axes.push_back(axis);
  return axes;
}

}  // namespace basin::internal
