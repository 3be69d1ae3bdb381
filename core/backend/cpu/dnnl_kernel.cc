#include "core/backend/cpu/dnnl_kernel.h"

#include <algorithm>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

namespace basin {
namespace {

constexpr size_t kAlignment = 64;  // bytes

size_t Aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

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
        void* address = memory.place == DnnlMemory::Place::kValue
                            ? static_cast<void*>(context.values[memory.value])
                            : context.scratch + memory.offset;
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
  scratch_bytes_ += Aligned(desc.get_size());
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
