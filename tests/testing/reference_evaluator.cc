#include "tests/testing/reference_evaluator.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "tests/testing/reference_index.h"
#include "tests/testing/reference_scalar.h"

namespace basin::testing {
namespace {

using Coordinates = Shape::Dims;

struct Value {
  Shape shape;
  std::vector<double> data;
  std::vector<int64_t> indices;  // instead of data, for int64 constants
};

Value Zeros(const Shape& shape) {
  return {shape, std::vector<double>(shape.num_elements(), 0.0), {}};
}

Coordinates Unravel(int64_t index, const Shape& shape) {
  Coordinates at(shape.rank(), 0);
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    at[axis] = index % shape.dim(axis);
    index /= shape.dim(axis);
  }
  return at;
}

int64_t Ravel(const Coordinates& at, const Shape& shape) {
  int64_t index = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    BASIN_CHECK(at[axis] >= 0 && at[axis] < shape.dim(axis));
    index = index * shape.dim(axis) + at[axis];
  }
  return index;
}

// What a convolution's or pool's window looks like along the spatial axes.
struct Window {
  IntList kernel;
  IntList strides;
  IntList dilations;
  IntList pads_before;
};

// The place in x's spatial axes that tap `tap` of window `at` covers, or an
// empty list where that is padding. `at` has the two leading axes as well.
Coordinates Covered(const Window& window, const Coordinates& at,
                    const Coordinates& tap, const Shape& x) {
  Coordinates place;
  for (size_t i = 0; i < tap.size(); ++i) {
    const int64_t p = at[i + 2] * window.strides[i] +
                      tap[i] * window.dilations[i] - window.pads_before[i];
    if (p < 0 || p >= x.dim(static_cast<int>(i) + 2)) return {};
    place.push_back(p);
  }
  return place;
}

