// Operations that only move elements.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "core/backend/cpu/kernel.h"
#include "core/base/check.h"

namespace basin {
namespace {

using Strides = std::vector<int64_t>;  // elements, by axis

Strides DenseStrides(const Shape& shape) {
  Strides strides(static_cast<size_t>(shape.rank()));
  int64_t stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<size_t>(axis)] = stride;
    stride *= shape.dim(axis);
  }
  return strides;
}

// One loop of a copy.
struct Loop {
  int64_t count;
  int64_t from_stride;  // elements
  int64_t to_stride;    // elements
};

// Copies a box of elements from one strided layout to another.
struct BoxCopy {
  ValueId from;
  int64_t from_offset = 0;  // elements
  int64_t to_offset = 0;    // elements
  std::vector<Loop> loops;  // outermost first
};

// Adds a loop inside the others; joins it with the one around it where both
// layouts allow.
void AddLoop(BoxCopy& copy, const Loop& loop) {
  if (loop.count == 1) return;
  if (!copy.loops.empty()) {
    Loop& outer = copy.loops.back();
    if (outer.from_stride == loop.from_stride * loop.count &&
        outer.to_stride == loop.to_stride * loop.count) {
      outer = {outer.count * loop.count, loop.from_stride, loop.to_stride};
      return;
    }
  }
  copy.loops.push_back(loop);
}

template <typename T>
void CopyInner(const Loop& loop, const T* from, T* to) {
  if (loop.from_stride == 1 && loop.to_stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(loop.count) * sizeof(T));
  } else if (loop.to_stride == 1 && loop.from_stride == 0) {
    std::fill(to, to + loop.count, *from);
  } else {
    for (int64_t i = 0; i < loop.count; ++i) {
      to[i * loop.to_stride] = from[i * loop.from_stride];
    }
  }
}

