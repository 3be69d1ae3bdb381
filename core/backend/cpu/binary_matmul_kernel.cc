// Products of zeros and ones with weights, which add and do not multiply: for
// every four factors, all sixteen sums of their weights are made once, and
// each row then adds one of these. With many rows that is a quarter of the
// additions. The method of Arlazarov, Dinic, Kronrod and Faradzev, "On
// economical construction of the transitive closure of a directed graph"
// (1970), with real weights.

#include "core/backend/cpu/binary_matmul_kernel.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "core/backend/cpu/binary_matmul_loops.h"
#include "core/backend/cpu/dnnl_kernel.h"
#include "core/base/cpu_isa.h"

namespace basin {
namespace {

using Loops = BinaryMatmulLoops;

// Below, a panel or a table would be mostly empty.
constexpr int64_t kMinColumns = Loops::kColumns / 2;
constexpr int64_t kMinInner = 32;

// Whether `id` is made of elements of inputs of zeros and ones.
bool IsBinary(const Graph& graph, ValueId id) {
  const Node& node = graph.node(id);
  switch (node.op) {
    case Op::kInput:
      return std::get<InputAttrs>(node.attributes).values ==
             InputAttrs::Values::kBinary;
    case Op::kReshape:
    case Op::kSlice:
      return IsBinary(graph, node.inputs[0]);
    default:
      return false;
  }
}

Loops LoopsOf(const KernelInput& input) {
  const Shape& x = input.input_shape(0);
  return {.rows = x.dim(0),
          .inner = x.dim(1),
          .columns = input.node().shape.dim(1)};
}

// BinaryMatmulArrays::panels of w [inner, columns], or of its transpose.
std::vector<float> PanelsOf(const Loops& loops, const Tensor& w,
                            bool transposed) {
  const auto elements = w.data<float>();
  const int64_t inner = loops.groups() * Loops::kGroup;
  std::vector<float> panels(loops.panels() * inner * Loops::kColumns);
  for (int64_t k = 0; k < loops.inner; ++k) {
    for (int64_t j = 0; j < loops.columns; ++j) {
      const int64_t at = (j / Loops::kColumns * inner + k) * Loops::kColumns +
                         j % Loops::kColumns;
      panels[at] =
          elements[transposed ? j * loops.inner + k : k * loops.columns + j];
    }
  }
  return panels;
}

class BinaryMatmulKernel : public Kernel {
 public:
  explicit BinaryMatmulKernel(const KernelInput& input)
      : loops_(LoopsOf(input)), x_(input.input(0)), out_(input.id) {
    const bool transposed =
        std::get<MatmulAttrs>(input.node().attributes).transpose_b;
    const Tensor& w = *input.constant(1);
    const dnnl::memory::desc desc(
        {loops_.panels() * loops_.groups() * Loops::kGroup * Loops::kColumns},
        dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
    // Weights of the same bytes are one constant, whatever their shape.
    const std::string name =
        absl::StrCat(transposed ? "turned binary panels " : "binary panels ",
                     loops_.inner, " x ", loops_.columns);
    panels_ = input.weights.PackedFrom(
        w, name, desc, desc, [&] { return PanelsOf(loops_, w, transposed); });
    const auto take = [this](size_t bytes) {
      const size_t at = scratch_bytes_;
      scratch_bytes_ += AlignedSize(bytes);
      return at;
    };
    tables_ = take(Loops::kTables * Loops::kEntries * Loops::kColumns *
                   sizeof(float));
    sums_ = take(loops_.rows * Loops::kColumns * sizeof(float));
    codes_ = take(loops_.rows * loops_.groups());
    valid_ = take(loops_.rows);
  }

  size_t scratch_bytes() const override { return scratch_bytes_; }

  absl::Status Run(const KernelContext& context) const override {
    std::byte* scratch = context.scratch;
    Loops loops = loops_;
    loops.rows = std::min<int64_t>(loops.rows, context.rows);
    run_(loops, {.x = context.values[x_],
                 .panels = static_cast<const float*>(panels_.get_data_handle()),
                 .out = context.values[out_],
                 .tables = reinterpret_cast<float*>(scratch + tables_),
                 .sums = reinterpret_cast<float*>(scratch + sums_),
                 .codes = reinterpret_cast<uint8_t*>(scratch + codes_),
                 .valid = reinterpret_cast<uint8_t*>(scratch + valid_)});
    return absl::OkStatus();
  }

 private:
  const Loops loops_;
  const ValueId x_;
  const ValueId out_;
  dnnl::memory panels_;
  // In the scratch memory, bytes.
  size_t tables_ = 0;
  size_t sums_ = 0;
  size_t codes_ = 0;
  size_t valid_ = 0;
  size_t scratch_bytes_ = 0;
  const BinaryMatmulFunction run_ =
      SelectByIsa(isa_baseline::kBinaryMatmul, isa_v3::kBinaryMatmul,
                  isa_v4::kBinaryMatmul);
};

}  // namespace

bool SuitsBinaryMatmul(const KernelInput& input) {
  const auto& attrs = std::get<MatmulAttrs>(input.node().attributes);
  if (input.precision != Precision::kFloat32 || attrs.transpose_a ||
      input.node().shape.rank() != 2 || input.constant(1) == nullptr ||
      !IsBinary(input.graph, input.input(0))) {
    return false;
  }
  const Loops loops = LoopsOf(input);
  return loops.columns >= kMinColumns && loops.inner >= kMinInner;
}

KernelOr CreateBinaryMatmulKernel(const KernelInput& input) {
  return CatchDnnl(input, [&]() -> KernelOr {
    return std::make_unique<BinaryMatmulKernel>(input);
  });
}

}  // namespace basin