Coordinates Join(int64_t first, int64_t second, const Coordinates& rest) {
  Coordinates all = {first, second};
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

// Calls term(i, j, k) for each product x[i] * w[j] that belongs to y[k].
template <typename Term>
void ForEachConvTerm(const ConvAttrs& attrs, const Shape& x, const Shape& w,
                     const Shape& y, Term term) {
  const Coordinates taps(w.dims().begin() + 2, w.dims().end());
  const Window window = {taps, attrs.strides, attrs.dilations,
                         attrs.pads_before};
  const Shape tap_shape = *Shape::Create(taps);
  const int64_t outputs_per_group = w.dim(0) / attrs.groups;
  for (int64_t k = 0; k < y.num_elements(); ++k) {
    const Coordinates at = Unravel(k, y);
    const int64_t group = at[1] / outputs_per_group;
    for (int64_t t = 0; t < tap_shape.num_elements(); ++t) {
      const Coordinates tap = Unravel(t, tap_shape);
      const Coordinates place = Covered(window, at, tap, x);
      if (place.empty()) continue;
      for (int64_t c = 0; c < w.dim(1); ++c) {
        term(Ravel(Join(at[0], group * w.dim(1) + c, place), x),
             Ravel(Join(at[1], c, tap), w), k);
      }
    }
  }
}

// Calls visit(k, covered) for each window k, with the elements of x in it.
template <typename Visit>
void ForEachPoolWindow(const PoolAttrs& attrs, const Shape& x, const Shape& y,
                       Visit visit) {
  const Shape taps = *Shape::Create(attrs.kernel);
  const Window window = {attrs.kernel, attrs.strides,
                         IntList(attrs.kernel.size(), 1), attrs.pads_before};
  for (int64_t k = 0; k < y.num_elements(); ++k) {
    const Coordinates at = Unravel(k, y);
    std::vector<int64_t> covered;
    for (int64_t t = 0; t < taps.num_elements(); ++t) {
      const Coordinates place = Covered(window, at, Unravel(t, taps), x);
      if (!place.empty())
        covered.push_back(Ravel(Join(at[0], at[1], place), x));
    }
    visit(k, covered);
  }
}

class Evaluator {
 public:
  Evaluator(const Graph& graph, absl::Span<const Tensor> inputs)
      : graph_(graph), inputs_(inputs) {}

  std::vector<Tensor> Run() {
    for (ValueId id = 0; id < graph_.size(); ++id) {
      values_.push_back(Compute(id));
      BASIN_CHECK(values_.back().shape == graph_.shape(id));
    }
    std::vector<Tensor> results;
    for (const ValueId id : graph_.outputs()) {
      const Value& value = values_[id];
      results.push_back(Tensor::Of<double>(value.shape, value.data));
    }
    return results;
  }

 private:
  const Value& in(const Node& node, int i) const {
    return values_[node.inputs[i]];
  }

  static Value Of(const Node& node, std::vector<double> data) {
    return {node.shape, std::move(data), {}};
  }

  std::vector<std::vector<double>> DataOf(const Node& node) const {
    std::vector<std::vector<double>> data;
    for (const ValueId id : node.inputs) data.push_back(values_[id].data);
    return data;
  }

  Value Compute(ValueId id) {
    const Node& node = graph_.node(id);
    switch (node.op) {
      case Op::kInput:
        return Input(node);
      case Op::kConstant:
        return FromTensor(std::get<ConstantAttrs>(node.attributes).value);
      case Op::kElementwise:
        return Elementwise(node);
      case Op::kFused:
        return Fused(node);
      case Op::kStopGradient:
      case Op::kToFloat64:
        return in(node, 0);
      case Op::kCombineEnergies:
      case Op::kMixtureShare:
        return Of(node, ReferenceCombine(node, DataOf(node)));
      case Op::kReshape:
        return {node.shape, in(node, 0).data, {}};
      case Op::kBroadcast:
        return Broadcast(in(node, 0), node.shape);
      case Op::kTranspose:
        return Transpose(node);
      case Op::kSlice:
        return Slice(node);
      case Op::kPad:
        return Pad(node);
      case Op::kConcat:
        return Concat(node);
      case Op::kGather:
        return Gather(node);
      case Op::kScatterAdd:
        return ScatterAdd(node);
      case Op::kTake:
      case Op::kPutAdd:
        return Of(node, ReferenceTake(node, in(node, 0).data, in(node, 1).data,
                                      in(node, 0).shape));
      case Op::kTopK:
        return Of(node,
                  ReferenceTopK(node, in(node, 0).data, in(node, 0).shape));
      case Op::kReduceSum:
      case Op::kReduceMax:
        return Reduce(node);
      case Op::kMatmul:
        return Matmul(node);
      case Op::kConv:
      case Op::kConvBackwardData:
      case Op::kConvBackwardWeights:
        return Conv(node);
      case Op::kMaxPool:
      case Op::kMaxPoolGrad:
        return MaxPool(node);
      case Op::kAvgPool:
      case Op::kAvgPoolGrad:
        return AvgPool(node);
    }
    BASIN_CHECK(false);
    return {};
  }

  static Value FromTensor(const Tensor& tensor) {
    Value value = {tensor.shape(), {}, {}};
    if (tensor.dtype() == DType::kInt64) {
      const auto data = tensor.data<int64_t>();
      value.indices.assign(data.begin(), data.end());
    } else {
      for (int64_t i = 0; i < tensor.num_elements(); ++i)
        value.data.push_back(RealAt(tensor, static_cast<size_t>(i)));
    }
    return value;
  }

  Value Input(const Node& node) {
    const auto& ids = graph_.inputs();
    for (size_t i = 0; i < ids.size(); ++i) {
      if (&graph_.node(ids[i]) == &node) return FromTensor(inputs_[i]);
    }
    BASIN_CHECK(false);
    return {};
  }

  static Value Broadcast(const Value& x, const Shape& shape) {
    Value y = Zeros(shape);
    for (int64_t i = 0; i < shape.num_elements(); ++i) {
      Coordinates at = Unravel(i, shape);
      for (int axis = 0; axis < shape.rank(); ++axis) {
        if (x.shape.dim(axis) == 1) at[axis] = 0;
      }
      y.data[i] = x.data[Ravel(at, x.shape)];
    }
    return y;
  }

  Value Elementwise(const Node& node) {
    const ScalarOp op = std::get<ElementwiseAttrs>(node.attributes).op;
    Value y = Zeros(node.shape);
    for (size_t i = 0; i < y.data.size(); ++i) {
      double args[3] = {0, 0, 0};
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        args[k] = in(node, k).data[i];
      }
      y.data[i] = ReferenceScalar(op, args[0], args[1], args[2]);
    }
    return y;
  }

  Value Fused(const Node& node) {
    const auto& program = std::get<FusedAttrs>(node.attributes).program;
    std::vector<Value> operands;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      operands.push_back(Broadcast(in(node, k), node.shape));
    }
    Value y = Zeros(node.shape);
    for (size_t i = 0; i < y.data.size(); ++i) {
      std::vector<double> known;
      for (const Value& operand : operands) known.push_back(operand.data[i]);
      for (const float constant : program.constants) known.push_back(constant);
      for (const ScalarInstruction& step : program.instructions) {
        const auto arg = [&](int k) {
          return step.args[k] < 0 ? 0.0 : known.at(step.args[k]);
        };
        known.push_back(ReferenceScalar(step.op, arg(0), arg(1), arg(2)));
      }
      y.data[i] = known.back();
    }
    return y;
  }

  Value Transpose(const Node& node) {
    const auto& attrs = std::get<TransposeAttrs>(node.attributes);
    const Value& x = in(node, 0);
    Value y = Zeros(node.shape);
    for (int64_t i = 0; i < node.shape.num_elements(); ++i) {
      const Coordinates at = Unravel(i, node.shape);
      Coordinates from(at.size(), 0);
      for (size_t k = 0; k < at.size(); ++k) from[attrs.permutation[k]] = at[k];
      y.data[i] = x.data[Ravel(from, x.shape)];
    }
    return y;
  }

  Value Slice(const Node& node) {
    const auto& attrs = std::get<SliceAttrs>(node.attributes);
    const Value& x = in(node, 0);
    Value y = Zeros(node.shape);
    for (int64_t i = 0; i < node.shape.num_elements(); ++i) {
      Coordinates at = Unravel(i, node.shape);
      for (size_t k = 0; k < at.size(); ++k) {
        at[k] = attrs.starts[k] + at[k] * attrs.strides[k];
        BASIN_CHECK(at[k] < attrs.limits[k]);
      }
      y.data[i] = x.data[Ravel(at, x.shape)];
    }
    return y;
  }

  Value Pad(const Node& node) {
    const auto& attrs = std::get<PadAttrs>(node.attributes);
    const Value& x = in(node, 0);
    Value y = Zeros(node.shape);
    for (int64_t i = 0; i < x.shape.num_elements(); ++i) {
      Coordinates at = Unravel(i, x.shape);
      for (size_t k = 0; k < at.size(); ++k) {
        at[k] = attrs.before[k] + at[k] * (attrs.interior[k] + 1);
      }
      y.data[Ravel(at, node.shape)] = x.data[i];
    }
    return y;
  }

  Value Concat(const Node& node) {
    const int axis = std::get<AxisAttrs>(node.attributes).axis;
    Value y = Zeros(node.shape);
    int64_t offset = 0;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const Value& x = in(node, k);
      for (int64_t i = 0; i < x.shape.num_elements(); ++i) {
        Coordinates at = Unravel(i, x.shape);
        at[axis] += offset;
        y.data[Ravel(at, node.shape)] = x.data[i];
      }
      offset += x.shape.dim(axis);
    }
    return y;
  }

  Value Gather(const Node& node) {
    const int axis = std::get<AxisAttrs>(node.attributes).axis;
    const Value& x = in(node, 0);
    Value y = Zeros(node.shape);
    for (int64_t i = 0; i < node.shape.num_elements(); ++i) {
      Coordinates at = Unravel(i, node.shape);
      at[axis] = in(node, 1).indices[at[axis]];
      y.data[i] = x.data[Ravel(at, x.shape)];
    }
    return y;
  }

  Value ScatterAdd(const Node& node) {
    const int axis = std::get<AxisAttrs>(node.attributes).axis;
    const Value& dy = in(node, 0);
    Value y = Zeros(node.shape);
    for (int64_t i = 0; i < dy.shape.num_elements(); ++i) {
      Coordinates at = Unravel(i, dy.shape);
      at[axis] = in(node, 1).indices[at[axis]];
      y.data[Ravel(at, node.shape)] += dy.data[i];
    }
    return y;
  }

  Value Reduce(const Node& node) {
    const auto& axes = std::get<ReduceAttrs>(node.attributes).axes;
    const bool is_sum = node.op == Op::kReduceSum;
    const Value& x = in(node, 0);
    Value y = Zeros(node.shape);
    if (!is_sum) {
      std::fill(y.data.begin(), y.data.end(),
                -std::numeric_limits<double>::infinity());
    }
    for (int64_t i = 0; i < x.shape.num_elements(); ++i) {
      const Coordinates at = Unravel(i, x.shape);
      Coordinates to;
      for (int axis = 0; axis < x.shape.rank(); ++axis) {
        const bool gone =
            std::find(axes.begin(), axes.end(), axis) != axes.end();
        if (!gone) to.push_back(at[axis]);
      }
      double& sum = y.data[Ravel(to, node.shape)];
      sum = is_sum ? sum + x.data[i] : std::max(sum, x.data[i]);
    }
    return y;
  }

  Value Matmul(const Node& node) {
    const auto& attrs = std::get<MatmulAttrs>(node.attributes);
    const Value& a = in(node, 0);
    const Value& b = in(node, 1);
    const int last = node.shape.rank() - 1;
    const int64_t inner = a.shape.dim(attrs.transpose_a ? -2 : -1);
    Value y = Zeros(node.shape);
    for (int64_t i = 0; i < node.shape.num_elements(); ++i) {
      const Coordinates at = Unravel(i, node.shape);
      for (int64_t k = 0; k < inner; ++k) {
        Coordinates left = at;
        Coordinates right = at;
        left[last] = k;
        right[last - 1] = k;
        if (attrs.transpose_a) std::swap(left[last], left[last - 1]);
        if (attrs.transpose_b) std::swap(right[last], right[last - 1]);
        y.data[i] +=
            a.data[Ravel(left, a.shape)] * b.data[Ravel(right, b.shape)];
      }
    }
    return y;
  }

  Value Conv(const Node& node) {
    const auto& attrs = std::get<ConvAttrs>(node.attributes);
    const Value& a = in(node, 0);
    const Value& b = in(node, 1);
    Value result = Zeros(node.shape);
    if (node.op == Op::kConv) {
      ForEachConvTerm(attrs, a.shape, b.shape, node.shape,
                      [&](int64_t i, int64_t j, int64_t k) {
                        result.data[k] += a.data[i] * b.data[j];
                      });
    } else if (node.op == Op::kConvBackwardData) {
      ForEachConvTerm(attrs, node.shape, b.shape, a.shape,
                      [&](int64_t i, int64_t j, int64_t k) {
                        result.data[i] += a.data[k] * b.data[j];
                      });
    } else {
      ForEachConvTerm(attrs, a.shape, node.shape, b.shape,
                      [&](int64_t i, int64_t j, int64_t k) {
                        result.data[j] += a.data[i] * b.data[k];
                      });
    }
    return result;
  }

  Value MaxPool(const Node& node) {
    const auto& attrs = std::get<PoolAttrs>(node.attributes);
    const bool is_forward = node.op == Op::kMaxPool;
    const Value& x = in(node, 0);
    const Shape& windows = is_forward ? node.shape : in(node, 1).shape;
    Value result = Zeros(node.shape);
    ForEachPoolWindow(attrs, x.shape, windows,
                      [&](int64_t k, const std::vector<int64_t>& covered) {
                        int64_t best = covered.at(0);
                        for (const int64_t i : covered) {
                          if (x.data[i] > x.data[best]) best = i;
                        }
                        if (is_forward) {
                          result.data[k] = x.data[best];
                        } else {
                          result.data[best] += in(node, 1).data[k];
                        }
                      });
    return result;
  }

  Value AvgPool(const Node& node) {
    const auto& attrs = std::get<PoolAttrs>(node.attributes);
    const bool is_forward = node.op == Op::kAvgPool;
    const Value& x = in(node, 0);  // dy, for the gradient
    double volume = 1;
    for (const int64_t size : attrs.kernel) volume *= static_cast<double>(size);
    Value result = Zeros(node.shape);
    ForEachPoolWindow(attrs, is_forward ? x.shape : node.shape,
                      is_forward ? node.shape : x.shape,
                      [&](int64_t k, const std::vector<int64_t>& covered) {
                        const double count =
                            attrs.count_include_pad
                                ? volume
                                : static_cast<double>(covered.size());
                        for (const int64_t i : covered) {
                          result.data[is_forward ? k : i] +=
                              x.data[is_forward ? i : k] / count;
                        }
                      });
    return result;
  }

  const Graph& graph_;
  absl::Span<const Tensor> inputs_;
  std::vector<Value> values_;
};

}  // namespace

absl::StatusOr<std::vector<Tensor>> EvaluateReference(
    const Graph& graph, absl::Span<const Tensor> inputs) {
  const auto& ids = graph.inputs();
  if (inputs.size() != ids.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", ids.size(), " inputs, got ", inputs.size()));
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    const DType dtype = inputs[i].dtype();
    if (!(inputs[i].shape() == graph.shape(ids[i])) ||
        (dtype != DType::kFloat32 && dtype != DType::kFloat64)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input ", i, ": expected float32 or float64 ",
          graph.shape(ids[i]).ToString(), ", got ", std::string(Name(dtype)),
          " ", inputs[i].shape().ToString()));
    }
  }
  return Evaluator(graph, inputs).Run();
}

}  // namespace basin::testing