template <typename T>
void RunCopy(const BoxCopy& copy, const T* from, T* to) {
  from += copy.from_offset;
  to += copy.to_offset;
  if (copy.loops.empty()) {
    *to = *from;
    return;
  }
  const int last = static_cast<int>(copy.loops.size()) - 1;
  int64_t index[Shape::kMaxRank] = {};
  while (true) {
    CopyInner(copy.loops[static_cast<size_t>(last)], from, to);
    int d = last - 1;
    for (; d >= 0; --d) {
      const Loop& loop = copy.loops[static_cast<size_t>(d)];
      from += loop.from_stride;
      to += loop.to_stride;
      if (++index[d] < loop.count) break;
      from -= loop.from_stride * loop.count;
      to -= loop.to_stride * loop.count;
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

// kZeros: elements that no copy writes become 0.
enum class Rest { kNone, kZeros };

template <typename T>
class CopyKernel : public Kernel {
 public:
  CopyKernel(const Graph& graph, ValueId to, std::vector<BoxCopy> copies,
             Rest rest)
      : to_(to),
        bytes_(static_cast<size_t>(graph.shape(to).num_elements()) * sizeof(T)),
        copies_(std::move(copies)),
        rest_(rest) {}

  absl::Status Run(const KernelContext& context) const override {
    T* to = context.As<T>(to_);
    if (rest_ == Rest::kZeros) std::memset(to, 0, bytes_);
    for (const BoxCopy& copy : copies_) {
      RunCopy<T>(copy, context.As<T>(copy.from), to);
    }
    return absl::OkStatus();
  }

 private:
  const ValueId to_;
  const size_t bytes_;
  const std::vector<BoxCopy> copies_;
  const Rest rest_;
};

BoxCopy WholeCopy(ValueId from, int64_t count) {
  BoxCopy copy = {from, 0, 0, {}};
  AddLoop(copy, {count, 1, 1});
  return copy;
}

BoxCopy BroadcastCopy(const KernelInput& input) {
  const Shape& from = input.input_shape(0);
  const Shape& to = input.node().shape;
  const Strides from_strides = DenseStrides(from);
  const Strides to_strides = DenseStrides(to);
  BoxCopy copy = {input.input(0), 0, 0, {}};
  for (int axis = 0; axis < to.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    const int64_t stride = from.dim(axis) == 1 ? 0 : from_strides[i];
    AddLoop(copy, {to.dim(axis), stride, to_strides[i]});
  }
  return copy;
}

BoxCopy TransposeCopy(const KernelInput& input) {
  const auto& attrs = std::get<TransposeAttrs>(input.node().attributes);
  const Shape& to = input.node().shape;
  const Strides from_strides = DenseStrides(input.input_shape(0));
  const Strides to_strides = DenseStrides(to);
  BoxCopy copy = {input.input(0), 0, 0, {}};
  for (size_t i = 0; i < to_strides.size(); ++i) {
    const auto axis = static_cast<size_t>(attrs.permutation[i]);
    AddLoop(copy, {to.dims()[i], from_strides[axis], to_strides[i]});
  }
  return copy;
}

BoxCopy SliceCopy(const KernelInput& input) {
  const auto& attrs = std::get<SliceAttrs>(input.node().attributes);
  const Shape& to = input.node().shape;
  const Strides from_strides = DenseStrides(input.input_shape(0));
  const Strides to_strides = DenseStrides(to);
  BoxCopy copy = {input.input(0), 0, 0, {}};
  for (size_t i = 0; i < to_strides.size(); ++i) {
    copy.from_offset += attrs.starts[i] * from_strides[i];
    AddLoop(copy,
            {to.dims()[i], from_strides[i] * attrs.strides[i], to_strides[i]});
  }
  return copy;
}

BoxCopy PadCopy(const KernelInput& input) {
  const auto& attrs = std::get<PadAttrs>(input.node().attributes);
  const Shape& from = input.input_shape(0);
  const Strides from_strides = DenseStrides(from);
  const Strides to_strides = DenseStrides(input.node().shape);
  BoxCopy copy = {input.input(0), 0, 0, {}};
  for (size_t i = 0; i < to_strides.size(); ++i) {
    copy.to_offset += attrs.before[i] * to_strides[i];
    AddLoop(copy, {from.dims()[i], from_strides[i],
                   to_strides[i] * (attrs.interior[i] + 1)});
  }
  return copy;
}

std::vector<BoxCopy> ConcatCopies(const KernelInput& input) {
  const int axis = std::get<AxisAttrs>(input.node().attributes).axis;
  const Strides to_strides = DenseStrides(input.node().shape);
  std::vector<BoxCopy> copies;
  int64_t offset = 0;
  for (size_t n = 0; n < input.node().inputs.size(); ++n) {
    const Shape& from = input.input_shape(static_cast<int>(n));
    const Strides from_strides = DenseStrides(from);
    BoxCopy copy = {input.input(static_cast<int>(n)), 0, offset, {}};
    for (size_t i = 0; i < to_strides.size(); ++i) {
      AddLoop(copy, {from.dims()[i], from_strides[i], to_strides[i]});
    }
    offset += from.dim(axis) * to_strides[static_cast<size_t>(axis)];
    if (from.num_elements() > 0) copies.push_back(std::move(copy));
  }
  return copies;
}

std::vector<BoxCopy> CopiesOf(const KernelInput& input) {
  switch (input.node().op) {
    case Op::kBroadcast:
      return {BroadcastCopy(input)};
    case Op::kTranspose:
      return {TransposeCopy(input)};
    case Op::kSlice:
      return {SliceCopy(input)};
    case Op::kPad:
      return {PadCopy(input)};
    case Op::kConcat:
      return ConcatCopies(input);
    default:  // kReshape, kStopGradient, kToFloat64 of doubles
      return {WholeCopy(input.input(0), input.node().shape.num_elements())};
  }
}

// kGather and kScatterAdd see their input as [outer, axis, inner].
template <typename T>
class IndexKernel : public Kernel {
 public:
  explicit IndexKernel(const KernelInput& input)
      : op_(input.node().op), x_(input.input(0)), out_(input.id) {
    const int axis = std::get<AxisAttrs>(input.node().attributes).axis;
    const Shape& x = input.input_shape(0);
    const Shape& out = input.node().shape;
    for (int i = 0; i < axis; ++i) outer_ *= x.dim(i);
    for (int i = axis + 1; i < x.rank(); ++i) inner_ *= x.dim(i);
    x_size_ = x.dim(axis);
    out_size_ = out.dim(axis);
    const auto& constant =
        input.graph.attributes<ConstantAttrs>(input.input(1));
    const auto indices = constant.value.data<int64_t>();
    indices_.assign(indices.begin(), indices.end());
  }

  absl::Status Run(const KernelContext& context) const override {
    const T* x = context.As<T>(x_);
    T* out = context.As<T>(out_);
    for (int64_t o = 0; o < outer_; ++o) {
      if (op_ == Op::kGather) {
        Gather(x, out);
      } else {
        ScatterAdd(x, out);
      }
      x += x_size_ * inner_;
      out += out_size_ * inner_;
    }
    return absl::OkStatus();
  }

 private:
  void Gather(const T* x, T* out) const {
    for (const int64_t index : indices_) {
      std::memcpy(out, x + index * inner_,
                  static_cast<size_t>(inner_) * sizeof(T));
      out += inner_;
    }
  }

  // In the indices' order, so that sums have one.
  void ScatterAdd(const T* dy, T* out) const {
    std::fill(out, out + out_size_ * inner_, T{0});
    for (const int64_t index : indices_) {
      T* to = out + index * inner_;
      for (int64_t i = 0; i < inner_; ++i) to[i] += dy[i];
      dy += inner_;
    }
  }

  const Op op_;
  const ValueId x_;
  const ValueId out_;
  int64_t outer_ = 1;
  int64_t inner_ = 1;
  int64_t x_size_ = 0;
  int64_t out_size_ = 0;
  std::vector<int64_t> indices_;
};

class WidenKernel : public Kernel {
 public:
  explicit WidenKernel(const KernelInput& input)
      : x_(input.input(0)),
        out_(input.id),
        elements_(input.node().shape.num_elements()) {}

  absl::Status Run(const KernelContext& context) const override {
    const float* x = context.values[x_];
    std::copy_n(x, elements_, reinterpret_cast<double*>(context.values[out_]));
    return absl::OkStatus();
  }

 private:
  const ValueId x_;
  const ValueId out_;
  const int64_t elements_;
};

template <template <typename> class SomeKernel, typename... Arguments>
std::unique_ptr<Kernel> OfElement(const KernelInput& input,
                                  Arguments&&... arguments) {
  if (input.precision == Precision::kFloat64) {
    return std::make_unique<SomeKernel<double>>(
        std::forward<Arguments>(arguments)...);
  }
  return std::make_unique<SomeKernel<float>>(
      std::forward<Arguments>(arguments)...);
}

}  // namespace

KernelOr CreateCopyKernel(const KernelInput& input) {
  const Rest rest = input.node().op == Op::kPad ? Rest::kZeros : Rest::kNone;
  return OfElement<CopyKernel>(input, input.graph, input.id, CopiesOf(input),
                               rest);
}

KernelOr CreateIndexKernel(const KernelInput& input) {
  return OfElement<IndexKernel>(input, input);
}

KernelOr CreateWidenKernel(const KernelInput& input) {
  return std::make_unique<WidenKernel>(input);
}

std::unique_ptr<Kernel> CreateZeroKernel(const KernelInput& input) {
  return OfElement<CopyKernel>(input, input.graph, input.id,
                               std::vector<BoxCopy>(), Rest::kZeros);
}

}  // namespace basin
