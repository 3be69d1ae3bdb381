#include "core/backend/cpu/float64_kernels.h"

#include <cstdint>
#include <memory>

#include "core/backend/cpu/float64_loops.h"
#include "core/base/cpu_isa.h"

namespace basin {
namespace {

class ElementwiseKernel : public Kernel {
 public:
  explicit ElementwiseKernel(const KernelInput& input)
      : op_(std::get<ElementwiseAttrs>(input.node().attributes).op),
        out_(input.id),
        elements_(input.node().shape.num_elements()) {
    const auto& inputs = input.node().inputs;
    for (size_t i = 0; i < 3; ++i) {
      inputs_[i] = inputs[i < inputs.size() ? i : 0];
    }
  }

  absl::Status Run(const KernelContext& context) const override {
    const auto* a = context.As<const double>(inputs_[0]);
    const auto* b = context.As<const double>(inputs_[1]);
    const auto* c = context.As<const double>(inputs_[2]);
    auto* out = context.As<double>(out_);
    switch (op_) {
      case ScalarOp::kAdd:
        for (int64_t i = 0; i < elements_; ++i) out[i] = a[i] + b[i];
        break;
      case ScalarOp::kSub:
        for (int64_t i = 0; i < elements_; ++i) out[i] = a[i] - b[i];
        break;
      case ScalarOp::kMul:
        for (int64_t i = 0; i < elements_; ++i) out[i] = a[i] * b[i];
        break;
      default:
        for (int64_t i = 0; i < elements_; ++i) {
          out[i] = EvaluateInDouble(op_, a[i], b[i], c[i]);
        }
        break;
    }
    return absl::OkStatus();
  }

 private:
  const ScalarOp op_;
  ValueId inputs_[3];  // unused ones repeat the first
  const ValueId out_;
  const int64_t elements_;
};

// to [columns, rows] = from [rows, columns] transposed.
void Transpose(int64_t rows, int64_t columns, const double* from, double* to) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j)
      to[j * rows + i] = from[i * columns + j];
  }
}

class MatmulKernel : public Kernel {
 public:
  explicit MatmulKernel(const KernelInput& input)
      : attrs_(std::get<MatmulAttrs>(input.node().attributes)),
        a_(input.input(0)),
        b_(input.input(1)),
        out_(input.id) {
    const Shape& a = input.input_shape(0);
    product_.m = input.node().shape.dim(-2);
    product_.n = input.node().shape.dim(-1);
    product_.k = a.dim(attrs_.transpose_a ? -2 : -1);
    product_.a_row_stride = attrs_.transpose_a ? 1 : a.dim(-1);
    product_.a_column_stride = attrs_.transpose_a ? a.dim(-1) : 1;
    batch_ = input.node().shape.num_elements() / (product_.m * product_.n);
  }

  size_t scratch_bytes() const override {
    return attrs_.transpose_b
               ? static_cast<size_t>(product_.k * product_.n) * sizeof(double)
               : 0;
  }

  absl::Status Run(const KernelContext& context) const override {
    const auto* a = context.As<const double>(a_);
    const auto* b = context.As<const double>(b_);
    auto* out = context.As<double>(out_);
    auto* scratch = reinterpret_cast<double*>(context.scratch);
    const DoubleProduct& p = product_;
    for (int64_t i = 0; i < batch_; ++i) {
      const double* right = b + i * p.k * p.n;
      if (attrs_.transpose_b) {
        Transpose(p.n, p.k, right, scratch);
        right = scratch;
      }
      multiply_(p, a + i * p.m * p.k, right, out + i * p.m * p.n);
    }
    return absl::OkStatus();
  }

 private:
  const MatmulAttrs attrs_;
  const ValueId a_;
  const ValueId b_;
  const ValueId out_;
  DoubleProduct product_;
  int64_t batch_ = 1;
  const MultiplyFunction multiply_ = SelectByIsa(
      isa_baseline::kMultiply, isa_v3::kMultiply, isa_v4::kMultiply);
};

}  // namespace

KernelOr CreateFloat64ElementwiseKernel(const KernelInput& input) {
  return std::make_unique<ElementwiseKernel>(input);
}

KernelOr CreateFloat64MatmulKernel(const KernelInput& input) {
  return std::make_unique<MatmulKernel>(input);
}

}  // namespace basin
