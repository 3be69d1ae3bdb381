#include "core/backend/cpu/dnnl_kernel.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

namespace basin {
namespace {

// See SteadyRows(). Tried for every count up to this one, in all sizes of K
// and N; beyond, rows are divided into blocks of other sizes, or summed in
// other orders where K and N are large.
constexpr int64_t kMaxSteadyRows = 64;
constexpr int64_t kRowBlock = 6;
constexpr int64_t kLeastSteadyRest = 4;

bool HasSteadyKernels() {
  static const bool has = DnnlHas(dnnl_cpu_isa_avx512_core);
  return has;
}

// Rows begin .. begin + count - 1 of a dense matrix of floats.
DnnlMemory RowsOf(DnnlMemory matrix, int64_t begin, int64_t count) {
  const int64_t width = matrix.desc.dims()[1];
  matrix.desc = DenseDesc(Shape({count, width}));
  matrix.offset += static_cast<size_t>(begin * width) * sizeof(float);
  return matrix;
}

}  // namespace

size_t AlignedSize(size_t bytes) {
  constexpr size_t kAlignment = 64;  // bytes
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool DnnlHas(dnnl_cpu_isa_t isa) {
  return (dnnl_get_effective_cpu_isa() & isa) == isa;
}

int64_t MaxSteadyRows() {
  return HasSteadyKernels() ? std::numeric_limits<int64_t>::max()
                            : kMaxSteadyRows;
}

int64_t SteadyRows(int64_t rows) {
  const int64_t rest = rows % kRowBlock;
  if (rest == 0 || rest >= kLeastSteadyRest || HasSteadyKernels()) return rows;
  return rows - rest + kLeastSteadyRest;
}

// oneDNN's memory objects carry the address, so each worker has its own.
class DnnlKernel::State : public KernelState {
 public:
  explicit State(const DnnlKernel& kernel) : stream_(kernel.engine_) {
    for (const Call& call : kernel.calls_) {
      std::vector<dnnl_exec_arg_t> arguments;
      for (const Argument& argument : call.arguments) {
        const DnnlMemory& memory = argument.memory;
        memories_.push_back(
            memory.place == DnnlMemory::Place::kFixed
                ? memory.fixed
                : dnnl::memory(memory.desc, kernel.engine_, DNNL_MEMORY_NONE));
        addresses_.push_back(nullptr);
        arguments.push_back({argument.name, memories_.back().get()});
      }
      arguments_.push_back(std::move(arguments));
    }
  }

  absl::Status Run(const DnnlKernel& kernel, const KernelContext& context) {
    dnnl_status_t status = SetAddresses(kernel, context);
    for (size_t c = 0; status == dnnl_success && c < arguments_.size(); ++c) {
      status = dnnl_primitive_execute(
          kernel.calls_[c].primitive.get(), stream_.get(),
          static_cast<int>(arguments_[c].size()), arguments_[c].data());
    }
    if (status == dnnl_success) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat(kernel.name_, ": oneDNN status ", status));
  }

 private:
  dnnl_status_t SetAddresses(const DnnlKernel& kernel,
                             const KernelContext& context) {
    size_t i = 0;
    for (const Call& call : kernel.calls_) {
      for (const Argument& argument : call.arguments) {
        const DnnlMemory& memory = argument.memory;
        const size_t at = i++;
        if (memory.place == DnnlMemory::Place::kFixed) continue;
        std::byte* base =
            memory.place == DnnlMemory::Place::kValue
                ? reinterpret_cast<std::byte*>(context.values[memory.value])
                : context.scratch;
        void* address = base + memory.offset;
        if (address == addresses_[at]) continue;
        const dnnl_status_t status =
            dnnl_memory_set_data_handle(memories_[at].get(), address);
        if (status != dnnl_success) return status;
        addresses_[at] = address;
      }
    }
    return dnnl_success;
  }

  dnnl::stream stream_;
  std::vector<dnnl::memory> memories_;  // of all calls' arguments, in order
  std::vector<void*> addresses_;        // what memories_ were told last
  std::vector<std::vector<dnnl_exec_arg_t>> arguments_;  // by call
};

std::unique_ptr<KernelState> DnnlKernel::CreateState() const {
  return std::make_unique<State>(*this);
}

absl::Status DnnlKernel::Run(const KernelContext& context) const {
  return static_cast<State*>(context.state)->Run(*this, context);
}

DnnlMemory DnnlKernel::Value(ValueId value, const dnnl::memory::desc& desc) {
  DnnlMemory memory;
  memory.desc = desc;
  memory.value = value;
  return memory;
}

DnnlMemory DnnlKernel::Fixed(const dnnl::memory& fixed) {
  DnnlMemory memory;
  memory.desc = fixed.get_desc();
  memory.place = DnnlMemory::Place::kFixed;
  memory.fixed = fixed;
  return memory;
}

DnnlMemory DnnlKernel::Scratch(const dnnl::memory::desc& desc) {
  DnnlMemory memory;
  memory.desc = desc;
  memory.place = DnnlMemory::Place::kScratch;
  memory.offset = scratch_bytes_;
  scratch_bytes_ += AlignedSize(desc.get_size());
  return memory;
}

void DnnlKernel::AddCall(const dnnl::primitive& primitive,
                         std::vector<Argument> arguments) {
  const dnnl::memory::desc scratchpad(
      dnnl_primitive_desc_query_md(primitive.get_primitive_desc(),
                                   dnnl_query_scratchpad_md, 0) != nullptr
          ? *dnnl_primitive_desc_query_md(primitive.get_primitive_desc(),
                                          dnnl_query_scratchpad_md, 0)
          : dnnl_memory_desc_t());
  if (scratchpad.get_size() > 0) {
    arguments.push_back({DNNL_ARG_SCRATCHPAD, Scratch(scratchpad)});
  }
  calls_.push_back({primitive, std::move(arguments)});
}

void DnnlKernel::AddReorder(const DnnlMemory& from, const DnnlMemory& to) {
  const dnnl::reorder::primitive_desc reorder(engine_, from.desc, engine_,
                                              to.desc, DnnlAttributes());
  AddCall(dnnl::reorder(reorder), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

// REQUIRES: left, right and out are matrices, dense but for `right`.
void DnnlKernel::AddRows(const DnnlMemory& left, const DnnlMemory& right,
                         const DnnlMemory& out) {
  const dnnl::matmul::primitive_desc product(
      dnnl::matmul::desc(left.desc, right.desc, out.desc), DnnlAttributes(),
      engine_);
  AddCall(
      dnnl::matmul(product),
      {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, out}});
}

void DnnlKernel::AddMatmul(const dnnl::matmul::primitive_desc& product,
                           const DnnlMemory& left, const DnnlMemory& right,
                           const DnnlMemory& out) {
  const dnnl::memory::dims dims = out.desc.dims();
  const int64_t rows = dims[0];
  const bool is_dense =
      dims.size() == 2 &&
      left.desc == DenseDesc(Shape({rows, left.desc.dims()[1]}));
  const int64_t most = MaxSteadyRows();
  if (!is_dense || (rows <= most && SteadyRows(rows) == rows)) {
    AddCall(
        dnnl::matmul(product),
        {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, out}});
    return;
  }
  if (rows < kLeastSteadyRest) {
    const DnnlMemory more =
        Scratch(DenseDesc(Shape({kLeastSteadyRest, left.desc.dims()[1]})));
    const DnnlMemory results =
        Scratch(DenseDesc(Shape({kLeastSteadyRest, dims[1]})));
    AddReorder(left, RowsOf(more, 0, rows));
    AddRows(more, right, results);
    AddReorder(RowsOf(results, 0, rows), out);
    return;
  }
  for (int64_t begin = 0; begin < rows;) {
    int64_t count = std::min(most, rows - begin);
    if (count < kLeastSteadyRest) {
      // Some of the rows before once more, to the same bits.
      begin = rows - kLeastSteadyRest;
      count = kLeastSteadyRest;
    } else if (SteadyRows(count) != count) {
      count -= count % kRowBlock;
    }
    AddRows(RowsOf(left, begin, count), right, RowsOf(out, begin, count));
    begin += count;
  }
}

DnnlMemory DnnlKernel::InLayout(const DnnlMemory& from,
                                const dnnl::memory::desc& wanted) {
  if (from.desc == wanted) return from;
  DnnlMemory copy = Scratch(wanted);
  AddReorder(from, copy);
  return copy;
}

dnnl::primitive_attr DnnlAttributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

dnnl::memory::desc DenseDesc(const Shape& shape) {
  dnnl::memory::dims dims(shape.dims().begin(), shape.dims().end());
  dnnl::memory::dims strides(dims.size());
  int64_t stride = 1;
  for (size_t axis = dims.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= dims[axis];
  }
  return {dims, dnnl::memory::data_type::f32, strides};
}

dnnl::memory::data_type FactorType(Precision precision) {
  return precision == Precision::kBFloat16 ? dnnl::memory::data_type::bf16
                                           : dnnl::memory::data_type::f32;
}

KernelOr CatchDnnl(const KernelInput& input,
                   const std::function<KernelOr()>& build) {
  try {
    return build();
  } catch (const dnnl::error& error) {
    std::string message =
        absl::StrCat(std::string(Name(input.node().op)), " -> ",
                     input.node().shape.ToString(), ": oneDNN: ", error.what());
    if (error.status == dnnl_unimplemented) {
      return absl::UnimplementedError(message);
    }
    if (error.status == dnnl_out_of_memory) {
      return absl::ResourceExhaustedError(message);
    }
    return absl::InternalError(message);
  }
}

}  // namespace basin
