#ifndef BASIN_CORE_ONNX_NORMS_H_
#define BASIN_CORE_ONNX_NORMS_H_

// Pieces of norms, whose gradient is finite everywhere: that of a norm at 0 is
// 0, as in PyTorch.

#include "core/onnx/node_context.h"

namespace basin::internal {

// |x|^p. REQUIRES: p >= 1.
Value AbsolutePower(NodeContext& n, const Value& x, float p);

// x^(1/p) of x >= 0, with a gradient of 0 at 0. REQUIRES: p >= 1.
Value Root(NodeContext& n, const Value& x, float p);

// The sum or maximum along `axes`, which stay, of size 1: x itself for none.
Value SumAlong(NodeContext& n, const Value& x, const IntList& axes);
Value MaxAlong(NodeContext& n, const Value& x, const IntList& axes);

// How many elements of x are summed along `axes`.
int64_t CountAlong(NodeContext& n, const Value& x, const IntList& axes);

// The mean along `axes`, which stay, of size 1.
Value MeanAlong(NodeContext& n, const Value& x, const IntList& axes);

// The axes from `first` to the last.
IntList AxesFrom(int first, int rank);

}  // namespace basin::internal

#endif  // BASIN_CORE_ONNX_NORMS_H_
